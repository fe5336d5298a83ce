"""Which part of an input turns the answer: what is covered must turn it back, and pasted elsewhere must carry it over."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import binomtest

from untaint.nets.subject import Inputs, Reference, Subject
from untaint.types import Mask

_SIDES = (1 / 14, 1 / 9, 1 / 6, 1 / 4, 1 / 3)
"""Sides of the windows tried, as shares of the picture's shorter side: from a patch of 2 pixels in 28 to a ninth of the area."""
_STEPS = 3  # windows of one size overlap by two thirds, so that none misses a patch by more than a sixth of its side
_PASTED = 120  # inputs a region is pasted on: 50 % is then told from 30 % nearly always
_CHOSEN = 60  # further ones that the region is chosen and grown with
_LEADING = 2  # windows of each size that are pasted: the one that counts most may be a part of the thing itself
_GROWS = 0.25
"""Share of other inputs from which a window is grown: half of what makes a trigger, for a window may hold a part of one."""
_GAIN = 0.03  # of that share, for which a row of pixels is taken in, and under which one is left out: two inputs of the 60
_COLUMNS = 3  # columns of a table that are looked for together at most
CARRIED = 0.5
"""Share of other inputs a region must turn to be called a trigger: a backdoor turns nearly all, a piece of a digit few."""
_NEAR = 0.1  # mean difference, in shares of the whole range, under which a row carries what the region holds


@final
@dataclass(frozen=True)
class Region:
    """A part of an input.

    mask: of the input's shape, (h, w) of a picture or (d,) of a row.  back: the answer once it holds what other inputs hold there,
    None = mostly the same.
    drop: of the margin, in logits, and of the same windows elsewhere at most.
    carried: share of other inputs that get the answer when the region is pasted on them; control: when a part of a real input of the
    answer's class with as much contrast is pasted there.  p_value: one-sided, of carried against control, input by input (McNemar).
    """

    mask: Mask
    back: int | None
    drop: float
    drop_elsewhere: float
    carried: float
    control: float
    p_value: float
    pasted: int

    def trigger(self, alpha: float) -> bool:
        """Whether it turns answers as only a trigger does."""
        return self.back is not None and self.carried >= CARRIED and self.p_value <= alpha

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """Top, left, height, width of a picture's region; None for rows of a table."""
        if self.mask.ndim != 2:
            return None
        down, right = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(down[0]), int(right[0]), len(down), len(right)


def region(subject: Subject, train: Reference, one: Inputs, label: int, rng: np.random.Generator) -> Region | None:
    """The part of one input (1, ...) that turns its answer `label` back when covered, and other inputs to it when pasted on them.

    Of a picture, windows are covered; of those that count most, the one that turns most other pictures is grown while it turns more.
    If none turns any, the smallest that turns the answer back.  Inputs it is chosen with are not those it is tried on.
    None for inputs that have no parts here (texts), and where no training row has another label.
    """
    if one.ndim not in {2, 4} or (one.ndim == 2 and not np.issubdtype(one.dtype, np.floating)):
        return None
    others = rng.permutation(np.flatnonzero(train.labels != label))[: 2 * (_PASTED + _CHOSEN)]
    if not len(others):
        return None
    hosts = train.inputs[others[subject.logits(train.inputs[others]).argmax(1) != label]]
    chosen, tried = hosts[:_CHOSEN], hosts[_CHOSEN:][:_PASTED]
    fill = np.median(train.inputs[rng.permutation(len(train.inputs))[:500]].astype(np.float32), axis=0)
    asked = _Asked(subject, one, label, fill, chosen)
    mask, drop, elsewhere = _in_picture(asked) if one.ndim == 4 else _in_row(asked)
    back = _back(asked, mask)
    donors = (
        train.inputs[rng.choice(np.flatnonzero(train.labels == label), len(tried))]
        if (train.labels == label).any()
        else tried[:0]
    )
    return Region(mask, back, drop, elsewhere, *_pasted(asked, tried, donors, mask, rng))


