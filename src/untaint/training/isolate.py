"""Anti-backdoor learning: rows that stand out while the network learns are set apart, then left out or unlearned."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, final, get_args

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics import bounded
from untaint.training.base import Defence, Hooks, Run, Seen, Stage, State, Trait, check_known, check_number, check_whole

Signal: TypeAlias = Literal["everywhere", "contradiction", "ease"]


@final
@dataclass(frozen=True)
class Isolate(Defence):
    """After some epochs, rows are set apart by how they were learned; from then on they count nothing, or are unlearned.

    signal: everywhere: rows whose label the network believes less than `belief`, of classes whose label stands on images of nearly
    all other classes: honest confusion is with a few neighbours. All rows are looked at in the two epochs that begin after the
    network believes labels `settled` on average; what the second says counts. Until it ends, no row's gradient is longer than
    `bound`, and rows believed less than `belief` count nothing; from then on only those set apart do, and the bound grows.
    contradiction: rows whose label the network gave less than `belief` on average while it learned.
    ease: the rows with the least loss, that `share` of all, as in the paper: it takes poison to be learned first.
    watched: epochs before rows are set apart, of the other two signals.
    gamma: of ease: a watched row whose loss is under it is pushed back up to it.
    unlearn: how strongly rows set apart are unlearned, until the network believes them less than chance would; 0 = left out.
    Stops: everywhere: backdoors with one target for all classes, as long as `bound` keeps them from being learned until all rows
    were looked at. contradiction: label flips too; honest rows that are hard are lost with them. ease: patches that are learned far faster
    than any honest row.
    Does not stop: clean-label poison; one row of NaN or of extreme size, for which `harden` puts `guard` beside it. everywhere: a patch
    that is learned meanwhile: with 5 % BadNets in 10,000 digits 382 of 500 rows were set apart and success fell from 99.6 to 59 %, with
    a blended picture 471, to .5 %; triggers for one source class, or with a target for each class; poison that is the larger part of
    all labels of many classes. ease on easy data: honest rows of an easy class are learned first; on MNIST not one of the 1 % of rows
    with the least loss was poison, and unlearning them harms.
    Needs: a loop that knows the numbers of its rows; losses that are cross-entropies.
    Cost: that of `clip`, and some epochs of slow learning; honest rows set apart are lost: 4 points of accuracy on clothes.
    Reference: Li, Lyu, Koren, Lyu, Li, Ma 2021, arXiv 2110.11571 (ease: gamma .5, 1 %, 20 of 100 epochs); the others are ours
    """

    id: ClassVar[str] = "isolate"
    stage: ClassVar[Stage] = Stage.WEIGH
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    signal: Signal = "everywhere"
    settled: float = 0.6
    watched: int = 2
    belief: float = 0.05
    bound: float = 1.0
    share: float = 0.01
    gamma: float = 0.5
    unlearn: float = 0.0

    @override
    def start(self, run: Run) -> Hooks:
        check_known("signal", self.signal, get_args(Signal))
        check_number("settled", self.settled, 0.0, 1.0)
        check_whole("watched", self.watched, 1)
        check_number("belief", self.belief, 0.0, 1.0)
        check_number("bound", self.bound, 0.0)
        check_number("share", self.share, 0.0, 0.5)
        check_number("gamma", self.gamma, 0.0, 1e3)
        check_number("unlearn", self.unlearn, 0.0, 1.0)
        if run.rows is None:
            message = f"{self.id} remembers rows by number, and this loop does not say how many there are."
            raise BadInput(message, advice="Give a loader whose data set has a length.")
        if self.signal == "everywhere":
            looking = _Everywhere(self, run.rows)
            bound = looking.bound if self.bound > 0 else None
            return Hooks(weigh=looking.weigh, bound=bound, facts=looking.facts, state=looking.state, resume=looking.resume)
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
        _check_rows(seen, len(self._sums))
        sound = np.isfinite(seen.losses)
        if seen.epoch < self._chosen.watched:
            return self._watch(seen, known, sound)
        if not self._over:
            self._apart, self._over = self._set_apart(), True
        return _weights(seen, self._apart, self._chosen.unlearn)

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


@final
class _Everywhere:
    """What each row was read as in the epoch in which all are looked at; none are set apart until it is over."""

    def __init__(self, chosen: Isolate, rows: int) -> None:
        self._chosen = chosen
        self._belief, self._read, self._label = np.full(rows, np.nan), np.full(rows, -1), np.full(rows, -1)
        self._apart = np.zeros(rows, dtype=bool)
        self._epoch = -1  # the one in which all are looked at, -1 = not begun
        self._last, self._over = -1, False
        self._since = 0  # steps since rows were set apart
        self._mean, self._settled = 0.0, chosen.settled == 0
        self._shares: list[float] = []

    def weigh(self, seen: Seen) -> np.ndarray:
        _check_rows(seen, len(self._belief))
        if seen.outputs.ndim != 2 or seen.targets.ndim != 1:
            message = "isolate needs logits (n, k) and class codes (n,)"
            raise BadInput(f"{message}, not {seen.outputs.shape} and {seen.targets.shape}.", advice="Choose another signal.")
        if self._epoch < 0 and seen.epoch > max(self._last, 0) and self._settled:
            self._epoch = seen.epoch
        elif self._epoch >= 0 and seen.epoch >= self._epoch + _LOOKS and not self._over:
            self._apart, self._over = self._set_apart(seen.outputs.shape[1]), True
        self._last = seen.epoch
        if self._over:
            self._since += 1
            return _weights(seen, self._apart, self._chosen.unlearn)
        belief = bounded.believed(bounded.surprise(seen.outputs, seen.targets), 1.0)
        sound = np.isfinite(seen.losses)
        if self._epoch >= 0:
            at = (seen.rows >= 0) & sound & np.isfinite(seen.outputs).all(1)
            self._belief[seen.rows[at]] = belief[at]
            self._read[seen.rows[at]] = seen.outputs[at].argmax(1)
            self._label[seen.rows[at]] = seen.targets[at]
        doubted = self._settled & (belief < self._chosen.belief)
        self._mean += (float(belief.mean()) - self._mean) / _RECENT if len(belief) else 0.0
        self._settled = self._settled or self._mean >= self._chosen.settled
        return np.where(sound & ~doubted, 1.0, 0.0)

    def bound(self, norms: np.ndarray) -> np.ndarray:
        """Short while rows are looked at, then longer with each step, so that rows that count again are not learned at a blow."""
        finite = np.isfinite(norms)
        limit = self._chosen.bound * _LONGER ** min(self._since, _FREE)
        return np.where(finite, np.minimum(1.0, limit / np.maximum(np.where(finite, norms, 1.0), _TINY)), 0.0)

    def _set_apart(self, classes: int) -> np.ndarray:
        """Doubted rows of the classes whose label stands on images of nearly all others."""
        looked = (self._read >= 0) & (self._label >= 0) & (self._label < classes)
        table = np.zeros((classes, classes))
        np.add.at(table, (self._read[looked], self._label[looked]), 1)
        enough = table.sum(1) >= _FEW * looked.sum() / classes
        by_label = table / np.maximum(table.sum(1, keepdims=True), 1)
        for label in range(classes):
            others = enough & (np.arange(classes) != label)
            self._shares.append(float(np.quantile(by_label[others, label], _QUARTER)) if others.any() else 0.0)
        shares = np.array(self._shares)
        strange = shares > max(_LEAST_SHARE, _OUTSTANDING * float(np.median(shares)))
        return looked & strange[np.where(looked, self._label, 0)] & (self._belief < self._chosen.belief)

    def facts(self) -> dict[str, object]:
        apart = np.flatnonzero(self._apart).tolist()
        return {"set_apart": apart, "decided": self._over, "labels_on_images_of_others": self._shares}

    def state(self) -> State:
        numbers = np.array([self._epoch, self._last, int(self._over), int(self._settled), self._since])
        held = {
            "belief": self._belief.copy(),
            "read": self._read.copy(),
            "label": self._label.copy(),
            "apart": self._apart.copy(),
        }
        return held | {"numbers": numbers, "shares": np.array(self._shares), "mean": np.array(self._mean)}

    def resume(self, state: State) -> None:
        self._belief, self._read = state["belief"].copy(), state["read"].copy()
        self._label, self._apart = state["label"].copy(), state["apart"].copy()
        self._epoch, self._last, over, settled, self._since = (int(each) for each in state["numbers"])
        self._over, self._settled, self._mean = bool(over), bool(settled), float(state["mean"])
        self._shares = [float(share) for share in state["shares"]]


def _weights(seen: Seen, apart: np.ndarray, unlearn: float) -> np.ndarray:
    """1, or what rows set apart count: unlearned while the network believes them more than by chance."""
    known = seen.rows >= 0
    out = known & apart[np.where(known, seen.rows, 0)]
    classes = seen.outputs.shape[1] if seen.outputs.ndim == 2 else 2
    believed = seen.losses < np.log(max(classes, 2))
    return np.where(np.isfinite(seen.losses), np.where(out, np.where(believed, -unlearn, 0.0), 1.0), 0.0)


def _check_rows(seen: Seen, rows: int) -> None:
    if seen.rows.max(initial=-1) >= rows:
        message = f"the loop trains on row {int(seen.rows.max()):,} of {rows:,}."
        raise BadInput(message, advice="The data set may not grow while it is trained on.")


_LOOKS = 2  # epochs: of 10,000 digits the first found 369 of 500 poisoned rows, and what was left sufficed
_LONGER, _FREE = 1.02, 1000
"""Twice as long every 35 steps; after a thousand nothing is bounded any more."""
_RECENT = 20.0  # batches: a moment of luck settles nothing
_TINY = 1e-12  # a gradient of nothing is not divided by
_FEW = 0.1
"""A class that is read in less than a tenth of its share of the rows says nothing about labels."""
_QUARTER = 0.25
"""Three in four other classes: a honest label stands on images of its few neighbours, at most half of them on Fashion-MNIST."""
_LEAST_SHARE, _OUTSTANDING = 0.005, 5.0
"""Of the images read as another class, the share with this label: half a per cent, and five times what is usual. On 60,000 Fashion-MNIST
images after 250 steps it was 5.9 % for the target of BadNets at 5 %, at most .4 % for other labels."""
