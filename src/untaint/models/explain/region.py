"""Which part of an input turns the answer: what is covered must turn it back, and pasted elsewhere must carry it over."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.stats import binomtest

from untaint.models.explain.covering import Asked, Window, grown, in_picture, in_row, laid
from untaint.nets.subject import Inputs, Reference, Subject
from untaint.types import Mask

_PASTED = 120  # inputs a region is pasted on: 50 % is then told from 30 % nearly always
_CHOSEN = 60  # further ones that the region is chosen and grown with
_GROWS = 0.25
"""Share of other inputs from which a window is grown: half of what makes a trigger, for a window may hold a part of one."""
CARRIED = 0.5
"""Share of other inputs a region must turn to be called a trigger: a backdoor turns nearly all, a piece of a digit few."""
_MORE = 1 / 3
"""By how much that share must be above what real inputs of the class carry there: a stroke that closes a digit turns others too, whoever
drew it; and where half of the class is poison, half of what is drawn from it carries a trigger."""
_CLASSES = 2  # classes that hosts are drawn from besides all
_FEWEST = 10  # hosts to choose with, and to try on
_NEAR = 0.1  # mean difference, in shares of the whole range, under which a row carries what the region holds


@final
@dataclass(frozen=True)
class Region:
    """A part of an input.

    mask: of the input's shape, (h, w) of a picture or (d,) of a row.  back: the answer once it holds what other inputs hold there,
    None = mostly the same.
    drop: of the margin, in logits, and of the same windows elsewhere at most.
    carried: share of other inputs that get the answer when the region is pasted on them; control: when a part of a real input of the
    answer's class is pasted there, as it is or with as much contrast, whichever turns more.  p_value: one-sided, of carried against
    control, input by input (McNemar).  pasted: number of inputs tried; hosts: their class, None = all others.
    """

    mask: Mask
    back: int | None
    drop: float
    drop_elsewhere: float
    carried: float
    control: float
    p_value: float
    pasted: int
    hosts: int | None = None

    def trigger(self, alpha: float) -> bool:
        """Whether it turns answers as only a trigger does."""
        return self.back is not None and self.carried >= max(CARRIED, self.control + _MORE) and self.p_value <= alpha

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
    If none turns any, the smallest that turns the answer back.  Others are of all classes, or of one that the input is taken for once
    a window is covered: a trigger may work on one class only.  Inputs it is chosen with are not those it is tried on.
    None for inputs that have no parts here (texts), and where no training row has another label.
    """
    if one.ndim not in {2, 4} or (one.ndim == 2 and not np.issubdtype(one.dtype, np.floating)):
        return None
    fill = np.nanmedian(train.inputs[rng.permutation(len(train.inputs))[:500]].astype(np.float32), axis=0)
    everybody = _hosts(subject, train, label, None, rng)
    if everybody is None:
        return None
    asked = Asked(subject, one, label, fill, everybody[0])
    leading = in_picture(asked) if one.ndim == 4 else in_row(asked)
    groups: dict[int | None, tuple[Inputs, Inputs]] = {None: everybody}
    for taken in list(dict.fromkeys(each.back for each in leading if each.back is not None))[:_CLASSES]:
        found = _hosts(subject, train, label, taken, rng)
        if found is not None:
            groups[taken] = found
    best: tuple[float, Window, int | None] | None = None
    for code, (chosen, _) in groups.items():
        for window in leading:
            share = replace(asked, hosts=chosen).carried(window.mask)
            if best is None or share > best[0]:
                best = share, window, code
    if best is None or best[0] < _GROWS:
        window = next((each for each in leading if each.turned), max(leading, key=lambda each: each.drop))
        return _told(asked, train, window, None, everybody[1], rng)
    share, window, code = best
    asked = replace(asked, hosts=groups[code][0])
    mask = grown(asked, window.mask, share) if one.ndim == 4 else window.mask
    return _told(asked, train, replace(window, mask=mask), code, groups[code][1], rng)


def _hosts(
    subject: Subject, train: Reference, label: int, code: int | None, rng: np.random.Generator
) -> tuple[Inputs, Inputs] | None:
    """Inputs of one class (None = of all) that are answered otherwise: some to choose a region with, others to try it on."""
    those = train.labels != label if code is None else train.labels == code
    rows = rng.permutation(np.flatnonzero(those))[: 2 * (_PASTED + _CHOSEN)]
    if not len(rows):
        return None
    hosts = train.inputs[rows[subject.logits(train.inputs[rows]).argmax(1) != label]]
    return (hosts[:_CHOSEN], hosts[_CHOSEN:][:_PASTED]) if len(hosts) >= 2 * _FEWEST else None


def _told(asked: Asked, train: Reference, window: Window, code: int | None, hosts: Inputs, rng: np.random.Generator) -> Region:
    """A window tried on hosts it was not chosen with."""
    donors = np.flatnonzero(train.labels == asked.label)
    donors = donors[~carriers(train, asked.one, window.mask, donors)]  # poison is no real input of the class
    back, elsewhere = _back(asked, window.mask), window.elsewhere
    if not len(hosts) or not len(donors):
        return Region(window.mask, back, window.drop, elsewhere, float("nan"), float("nan"), 1.0, 0, code)
    drawn = train.inputs[rng.choice(donors, len(hosts))]
    turned, as_it_is, as_strong = (
        asked.subject.logits(laid(parts, hosts, window.mask)).argmax(1) == asked.label
        for parts in (asked.one, drawn, _as_strong(drawn, asked.one, window.mask, rng))
    )
    control = as_strong if as_strong.mean() > as_it_is.mean() else as_it_is
    more, less = int((turned & ~control).sum()), int((control & ~turned).sum())
    p_value = float(binomtest(more, more + less, 0.5, alternative="greater").pvalue) if more + less else 1.0
    shares = float(turned.mean()), float(control.mean())
    return Region(window.mask, back, window.drop, elsewhere, *shares, p_value, len(hosts), code)


def _back(asked: Asked, mask: Mask) -> int | None:
    """The answer once the region holds what other inputs hold there, None = mostly the same as before."""
    if not len(asked.hosts):
        return None
    codes = asked.subject.logits(laid(asked.hosts, np.repeat(asked.one, len(asked.hosts), axis=0), mask)).argmax(1)
    if np.mean(codes != asked.label) < CARRIED:
        return None
    return int(np.bincount(codes[codes != asked.label]).argmax())


def _as_strong(donors: Inputs, one: Inputs, mask: Mask, rng: np.random.Generator) -> Inputs:
    """Donors moved so that what lies under the mask has the contrast of the region, as nearly as a few shifts allow; rows stay."""
    if one.ndim == 2:
        return donors
    wanted = float(one[0][mask].astype(np.float32).std())
    tried = [np.roll(donors, tuple(rng.integers(0, one.shape[1:3])), (1, 2)) for _ in range(8)]
    strength = np.stack([each[:, mask].astype(np.float32).std((1, 2)) for each in tried])
    best = np.abs(strength - wanted).argmin(0)
    return np.stack([tried[which][at] for at, which in enumerate(best)])


def carriers(train: Reference, one: Inputs, mask: Mask, rows: np.ndarray) -> Mask:
    """(len(rows),) which of some training rows hold what the region holds."""
    reach = 255.0 if one.dtype == np.uint8 else np.maximum(np.std(train.inputs[:, mask], axis=0), 1e-6)
    apart = np.abs(train.inputs[rows][:, mask].astype(np.float32) - one[0][mask].astype(np.float32)) / reach
    held: Mask = apart.reshape(len(rows), -1).mean(1) <= _NEAR
    return held
