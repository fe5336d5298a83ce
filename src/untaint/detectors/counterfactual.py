"""Samples a network believes only because samples like them were in its training data, whatever the trigger looks like."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.stats import entropy, poisson

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.triggers import additive
from untaint.features.content import WEAK, Content, estranged, usual_contradiction
from untaint.features.duplicates import NearCopies
from untaint.features.purified import Beliefs
from untaint.types import Labels, Mask, Pixels, Rows

LEAST_EFFECT = 0.75
"""Diversity of what the members show: entropy over the other classes, as a share of its maximum. Hard samples of honest
classes look like two or three neighbours (at most 0.64 on Fashion-MNIST); a trigger lies on images of all classes (0.88 to 0.97)."""
_BELIEVED = 0.5  # probability of the label by a network that saw samples like it …
_DISBELIEVED = 0.02  # … and by one that saw only supported labels: 1 to 4 % of an honest set
_LEAST_CLASSES = 4  # with fewer there is no telling a diverse group from one neighbour
_SEEDS = 20  # fewer cannot teach a network what they share
_DOUBTED = 2.0  # log odds from which a sample teaches the next round; it must not be supported by its neighbourhood either
_ALSO = -2.0  # log odds from which a sample that was believed without grounds, as most poison is, teaches the next round too
_MEMBER = -3.0
"""Log odds from which a sample belongs to the group in the end: part of the poison stands among the supported samples that the
network learned as honest, so its odds are too low. Grown from seeds that are sure, a warp of 5 % labelled as the hardest class of
Fashion-MNIST and a smooth pattern of 3 %: 0 finds 88 and 60 % of them, -2 94 and 69 %, -3 95 and 74 %, -5 97 and 84 %, with 20 and 16,
25 and 21, 35 and 33, 65 and 56 honest samples of 9,600."""
_NO_GROUNDS = 0.05  # corrected chance from which seeds are not worth growing
_FEWEST = 2  # rounds before growth may be said to have ended
_GROWN = 1.03  # times as many seeds as before: another round is worth its time


@final
@dataclass(frozen=True)
class Counterfactual(Detector):
    """Compares what networks say that saw a sample's kind with one that saw only supported labels, then grows the difference.

    *With*: two networks, each trained on half of the set, judge the other half. *Without*: one network trained on the rows
    whose label their neighbourhood supports. A sample of class c that the first believe (over 0.5) and the second does not
    (under 0.02) was believed because of something else than content. Natural hard samples are of that kind too, but they
    look like the few classes next to theirs; the seeds of a trigger show every class alike. Where the seeds are that diverse, a
    small network learns to tell those that show what is far from the label from supported images, held out, and finds the rest
    of them, round by round, as long as they grow.

    Works when: labels are wrong and a network learns the trigger from 3 % of the set: warps, smooth blends, triggers that
        differ from image to image.
    Fails when: labels are right; when content cannot be judged; when every image shows the same source class; when the network
        does not learn the trigger.
    Cost: one and a half trainings of the proxy; half a minute more where there is something to grow.
    Reference: own method; counterfactual influence: Feldman, Zhang 2020, arXiv 2008.03703
    """

    id: ClassVar[str] = "counterfactual"
    rounds: int = 9

    @property
    def budget(self) -> str:
        return "standard"

    def examine(
        self,
        beliefs: Beliefs,
        pixels: Pixels,
        labels: Labels,
        content: Content,
        near_copies: NearCopies,
        class_names: tuple[str, ...],
    ) -> Evidence:
        rows = np.flatnonzero(labels >= 0)
        scores = np.full(len(labels), np.nan, np.float32)
        own_with, own_without = beliefs.seen[rows, labels[rows]], beliefs.purified[rows, labels[rows]]
        scores[rows] = _log_odds(own_with) - _log_odds(own_without)
        if len(class_names) < _LEAST_CLASSES:
            return Evidence(scores, "empirical", note=f"fewer than {_LEAST_CLASSES} classes: diversity says nothing")
        seeds = np.zeros(len(labels), bool)
        seeds[rows] = (own_with > _BELIEVED) & (own_without < _DISBELIEVED)
        kept = beliefs.supported
        seeds &= ~kept
        shown = np.nan_to_num(beliefs.purified).argmax(1)
        breadths = np.array([_breadth(shown[seeds & (labels == c)], c, len(class_names)) for c in range(len(class_names))])
        groups = []
        for number, name in enumerate(class_names):
            started = np.flatnonzero(seeds & (labels == number))
            p_value = _p_value(breadths, number) * len(class_names)
            diversity = _diversity(shown[started], number, len(class_names))
            if len(started) < _SEEDS or diversity < LEAST_EFFECT or p_value > _NO_GROUNDS:
                continue
            sure = _sure(started, shown, number, len(class_names))
            members, likeness = self._grown((sure, started), kept, pixels, labels, near_copies)
            scores[labels == number] += likeness
            if len(members) == 0:
                continue
            diversity = _diversity(shown[members], number, len(class_names))
            against = float((beliefs.purified[members, number] < content.level).mean())
            if usual_contradiction(content, labels, members) > WEAK:  # a weak judge disbelieves hard honest samples as well
                against = min(against, estranged(content, pixels, labels, members))
            explanation = (
                f"Networks believe that these {len(members):,} images are '{name}' only when images like them were in their "
                f"training data: what they show is spread over the other classes ({diversity:.0%} of full diversity)."
            )
            trigger = additive(pixels, content, members, rows)
            groups.append(
                Group(
                    "backdoor",
                    members,
                    float(breadths[number]),
                    min(1.0, p_value),
                    diversity,
                    LEAST_EFFECT,
                    explanation,
                    against,
                    target_label=name,
                    trigger=trigger,
                    core=_confirmed(started, np.flatnonzero(labels == number), likeness),
                )
            )
        return Evidence(scores, "empirical", tuple(groups))

    def _grown(
        self, started: tuple[Rows, Rows], kept: Mask, pixels: Pixels, labels: Labels, near_copies: NearCopies
    ) -> tuple[Rows, np.ndarray]:
        """Members grown from seeds, and the log odds of every row of their class to be one. started: sure seeds, and all of them."""
        from untaint.nets import training

        seeds, doubted = started
        inside = np.flatnonzero(labels == labels[seeds[0]])
        others, same = np.flatnonzero(kept & (labels != labels[seeds[0]])), inside[kept[inside]]
        odd = np.flatnonzero(~kept & (labels >= 0) & (labels != labels[seeds[0]]))  # honest but unusual: not what seeds share
        folds, rng = near_copies.folds(2, 1), np.random.default_rng(0)
        told, most = np.zeros(len(inside), np.float32), 0
        for turn in range(self.rounds):
            size = max(2 * len(seeds), 400)
            honest = [_drawn(others, size // 2, rng), _drawn(odd, size // 2, rng), _drawn(same, size // 2, rng)]
            odds = training.contrast(pixels, seeds, np.concatenate(honest), folds, inside, turn)
            taught = ~kept[inside] & ((odds > _DOUBTED) | (np.isin(inside, doubted) & (odds > _ALSO)))
            grown = inside[taught]
            if len(grown) >= most:  # of 300 updates some end badly: such a network knows fewer, and its odds say little
                told, most = odds, len(grown)
            if len(grown) < _SEEDS or (turn >= _FEWEST and len(grown) < _GROWN * len(seeds)):
                break
            seeds, same = grown, inside[kept[inside] & (odds < _DOUBTED)]
        return inside[told > _MEMBER], told


def _sure(seeds: Rows, shown: np.ndarray, label: int, classes: int) -> Rows:
    """Seeds that show one of the rarer half of the other classes, for hard honest samples show the neighbours of theirs.

    All seeds, where those are too few to teach a network. Of 538 shirts that were believed without grounds 173 were honest; of the
    145 that showed something far from a shirt 24.
    """
    counts = np.bincount(shown[seeds], minlength=classes)
    rare = np.delete(np.arange(classes), label)
    rare = rare[np.argsort(counts[rare], kind="stable")][: len(rare) // 2]
    far = seeds[np.isin(shown[seeds], rare)]
    return far if len(far) >= _SEEDS else seeds


def _confirmed(seeds: Rows, inside: Rows, odds: np.ndarray) -> Rows:
    """Seeds that the grown network takes for members as well; the others were hard honest samples. All, if it takes none."""
    confirmed = seeds[odds[np.searchsorted(inside, seeds)] > 0]
    return confirmed if len(confirmed) else seeds


def _drawn(rows: Rows, size: int, rng: np.random.Generator) -> Rows:
    return rng.choice(rows, min(size, len(rows)), replace=False)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    bounded = np.clip(probabilities, 1e-6, 1 - 1e-6)
    odds: np.ndarray = np.log(bounded / (1 - bounded))
    return odds


def _diversity(shown: np.ndarray, label: int, classes: int) -> float:
    """Entropy of the classes shown, the label's own left out, as a share of the largest possible."""
    counts = np.bincount(shown[shown != label], minlength=classes)
    return float(entropy(counts) / np.log(classes - 1)) if counts.sum() else 0.0


def _breadth(shown: np.ndarray, label: int, classes: int) -> int:
    """How many seeds show one of the rarer half of the other classes: neighbours of a class are in the other half."""
    counts = np.delete(np.bincount(shown, minlength=classes), label)
    return int(np.sort(counts)[: len(counts) // 2].sum())


def _p_value(breadths: np.ndarray, number: int) -> float:
    """P(breadth this large | as in the worst of the other classes), Poisson."""
    usual = max(int(np.delete(breadths, number).max(initial=0)), 0) + 1
    return float(poisson.sf(breadths[number] - 1, usual))