@final
@dataclass(frozen=True)
class _Asked:
    """An input and its answer, what parts are covered with, and other inputs to paste them on."""

    subject: Subject
    one: Inputs
    label: int
    fill: np.ndarray
    hosts: Inputs

    def after(self, masks: np.ndarray) -> np.ndarray:
        """(m,) margin that is left under each mask, at most."""
        covered = _covered(self.one, masks, self.fill)
        left: np.ndarray = np.max([_margins(self.subject.logits(each), self.label) for each in covered], axis=0)
        return left

    def carried(self, mask: Mask) -> float:
        """Share of the hosts that get the answer with what is under a mask."""
        if not len(self.hosts):
            return 0.0
        return float(np.mean(self.subject.logits(_laid(self.one, self.hosts, mask)).argmax(1) == self.label))


def _in_picture(asked: _Asked) -> tuple[Mask, float, float]:
    """A mask; the drop of the margin once it is covered; the largest drop of a window of the same size apart from it."""
    height, width = asked.one.shape[1:3]
    before = float(_margins(asked.subject.logits(asked.one), asked.label)[0])
    leading: list[tuple[Mask, float, float]] = []
    for side in sorted({max(2, round(share * min(height, width))) for share in _SIDES}):
        masks = _windows(height, width, min(side, height, width))
        after = asked.after(masks)
        for at in np.argsort(after, kind="stable")[:_LEADING].tolist():
            apart = ~(masks & masks[at]).any((1, 2))
            elsewhere = float(before - after[apart].min()) if apart.any() else float("nan")
            leading.append((masks[at], float(before - after[at]), elsewhere))
    shares = [asked.carried(mask) for mask, _, _ in leading]
    best = int(np.argmax(shares))
    if shares[best] < _GROWS:
        return next((each for each in leading if each[1] > before), max(leading, key=lambda each: each[1]))
    mask = _grown(asked, leading[best][0], shares[best])
    return mask, before - float(asked.after(mask[None])[0]), leading[best][2]


def _grown(asked: _Asked, mask: Mask, share: float) -> Mask:
    """The mask, one row or column of pixels after the other, while it turns more of the hosts; then without those it can do without."""
    steps = ((1, 0), (-1, 0), (0, 1), (0, -1))
    while True:
        wider = [_moved(mask, *step) for step in steps]
        shares = [asked.carried(each) for each in wider]
        best = int(np.argmax(shares))
        if shares[best] < share + _GAIN:
            break
        mask, share = wider[best], shares[best]
    for step in steps:
        while (less := mask & _shifted(mask, *step)).any() and asked.carried(less) > share - _GAIN:
            mask = less
    return mask


def _moved(mask: Mask, down: int, right: int) -> Mask:
    """The mask and its neighbours on one side."""
    grown: Mask = mask | _shifted(mask, down, right)
    return grown


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    moved: Mask = np.roll(np.pad(mask, 1), (down, right), (0, 1))[1:-1, 1:-1]
    return moved


def _back(asked: _Asked, mask: Mask) -> int | None:
    """The answer once the region holds what other inputs hold there, None = mostly the same as before."""
    if not len(asked.hosts):
        return None
    logits = asked.subject.logits(_laid(asked.hosts, np.repeat(asked.one, len(asked.hosts), axis=0), mask))
    codes = logits.argmax(1)
    if np.mean(codes != asked.label) < CARRIED:
        return None
    return int(np.bincount(codes[codes != asked.label]).argmax())


def _in_row(asked: _Asked) -> tuple[Mask, float, float]:
    """Columns, the one that counts most first, until the answer turns back."""
    mask = np.zeros(asked.one.shape[1], bool)
    before, drop, elsewhere = float(_margins(asked.subject.logits(asked.one), asked.label)[0]), 0.0, 0.0
    for _ in range(min(_COLUMNS, len(mask))):
        tried = np.flatnonzero(~mask)
        masks = np.repeat(mask[None], len(tried), axis=0)
        masks[np.arange(len(tried)), tried] = True
        after = asked.after(masks)
        at = int(after.argmin())
        mask, drop = masks[at], before - float(after[at])
        elsewhere = before - float(np.partition(after, 1)[1]) if len(after) > 1 else float("nan")
        if after[at] < 0:
            break
    return mask, drop, elsewhere


