"""The guard: rows that no network should see, updates that no network should take, and the way back."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics.leverage import leverages, whitener
from untaint.numerics.magnitudes import limits
from untaint.training.base import Advice, Batch, Defence, Hooks, Run, Stage, State, Trait, Update

_LEARNED = 2048
"""Rows that fix what is usual: percentiles of so many vary by a few per cent. Later ones change nothing, so that nobody can shift it
slowly."""
_COLUMNS = 1024  # of flat rows, looked at one by one; a column of a table has a scale of its own, pixels share theirs
_ROUNDED = 1e-6
"""Of a column's middle: less is rounding in float32, such as a network makes of the background that all images share."""
_RARE = 10.0
"""Times the usual limit, for a column: features that fire in one row of a hundred show nothing of their size in the 95th percentile (of the
last convolution on MNIST 1.1 % of the rows hold such a value), while a row that outweighs a batch is a hundred times too large."""
_DIRECTIONS = 256  # columns of flat rows of which directions are learned: eight rows for each, of those that are
_TRUSTED = 0.95  # of the rows, by leverage: the same twentieth that percentiles bear
_RECENT = 50  # losses that say what is usual now
_CALM = 25  # updates between two states that can be come back to: what is lost by going back is at most so many
_ALARMS = 3  # losses in a row: one bad batch is no collapse
_JUMP = 4.0  # times the recent median, and at least half the loss of the start: a network that fits well has tiny, jumpy losses
_GRADIENT = 100.0
"""Times the recent median norm: an update so long is refused; honest ones stayed under 2 (MNIST, three epochs of a small network)."""
_LONG = 5
"""Long gradients in a row after which they are no accident but what gradients are now, as when a phase of training begins: what was usual
is forgotten. A collapse is taken back before, after three losses."""


