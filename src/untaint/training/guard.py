"""The guard: rows that no network should see, updates that no network should take, and the way back."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics.magnitudes import Usual, too_large, usual
from untaint.training.base import Advice, Batch, Defence, Hooks, Run, Stage, State, Trait, Update

_LEARNED = 2048
"""Rows that fix what is usual: medians of so many vary by a few per cent. Later ones change nothing, so that nobody can shift it slowly."""
_CUT = 10.0
"""Spreads over the median, on a logarithmic scale. Of normal logarithms one in 10^23 is further out; of MNIST, Fashion-MNIST, digits no
row is, and rows of heavy-tailed tables are one in 10^4 at most (tests)."""
_TIMES = 8.0
"""Nor is a row dropped that is not so many times the usual: where all rows have the same maximum, as images have, the spread is zero."""
_COLUMNS = 1024  # of flat rows, looked at one by one; a column of a table has a scale of its own, pixels share theirs
_RECENT = 50  # losses that say what is usual now
_CALM = 25  # updates between two states that can be come back to: copying one costs about as much as a step
_ALARMS = 3  # losses in a row: one bad batch is no collapse
_JUMP = 4.0  # times the recent median, and at least half the loss of the start: a network that fits well has tiny, jumpy losses
_GRADIENT = 100.0
"""Times the recent median norm: an update so long is refused; honest batches stay within 10 (MNIST, Fashion-MNIST, per-step maxima)."""


@final
@dataclass(frozen=True)
class Guard(Defence):
    """Drops rows that are out of range before the forward pass, refuses updates that are not finite, and goes back after a collapse.

    Stops: the collapse by one or a few rows of extreme size or of NaN and Inf, in inputs, targets or running statistics of batch
    normalisation, and what bugs do of the same kind. A row is dropped when a value is not finite, when its largest value or, of flat
    rows, a value of a column is far over what is usual, when its target is no class, or is out of scale.
    Does not stop: anything in range: backdoors, flipped labels, one row of usual size, which has next to no effect by itself.
    Needs: nothing; learns what is usual from the first 2,048 rows, of which fewer than half may be bad. low, high: the range of inputs
    where it is known, such as 0 and 1; then a row beyond is dropped however many there are.
    Cost: one pass over the inputs, and a copy of the weights every 25 updates; under 5 % of a step of a small network.
    Reference: the attack is Blanchard et al. 2017, lemma 1 (NeurIPS 30); the robust rule is the median absolute deviation of logarithms,
    Leys et al. 2013, doi 10.1016/j.jesp.2013.03.013
    """

    id: ClassVar[str] = "guard"
    stage: ClassVar[Stage] = Stage.SCREEN
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    low: float | None = None
    high: float | None = None

    @override
    def start(self, run: Run) -> Hooks:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise BadInput(f"guard needs low under high, not {self.low!r} and {self.high!r}.")
        screen, sentinel = _Screen(self.low, self.high, run.classes), _Sentinel()

        def resume(held: State) -> None:
            screen.resume(held)
            sentinel.resume(held)

        return Hooks(
            screen=screen.screen,
            admit=sentinel.admit,
            watch=sentinel.watch,
            facts=lambda: {**screen.facts(), **sentinel.facts()},
            state=lambda: {**screen.state(), **sentinel.state()},
            resume=resume,
        )


@final
class _Screen:
    """What rows look like: sizes (m,) of the first ones, and of flat ones their values (m, d)."""

    def __init__(self, low: float | None, high: float | None, classes: int | None) -> None:
        self.low, self.high, self.classes = low, high, classes
        self.seen = self.dropped = 0
        self.sizes: dict[str, np.ndarray] = {}
        self.values: np.ndarray | None = None
        self._columns: tuple[np.ndarray, np.ndarray] | None = None

    def screen(self, batch: Batch) -> Mapping[int, str]:
        reasons: dict[int, str] = {}
        for place, values in enumerate(batch.inputs):
            for position, why in self._unfit(f"input {place}", values):
                reasons.setdefault(position, why)
        if batch.targets is not None:
            for position, why in self._unfit_targets(batch.targets):
                reasons.setdefault(position, why)
        self.seen += len(batch)
        self.dropped += len(reasons)
        return reasons

    def _unfit(self, name: str, values: np.ndarray) -> Iterator[tuple[int, str]]:
        if values.dtype.kind not in "fiu" or (values.dtype.kind in "iu" and values.dtype.itemsize > 1):
            return  # numbers of words have no size
        flat = values.reshape(len(values), -1)
        if flat.shape[1] == 0:
            return
        low, high = flat.min(axis=1).astype(np.float64), flat.max(axis=1).astype(np.float64)
        sizes = np.maximum(np.abs(low), np.abs(high))
        bad = ~np.isfinite(sizes)
        yield from ((int(at), f"{name} is not finite") for at in np.flatnonzero(bad))
        if self.low is not None or self.high is not None:
            out = ~bad & ~(
                (low >= (-np.inf if self.low is None else self.low)) & (high <= (np.inf if self.high is None else self.high))
            )
            yield from ((int(at), f"{name} is out of range") for at in np.flatnonzero(out))
        known = self._learn(name, sizes)
        if known is not None:
            large = ~bad & (sizes > 0) & too_large(sizes, known, _CUT, _TIMES)
            yield from ((int(at), f"{name} is far larger than usual") for at in np.flatnonzero(large))
        if values.ndim == 2 and values.dtype.kind == "f" and flat.shape[1] <= _COLUMNS:
            yield from (
                (int(at), f"{name} has a column far out of its range") for at in np.flatnonzero(~bad & self._astray(flat))
            )

    def _learn(self, name: str, sizes: np.ndarray) -> Usual | None:
        held = self.sizes.get(name, np.empty(0))
        if len(held) < _LEARNED:
            self.sizes[name] = held = np.concatenate([held, sizes])[:_LEARNED]
        return usual(held)

    def _astray(self, flat: np.ndarray) -> np.ndarray:
        """(n,) whether a value is far out of the middle nine tenths of its column."""
        if self.values is None or len(self.values) < _LEARNED:
            held = flat.astype(np.float32) if self.values is None else np.concatenate([self.values, flat]).astype(np.float32)
            self.values, self._columns = held[:_LEARNED], None
        if self._columns is None:
            with np.errstate(all="ignore"):
                middle = np.nanquantile(np.where(np.isfinite(self.values), self.values, np.nan), [0.05, 0.5, 0.95], axis=0)
            width = np.nan_to_num(middle[2] - middle[0])
            self._columns = np.nan_to_num(middle[1]), width
        centre, width = self._columns
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.abs(flat - centre)
        return np.asarray(((away > _WIDTHS * width) & (width > 0)).any(axis=1))

    def _unfit_targets(self, targets: np.ndarray) -> Iterator[tuple[int, str]]:
        if targets.dtype.kind in "iu" and targets.ndim == 1 and self.classes is not None:
            out = (targets < 0) | (targets >= self.classes)
            yield from ((int(at), "the target is no class") for at in np.flatnonzero(out))
        if targets.dtype.kind == "f":
            sizes = np.abs(targets.reshape(len(targets), -1)).max(axis=1).astype(np.float64)
            bad = ~np.isfinite(sizes)
            yield from ((int(at), "the target is not finite") for at in np.flatnonzero(bad))
            known = self._learn("target", sizes)
            if known is not None:
                large = ~bad & (sizes > 0) & too_large(sizes, known, _CUT, _TIMES)
                yield from ((int(at), "the target is far larger than usual") for at in np.flatnonzero(large))

    def facts(self) -> dict[str, object]:
        return {"rows_screened": self.seen, "rows_dropped": self.dropped}

    def state(self) -> State:
        held = {f"sizes.{name}": sizes for name, sizes in self.sizes.items()}
        values = {} if self.values is None else {"values": self.values}
        return {**held, **values, "screened": np.array([self.seen, self.dropped])}

    def resume(self, held: State) -> None:
        self.seen, self.dropped = held["screened"].tolist()
        self.sizes = {name.removeprefix("sizes."): value for name, value in held.items() if name.startswith("sizes.")}
        self.values, self._columns = held.get("values"), None


_WIDTHS = 1000.0
"""Times the width of a column's middle nine tenths: heavy-tailed amounts reach some hundred (lending_club, credit_data), attacks begin
where one row outweighs a batch."""


@final
class _Sentinel:
    """Watches losses and gradients."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=_RECENT)
        self.norms: deque[float] = deque(maxlen=_RECENT)
        self.start: float | None = None
        self.alarms = self.calm = self.refused = self.back = 0

    def admit(self, update: Update) -> str | None:
        reason = self._refusal(update)
        if reason is not None:
            self.refused += 1
        elif update.norm > 0:
            self.norms.append(update.norm)
        return reason

    def _refusal(self, update: Update) -> str | None:
        if not update.finite:
            return "the gradient is not finite"
        if len(self.norms) == _RECENT and update.norm > _GRADIENT * float(np.median(self.norms)):
            return f"the gradient is over {_GRADIENT:g} times as long as usual"
        return None

    def watch(self, update: Update) -> Advice:
        if not update.finite:
            return self._go_back()
        if not isfinite(update.loss):
            return "keep"
        if len(self.losses) < _RECENT:
            self.losses.append(update.loss)
            self.start = float(np.median(self.losses)) if len(self.losses) <= 10 or self.start is None else self.start
            return self._calm()
        if update.loss > max(_JUMP * float(np.median(self.losses)), (self.start or 0.0) / 2):
            self.alarms += 1
            return self._go_back() if self.alarms >= _ALARMS else "keep"
        self.alarms = 0
        self.losses.append(update.loss)
        return self._calm()

    def _calm(self) -> Advice:
        self.calm += 1
        return "good" if self.calm % _CALM == 0 else "keep"

    def _go_back(self) -> Advice:
        self.alarms = 0
        self.back += 1
        return "back"

    def facts(self) -> dict[str, object]:
        return {"updates_refused": self.refused, "rolled_back": self.back}

    def state(self) -> State:
        counts = np.array([self.alarms, self.calm, self.refused, self.back])
        start = np.array([np.nan if self.start is None else self.start])
        return {"losses": np.array(self.losses), "norms": np.array(self.norms), "sentinel": counts, "start": start}

    def resume(self, held: State) -> None:
        self.losses, self.norms = deque(held["losses"].tolist(), _RECENT), deque(held["norms"].tolist(), _RECENT)
        self.alarms, self.calm, self.refused, self.back = held["sentinel"].tolist()
        self.start = None if np.isnan(held["start"][0]) else float(held["start"][0])
