"""Anti-backdoor learning: rows that stand out while the network learns are set apart, then left out or unlearned."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, final, get_args

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics import bounded
from untaint.training.base import Defence, Hooks, Run, Seen, Stage, State, Trait, check_known, check_number, check_whole

Signal: TypeAlias = Literal["contradiction", "ease"]


@final
@dataclass(frozen=True)
class Isolate(Defence):
    """After some epochs, rows are set apart by how they were learned; from then on they count nothing, or are unlearned.

    signal: contradiction: rows whose label the network gave less than `belief` on average while it learned: their content says
    something else. ease: the rows with the least loss, that `share` of all, as in the paper: it takes poison to be learned first.
    watched: epochs before rows are set apart.  ease: in these, a row whose loss is under `gamma` is pushed back up to it.
    unlearn: how strongly rows set apart are unlearned, until the network believes them less than chance would; 0 = left out.
    Stops: contradiction: label flips, dirty-label backdoors as long as something else (`trim`, `clip`) keeps them from being learned
    while rows are watched. ease: patches that are learned far faster than any honest row.
    Does not stop: clean-label poison. ease on easy data: honest rows of an easy class are learned first; on MNIST not one of the
    1 % of rows with the least loss was poison, and unlearning them harms.
    Needs: a loop that knows the numbers of its rows; losses that are cross-entropies.
    Cost: none that can be measured; honest rows set apart are lost to training.
    Reference: Li, Lyu, Koren, Lyu, Li, Ma 2021, arXiv 2110.11571 (ease: gamma .5, 1 %, 20 of 100 epochs); contradiction is ours
    """

    id: ClassVar[str] = "isolate"
    stage: ClassVar[Stage] = Stage.WEIGH
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    signal: Signal = "contradiction"
    watched: int = 2
    belief: float = 0.1
    share: float = 0.01
    gamma: float = 0.5
    unlearn: float = 0.0

    @override
    def start(self, run: Run) -> Hooks:
        check_known("signal", self.signal, get_args(Signal))
        check_whole("watched", self.watched, 1)
        check_number("belief", self.belief, 0.0, 1.0)
        check_number("share", self.share, 0.0, 0.5)
        check_number("gamma", self.gamma, 0.0, 1e3)
        check_number("unlearn", self.unlearn, 0.0, 1.0)
        if run.rows is None:
            message = f"{self.id} remembers rows by number, and this loop does not say how many there are."
            raise BadInput(message, advice="Give a loader whose data set has a length.")
        kept = _Kept(self, run.rows)
        return Hooks(weigh=kept.weigh, facts=kept.facts, state=kept.state, resume=kept.resume)


class _Kept:
    """What was seen of each row, and which rows are set apart; none are until the watch is over."""

    def __init__(self, chosen: Isolate, rows: int) -> None:
        self._chosen = chosen
        self._sums, self._seen = np.zeros(rows), np.zeros(rows, dtype=np.int64)
        self._apart = np.zeros(rows, dtype=bool)
        self._over = False

    def weigh(self, seen: Seen) -> np.ndarray:
        known = seen.rows >= 0
        if seen.rows.max(initial=-1) >= len(self._sums):
            message = f"the loop trains on row {int(seen.rows.max()):,} of {len(self._sums):,}."
            raise BadInput(message, advice="The data set may not grow while it is trained on.")
        sound = np.isfinite(seen.losses)
        if seen.epoch < self._chosen.watched:
            return self._watch(seen, known, sound)
        if not self._over:
            self._apart, self._over = self._set_apart(), True
        apart = known & self._apart[np.where(known, seen.rows, 0)]
        classes = seen.outputs.shape[1] if seen.outputs.ndim == 2 else 2
        believed = seen.losses < np.log(max(classes, 2))  # more than by chance
        return np.where(sound, np.where(apart, np.where(believed, -self._chosen.unlearn, 0.0), 1.0), 0.0)

    def _watch(self, seen: Seen, known: np.ndarray, sound: np.ndarray) -> np.ndarray:
        at = seen.rows[known & sound]
        losses = np.maximum(seen.losses[known & sound], 0).astype(np.float64)
        values = bounded.believed(losses, 1.0) if self._chosen.signal == "contradiction" else np.minimum(losses, _MOST)
        np.add.at(self._sums, at, values)
        np.add.at(self._seen, at, 1)
        if self._chosen.signal == "contradiction":
            return sound.astype(np.float64)
        with np.errstate(invalid="ignore"):
            return np.where(sound, np.where(seen.losses < self._chosen.gamma, -1.0, 1.0), 0.0)

    def _set_apart(self) -> np.ndarray:
        mean = np.where(self._seen > 0, self._sums / np.maximum(self._seen, 1), np.nan)
        if self._chosen.signal == "contradiction":
            return mean < self._chosen.belief
        ranks = np.argsort(np.where(np.isnan(mean), np.inf, mean), kind="stable")[: int(self._chosen.share * len(mean))]
        apart = np.zeros(len(mean), dtype=bool)
        apart[ranks] = True
        return apart & (self._seen > 0)

    def facts(self) -> dict[str, object]:
        return {"set_apart": np.flatnonzero(self._apart).tolist(), "decided": self._over}

    def state(self) -> State:
        return {"sums": self._sums.copy(), "seen": self._seen.copy(), "apart": self._apart.copy(), "over": np.array(self._over)}

    def resume(self, state: State) -> None:
        self._sums, self._seen, self._apart = (state[name].copy() for name in ("sums", "seen", "apart"))
        self._over = bool(state["over"])


_MOST = 100.0
"""Of a loss that is remembered: one wild epoch must not outweigh all others."""