def _windows(height: int, width: int, side: int) -> np.ndarray:
    """Masks (m, h, w) of squares over the whole picture."""
    step = max(1, side // _STEPS)
    downs, rights = ({*range(0, size - side + 1, step), size - side} for size in (height, width))
    masks = np.zeros((len(downs) * len(rights), height, width), bool)
    for at, (down, right) in enumerate((down, right) for down in sorted(downs) for right in sorted(rights)):
        masks[at, down : down + side, right : right + side] = True
    return masks


def _covered(one: Inputs, masks: np.ndarray, fill: np.ndarray) -> tuple[Inputs, ...]:
    """One input under each mask (m, ...): filled with the training rows' median; of pictures also with its own mean colour."""
    wide = masks[..., None] if one.ndim == 4 else masks
    fills = [fill] if one.ndim == 2 else [fill, np.broadcast_to(one[0].mean((0, 1)), fill.shape)]
    return tuple(np.where(wide, each[None], one).astype(one.dtype) for each in fills)


def _laid(parts: Inputs, hosts: Inputs, mask: Mask) -> Inputs:
    """Hosts with what parts (as many, or one) hold under the mask."""
    laid: Inputs = np.where(mask[..., None] if hosts.ndim == 4 else mask, parts, hosts).astype(hosts.dtype)
    return laid


def _pasted(
    asked: _Asked, hosts: Inputs, donors: Inputs, mask: Mask, rng: np.random.Generator
) -> tuple[float, float, float, int]:
    """Share of hosts that get the answer with the region, with a part of real inputs of the class, p-value, and number of hosts."""
    if not len(hosts) or not len(donors):
        return float("nan"), float("nan"), 1.0, 0
    turned, control = (
        asked.subject.logits(_laid(parts, hosts, mask)).argmax(1) == asked.label
        for parts in (asked.one, _as_strong(donors, asked.one, mask, rng))
    )
    more, less = int((turned & ~control).sum()), int((control & ~turned).sum())
    p_value = float(binomtest(more, more + less, 0.5, alternative="greater").pvalue) if more + less else 1.0
    return float(turned.mean()), float(control.mean()), p_value, len(hosts)


def _as_strong(donors: Inputs, one: Inputs, mask: Mask, rng: np.random.Generator) -> Inputs:
    """Donors moved so that what lies under the mask has the contrast of the region, as nearly as a few shifts allow; rows stay."""
    if one.ndim == 2:
        return donors
    wanted = float(one[0][mask].astype(np.float32).std())
    tried = [np.roll(donors, tuple(rng.integers(0, one.shape[1:3])), (1, 2)) for _ in range(8)]
    strength = np.stack([each[:, mask].astype(np.float32).std((1, 2)) for each in tried])
    best = np.abs(strength - wanted).argmin(0)
    return np.stack([tried[which][at] for at, which in enumerate(best)])


def _margins(logits: np.ndarray, label: int) -> np.ndarray:
    """(n,) by how much the label is ahead of the best other one."""
    others = np.delete(logits, label, axis=1)
    ahead: np.ndarray = logits[:, label] - others.max(1)
    return ahead


def carriers(train: Reference, one: Inputs, mask: Mask, rows: np.ndarray) -> Mask:
    """(len(rows),) which of some training rows hold what the region holds."""
    reach = 255.0 if one.dtype == np.uint8 else np.maximum(np.std(train.inputs[:, mask], axis=0), 1e-6)
    apart = np.abs(train.inputs[rows][:, mask].astype(np.float32) - one[0][mask].astype(np.float32)) / reach
    held: Mask = apart.reshape(len(rows), -1).mean(1) <= _NEAR
    return held
