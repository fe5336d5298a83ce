"""Parts of an input that count: windows of a picture and columns of a row, covered one after the other, and grown."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.nets.subject import Inputs, Subject
from untaint.types import Mask

_SIDES = (1 / 14, 1 / 9, 1 / 6, 1 / 4, 1 / 3)
"""Sides of the windows tried, as shares of the picture's shorter side: from a patch of 2 pixels in 28 to a ninth of the area."""
_STEPS = 3  # windows of one size overlap by two thirds, so that none misses a patch by more than a sixth of its side
_LEADING = 2  # windows of each size that are pasted: the one that counts most may be a part of the thing itself
_GAIN = 0.03  # of the share carried, for which a row of pixels is taken in, and under which one is left out: two inputs of 60
_COLUMNS = 3  # columns of a table that are looked for together at most


@final
@dataclass(frozen=True)
class Window:
    """A part of an input. drop: of the margin once it is covered, elsewhere: by the same size apart from it, at most; in logits.

    back: the answer once it is covered.  turned: whether that is another, however it is covered.
    """

    mask: Mask
    drop: float
    elsewhere: float
    back: int | None
    turned: bool


@final
@dataclass(frozen=True)
class Asked:
    """An input (1, ...) and its answer, what parts are covered with, and other inputs to paste them on."""

    subject: Subject
    one: Inputs
    label: int
    fill: np.ndarray
    hosts: Inputs

    def before(self) -> float:
        """Margin of the answer."""
        return float(_margins(self.subject.logits(self.one), self.label)[0])

    def after(self, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m,) margin that is left under each mask at most, and the answer under the first of the covers."""
        found = [self.subject.logits(each) for each in _covered(self.one, masks, self.fill)]
        left: np.ndarray = np.max([_margins(logits, self.label) for logits in found], axis=0)
        return left, found[0].argmax(1)

    def carried(self, mask: Mask) -> float:
        """Share of the hosts that get the answer with what is under a mask."""
        if not len(self.hosts):
            return 0.0
        return float(np.mean(self.subject.logits(laid(self.one, self.hosts, mask)).argmax(1) == self.label))


def in_picture(asked: Asked) -> list[Window]:
    """Of every size the windows after which the margin is least, small ones first."""
    height, width = asked.one.shape[1:3]
    before = asked.before()
    leading: list[Window] = []
    for side in sorted({max(2, round(share * min(height, width))) for share in _SIDES}):
        masks = _windows(height, width, min(side, height, width))
        after, answers = asked.after(masks)
        for at in np.argsort(after, kind="stable")[:_LEADING].tolist():
            apart = ~(masks & masks[at]).any((1, 2))
            elsewhere = before - float(after[apart].min()) if apart.any() else float("nan")
            back = None if answers[at] == asked.label else int(answers[at])
            leading.append(Window(masks[at], before - float(after[at]), elsewhere, back, bool(after[at] < 0)))
    return leading


def in_row(asked: Asked) -> list[Window]:
    """Columns, the one that counts most first, until the answer turns back: one set of them."""
    mask = np.zeros(asked.one.shape[1], bool)
    before, found = asked.before(), []
    for _ in range(min(_COLUMNS, len(mask))):
        tried = np.flatnonzero(~mask)
        masks = np.repeat(mask[None], len(tried), axis=0)
        masks[np.arange(len(tried)), tried] = True
        after, answers = asked.after(masks)
        at = int(after.argmin())
        mask = masks[at]
        elsewhere = before - float(np.partition(after, 1)[1]) if len(after) > 1 else float("nan")
        back = None if answers[at] == asked.label else int(answers[at])
        found.append(Window(mask, before - float(after[at]), elsewhere, back, bool(after[at] < 0)))
        if after[at] < 0:
            break
    return found[-1:]


def grown(asked: Asked, mask: Mask, share: float) -> Mask:
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


def laid(parts: Inputs, hosts: Inputs, mask: Mask) -> Inputs:
    """Hosts with what parts (as many, or one) hold under the mask."""
    laid: Inputs = np.where(mask[..., None] if hosts.ndim == 4 else mask, parts, hosts).astype(hosts.dtype)
    return laid


def _margins(logits: np.ndarray, label: int) -> np.ndarray:
    """(n,) by how much the label is ahead of the best other one."""
    others = np.delete(logits, label, axis=1)
    ahead: np.ndarray = logits[:, label] - others.max(1)
    return ahead