@final
@dataclass(frozen=True)
class Guard(Defence):
    """Drops rows that are out of range before the forward pass, refuses updates that are not finite, and goes back after a collapse.

    Stops: the collapse by one or a few rows of extreme size or of NaN and Inf, in inputs, targets or running statistics of batch
    normalisation, and what bugs do of the same kind. A row is dropped when a value is not finite, when its largest value or, of flat
    rows, a value of a column or its leverage is far over what is usual, when its target is no class, or is out of scale.
    Does not stop: anything in range: backdoors, flipped labels, one row of usual size, which has next to no effect by itself.
    Needs: nothing; learns what is usual from the first 2,048 rows, of which fewer than one in twenty may be bad. low, high: the range of
    inputs where it is known, such as 0 and 1; then a row beyond is dropped however many there are.
    Cost: one pass over the inputs, and a copy of the weights every 25 updates: 1.06 times plain training of a small network of
    convolutions, 1.26 of a small dense one (MNIST, batches of 128).
    Reference: the attack is Blanchard et al. 2017, lemma 1 (NeurIPS 30); the rule is ours, percentiles of logarithms (numerics.magnitudes)
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
    """held: sizes (m, d) of the first rows by name, and the middles (d,) of columns."""

    def __init__(self, low: float | None, high: float | None, classes: int | None) -> None:
        self.low, self.high, self.classes = low, high, classes
        self.seen = self.dropped = 0
        self.held: dict[str, np.ndarray] = {}
        self._limits: dict[str, np.ndarray] = {}
        self._white: dict[str, tuple[np.ndarray, float] | None] = {}

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
        large = ~bad & (sizes > self._limit(name, sizes[:, None])[0])
        yield from ((int(at), f"{name} is far larger than usual") for at in np.flatnonzero(large))
        if values.ndim == 2 and values.dtype.kind == "f" and flat.shape[1] <= _COLUMNS:
            away = flat - self._middle(name, flat)
            astray = ~bad & self._astray(name, away, self._middle(name, flat))
            yield from ((int(at), f"{name} has a column far out of its range") for at in np.flatnonzero(astray))
            if flat.shape[1] <= _DIRECTIONS:
                levers = ~bad & ~astray & self._levers(name, away, ~bad & ~astray)
                yield from ((int(at), f"{name} lies where no other row does (leverage)") for at in np.flatnonzero(levers))

    def _limit(self, name: str, sizes: np.ndarray) -> np.ndarray:
        """(d,) the largest usual of sizes (n, d), from which it learns until enough rows were seen."""
        held = self.held.get(name, np.empty((0, sizes.shape[1])))
        if len(held) < _LEARNED:
            self.held[name] = held = np.concatenate([held, sizes])[:_LEARNED].astype(np.float32)
            self._limits.pop(name, None)
        if name not in self._limits:
            self._limits[name] = limits(held)
        return self._limits[name]

    def _middle(self, name: str, flat: np.ndarray) -> np.ndarray:
        """(d,) medians of the first rows, for good: distances from them are compared with each other."""
        key = f"{name} middle"
        if key not in self.held:
            kept = flat[np.isfinite(flat).all(axis=1)]
            self.held[key] = np.median(kept, axis=0) if len(kept) else np.zeros(flat.shape[1])
        return self.held[key]

    def _astray(self, name: str, away: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """(n,) whether a value is far from the middle of its column."""
        sizes = np.abs(away)
        sizes[sizes <= _ROUNDED * np.abs(middle)] = 0
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((sizes > _RARE * self._limit(f"{name} columns", sizes)).any(axis=1))

    def _levers(self, name: str, away: np.ndarray, fit: np.ndarray) -> np.ndarray:
        """(n,) whether rows are far out in a direction in which others hardly differ. fit: (n,) rows to learn from."""
        key = f"{name} directions"
        held = self.held.get(key, np.empty((0, away.shape[1]), np.float32))
        if len(held) < _LEARNED:
            self.held[key] = held = np.concatenate([held, away[fit]])[:_LEARNED].astype(np.float32)
            self._white.pop(name, None)
        if name not in self._white:
            self._white[name] = _directions(held)
        found = self._white[name]
        if found is None:
            return np.zeros(len(away), bool)
        white, limit = found
        return np.asarray(leverages(away, white) > limit)

    def _unfit_targets(self, targets: np.ndarray) -> Iterator[tuple[int, str]]:
        if targets.dtype.kind in "iu" and targets.ndim == 1 and self.classes is not None:
            out = (targets < 0) | (targets >= self.classes)
            yield from ((int(at), "the target is no class") for at in np.flatnonzero(out))
        if targets.dtype.kind == "f":
            sizes = np.abs(targets.reshape(len(targets), -1)).max(axis=1).astype(np.float64)
            bad = ~np.isfinite(sizes)
            yield from ((int(at), "the target is not finite") for at in np.flatnonzero(bad))
            large = ~bad & (sizes > self._limit("target", sizes[:, None])[0])
            yield from ((int(at), "the target is far larger than usual") for at in np.flatnonzero(large))

    def facts(self) -> dict[str, object]:
        return {"rows_screened": self.seen, "rows_dropped": self.dropped}

    def state(self) -> State:
        return {**{f"held.{name}": values for name, values in self.held.items()}, "screened": np.array([self.seen, self.dropped])}

    def resume(self, held: State) -> None:
        self.seen, self.dropped = held["screened"].tolist()
        self.held = {name.removeprefix("held."): value for name, value in held.items() if name.startswith("held.")}
        self._limits, self._white = {}, {}


def _directions(held: np.ndarray) -> tuple[np.ndarray, float] | None:
    """What makes rows uncorrelated, and the largest usual leverage. Made twice: a row that was far out must not hide itself."""
    white = whitener(held)
    if white is None:
        return None
    usual = leverages(held, white)
    white = whitener(held[usual <= np.quantile(usual, _TRUSTED)])
    return None if white is None else (white, float(limits(leverages(held, white)[:, None])[0]))


@final
class _Sentinel:
    """Watches losses and gradients."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=_RECENT)
        self.norms: deque[float] = deque(maxlen=_RECENT)
        self.start: float | None = None
        self.alarms = self.calm = self.refused = self.back = self.long = 0

    def admit(self, update: Update) -> str | None:
        reason = self._refusal(update)
        if reason is not None:
            self.refused += 1
        elif update.norm > 0:
            self.norms.append(update.norm)
        self.long = self.long + 1 if reason is not None and update.finite else 0
        if self.long > _LONG:
            self.norms.clear()
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
        counts = np.array([self.alarms, self.calm, self.refused, self.back, self.long])
        start = np.array([np.nan if self.start is None else self.start])
        return {"losses": np.array(self.losses), "norms": np.array(self.norms), "sentinel": counts, "start": start}

    def resume(self, held: State) -> None:
        self.losses, self.norms = deque(held["losses"].tolist(), _RECENT), deque(held["norms"].tolist(), _RECENT)
        self.alarms, self.calm, self.refused, self.back, self.long = held["sentinel"].tolist()
        self.start = None if np.isnan(held["start"][0]) else float(held["start"][0])
