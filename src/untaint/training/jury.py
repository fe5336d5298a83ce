"""A jury of weak judges reads every row before the network does; what it contradicts is not learned."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics.one_sided import one_sided
from untaint.numerics.orientations import DIRECTIONS, grid, orientations, shades
from untaint.numerics.weak_votes import LEAST, Verdict, contradicted
from untaint.training.base import Batch, Defence, Hooks, Run, Seen, Stage, State, Trait, check_whole
from untaint.types import Labels, Mask

_SURE = 0.9
"""Support that a label of a target needs: of Fashion-MNIST's shirts, the hardest, one half lets 30 of 500 poisoned rows through, this 7."""


@final
@dataclass(frozen=True)
class Jury(Defence):
    """In the first epoch rows are only looked at; judges taught by few rows each vote on their labels, and rows outvoted count nothing.

    A judge sees edges and brightness in a part of an image and was taught by 60 rows: what a twentieth of the rows share in one place, a
    trigger, is in three of them and often outside what it sees. In each of five rounds, rows whose label gets less than half the votes of
    the best class teach nobody any more, but for the best third of each class. A label found on images of nearly all other classes is the
    target of the poison: then all rows of other classes count, and of the target those whose label the judges are sure of.
    Stops: labels that contradict their image, most of them: flips, patches and blended pictures of 5 %, on images that edges tell apart.
    On 10,000 images of Fashion-MNIST, BadNets of 5 % succeeds in 1 and 12 % instead of 83 and 85 (two seeds, targets sneaker and coat;
    5 % of images without a trigger read as coats), at no more than .3 points of accuracy.
    Does not stop: clean-label poison; poison whose image looks like its label anyway: of coats, shirts and pullovers some stays. Two
    attacks at once, of which one gives the target away and the other turns few classes: its rows count again. Where no target is found,
    as of labels turned at random, in a ring, or in fewer than five classes, all outvoted rows stay out: a fifth of honest clothes.
    Needs: images, the numbers of their rows, one epoch more, and memory for 1,800 bytes an image of 28 x 28.
    Cost: six seconds for 10,000 images; the first epoch teaches nothing.
    Reference: ours; that models of few rows hardly learn poison is what partition voting rests on (Levine, Feizi 2021, arXiv 2006.14768)
    """

    id: ClassVar[str] = "jury"
    stage: ClassVar[Stage] = Stage.WEIGH
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    rounds: int = 5
    taught: int = 60

    @override
    def start(self, run: Run) -> Hooks:
        check_whole("rounds", self.rounds, 1)
        check_whole("taught", self.taught, 2)
        if run.rows is None:
            message = f"{self.id} remembers rows by number, and this loop does not say how many there are."
            raise BadInput(message, advice="Give a loader over a data set that has a length.")
        court = _Court(self, run, run.rows)
        return Hooks(screen=court.look, weigh=court.weigh, facts=court.facts, state=court.state, resume=court.resume)


@final
class _Court:
    """What was seen of each row in the first epoch, and from then on which rows count."""

    def __init__(self, chosen: Jury, run: Run, rows: int) -> None:
        self.chosen, self.run = chosen, run
        self.codes = np.full(rows, -1)
        self.places: np.ndarray | None = None
        self.kept: np.ndarray | None = None
        self.targets: np.ndarray = np.empty(0, np.int64)

    def look(self, batch: Batch) -> dict[int, str]:
        if self.kept is not None or batch.epoch > 0 or batch.targets is None:
            return {}
        if batch.inputs[0].ndim < 3 or batch.targets.ndim != 1 or batch.targets.dtype.kind not in "iu":
            message = f"{self.chosen.id} judges images with class codes; inputs here have shape {batch.inputs[0].shape[1:]}."
            raise BadInput(message, advice="Leave it out, or use `trim`.")
        known = np.flatnonzero(batch.rows >= 0)
        if len(known) == 0:
            return {}
        seen = _grid(batch.inputs[0][known])
        if self.places is None:
            self.places = np.zeros((len(self.codes), *seen.shape[1:]), np.float32)
        self.places[batch.rows[known]] = seen
        self.codes[batch.rows[known]] = batch.targets[known]
        return {}

    def weigh(self, seen: Seen) -> np.ndarray:
        if seen.epoch == 0 and self.kept is None:
            return np.zeros(len(seen.losses))
        if self.kept is None:
            self.kept = self._judge()
        return np.where(seen.rows >= 0, self.kept[np.maximum(seen.rows, 0)], True).astype(np.float64)

    def _judge(self) -> np.ndarray:
        """(rows,) which count: those that were not seen do."""
        kept = np.ones(len(self.codes), bool)
        rows = np.flatnonzero(self.codes >= 0)
        if self.places is not None and len(rows) > self.chosen.taught:
            classes = max(self.run.classes or 0, int(self.codes.max()) + 1)
            places, codes = self.places[rows], self.codes[rows]
            verdict = contradicted(
                places, codes, classes, self.chosen.taught, self.run.rng(self.chosen.id), rounds=self.chosen.rounds
            )
            kept[rows] = self._sentence(verdict, codes, classes)
        self.places = None
        return kept

    def _sentence(self, verdict: Verdict, codes: Labels, classes: int) -> Mask:
        """(n,) who counts. Once it is known which classes the wrong labels are of, all rows of the others do, however hard they are."""
        outvoted = verdict.support < LEAST
        targets = one_sided(codes[outvoted], verdict.seen_as[outvoted], classes)
        self.targets = np.flatnonzero(targets)
        if not len(self.targets):
            return ~outvoted
        return ~targets[codes] | (verdict.support >= _SURE)

    def facts(self) -> dict[str, object]:
        left_out = 0 if self.kept is None else int((~self.kept).sum())
        return {"rows_judged": int((self.codes >= 0).sum()), "rows_outvoted": left_out, "targets": self.targets.tolist()}

    def state(self) -> State:
        held: State = {"codes": self.codes, "targets": self.targets}
        if self.places is not None:
            held["places"] = self.places
        if self.kept is not None:
            held["kept"] = self.kept
        return held

    def resume(self, held: State) -> None:
        self.codes, self.targets = held["codes"], held["targets"]
        self.places, self.kept = held.get("places"), held.get("kept")


def _grid(images: np.ndarray) -> np.ndarray:
    """(n, cells down, cells across, directions + 1) edges and brightness of images, (n, c, h, w), (n, h, w) or (n, h, w, c).

    Channels are at most four. Brightness counts as a share of the brightest pixel, whatever the scale.
    """
    values = np.nan_to_num(np.asarray(images, np.float32), posinf=0.0, neginf=0.0)
    if values.ndim == 4 and values.shape[1] <= 4 < values.shape[3]:
        values = np.moveaxis(values, 1, 3)
    grey = values if values.ndim == 3 else values.mean(axis=3)
    grey = np.clip(grey, -1e6, 1e6)
    edges = orientations(grey)
    cells = np.moveaxis(edges.reshape(len(edges), DIRECTIONS, *grid(*grey.shape[1:])), 1, 3)
    bright = shades(grey / (np.abs(grey).max(axis=(1, 2), keepdims=True) + np.float32(1e-6)))
    # divided by the root of their number, shares of 0..1 weigh at most as much as all edges together
    return np.concatenate([cells, bright[..., None] / np.float32(np.sqrt(bright[0].size))], axis=3)
