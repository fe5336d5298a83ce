"""What an image shows, judged by views that a small trigger cannot reach all at once.

Five coarse views of every image (the whole pooled hard; left, right, top and bottom parts of a blurred one) each feed a
cross-fitted kernel ridge classifier. A local trigger is absent from at least one view, so the second lowest probability
that any view gives the sample's own label is low when content and label disagree, whoever put the label there.
"""

from dataclasses import dataclass, field
from typing import final

import numpy as np
from scipy.special import softmax
from scipy.stats import entropy

from untaint.features.duplicates import NearCopies
from untaint.features.encoded import Encoded
from untaint.features.graph import feature
from untaint.features.judgement import Judgement
from untaint.features.settings import Settings
from untaint.features.views import VIEWS
from untaint.features.votes import Votes
from untaint.numerics import ridge
from untaint.types import Labels, Pixels, Rows

CONTRADICTED = 0.12
"""Content contradicts a label whose probability is below this in the second lowest view: just above chance for ten classes
(measured: 4-11 % of honest MNIST and Fashion-MNIST, 83-99 % of dirty-label poison). See `contradiction_level`."""
WEAK = 0.2
"""Judges that contradict more honest labels than this are weak (photographs: 0.5); for them a mean says more than a share."""
_FEATURES = 1024  # cosines per view; 2048 gains 1 point of accuracy at 4 times the cost (Fashion-MNIST, 60,000)
_GAMMA = 2.0  # of unit vectors; 1 to 4 differ by under 1 point
_ENCODED_GAMMA = 0.5  # of an encoder's: its distances mean more; 1 costs 2 points, 2 costs 10
_PENALTY = 1e-3  # 1e-5 to 1e-3 differ by under half a point
_FOLDS = 5
_MOST_OF_CLASS = 0.35  # poison can outnumber the honest part of its class, which is then the group that looks foreign
_FEWEST_SPREAD = 4  # classes: with fewer there is no telling all others from one neighbour
_JUDGED = 1000  # members; the standard error of a mean is then under 1 %
_UNEVEN, _EVEN = 0.85, 0.95
"""Spread of what a group shows (entropy over the other classes, of its maximum) from which it counts, and from which in full. Honest
halves of classes that a judge never saw: at most 0.82 on MNIST and Fashion-MNIST, 0.88 on CIFAR-10; warped images of all classes 0.99."""
_LEAST_PER_LABEL = 8  # rows on average: four photographs with their shifted copies are no pattern of labels
_LEAST_MOVED = 160  # rows that are enough however many labels they have: twenty of 8
_DEALS = 999  # permutations: one in a thousand by chance


@final
@dataclass(frozen=True)
class Content(Judgement):
    """Judgement by views: own is the second lowest probability over them, probabilities are their mean.

    voted (n,), foreign (k,), vote_level (n,): what the neighbourhood says of the label as it stands, see `features.votes`.
    grams (v, D, D), crosses (v, D, k), temperatures (v,): what is needed to judge rows again with some taken out.
    encoded: (v, n, d) the views, where an encoder made them.
    """

    voted: np.ndarray
    foreign: np.ndarray
    vote_level: np.ndarray
    grams: np.ndarray
    crosses: np.ndarray
    temperatures: np.ndarray
    n: int
    seed: int
    encoded: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0), np.float16))

    @property
    def outvoted(self) -> np.ndarray:
        """(n,) bool: the neighbourhood speaks against the label; False where not assessed. Errors come in families of rare looks."""
        return np.nan_to_num(self.voted, nan=1.0) < self.vote_level


def contradiction_level(classes: int) -> float:
    """The level for k classes: `CONTRADICTED` for ten, scaled so that it stays 1.2 times chance, at most one in four."""
    return float(min(0.25, CONTRADICTED * 10 / classes))


@feature(stored=True, modality="image")
def content(
    pixels: Pixels, labels: Labels, near_copies: NearCopies, votes: Votes, encoded: Encoded, settings: Settings
) -> Content:
    """Cross-fitted content probabilities from trigger-insensitive views; copies of a sample never judge it."""
    classes = int(labels.max()) + 1
    rows = np.flatnonzero(labels >= 0)
    folds = near_copies.folds(_FOLDS, settings.seed)[rows]
    assessed, totals, temperatures = [], [], []
    for number, inputs in enumerate(encoded.looks(pixels, rows)):
        features = _fourier(inputs.shape[1], number, settings.seed, _gamma(encoded.views))
        scores, total = ridge.cross_fit(features, inputs, labels[rows], folds, classes, _PENALTY)
        probabilities, temperature = ridge.calibrated(scores, labels[rows])
        assessed.append(probabilities)
        totals.append(total)
        temperatures.append(temperature)
        settings.report_progress("judging content", number + 1, len(VIEWS))
    own, mean = _gathered(np.stack(assessed), labels[rows])
    return Content(
        _scattered(own, rows, len(labels)),
        _scattered(mean, rows, len(labels)),
        contradiction_level(classes),
        votes.own,
        votes.foreign,
        votes.level,
        np.stack([total.gram for total in totals]),
        np.stack([total.cross for total in totals]),
        np.array(temperatures, np.float32),
        len(rows),
        settings.seed,
        encoded.views,
    )


def judged_without(
    content: Content, pixels: Pixels, labels: Labels, group: Rows, judged: Rows | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Content of a group judged by everything but the group: own-label probability (m,) and mean probabilities (m, k).

    judged: the rows to judge, by default the whole group.

    A group that became its own neighbourhood (poison at 5 % and more) is seen here as what it shows.
    """
    classes = content.crosses.shape[2]
    judged = group if judged is None else judged
    if len(judged) == 0:
        return np.empty(0, np.float32), np.empty((0, classes), np.float32)
    assessed = []
    encoded = Encoded(content.encoded)
    views = encoded.looks(pixels, group)
    shown = views if judged is group else encoded.looks(pixels, judged)
    for number, (inputs, asked) in enumerate(zip(views, shown, strict=True)):
        features = _fourier(inputs.shape[1], number, content.seed, _gamma(content.encoded))
        total = ridge.Sums(content.grams[number], content.crosses[number], content.n)
        coefficients = (total - ridge.sums(features, inputs, labels[group], classes)).solve(_PENALTY)
        scores = ridge.predict(features, asked, coefficients)
        assessed.append(softmax(content.temperatures[number] * scores, axis=1))
    return _gathered(np.stack(assessed), labels[judged])


def contradiction(content: Content, pixels: Pixels, labels: Labels, group: Rows) -> float:
    """How far a group's content speaks against its label, 0..1; all readings beyond what is usual in the rest of its classes.

    The larger of `standing` and the share contradicted once the group no longer vouches for itself, counted as far as what the
    members show is diverse. A natural sub-class taken out of its class looks like one neighbouring class (entropy of content at
    most 0.76 of its maximum on MNIST and Fashion-MNIST); a trigger lies on images of all classes (0.93 and more). A group that is
    a large part of its class may be the honest one, foreign to what is left of it: there only `standing` counts.
    """
    if len(group) == 0:
        return 0.0
    contradicted, credit = _without(content, pixels, labels, group)
    beyond = excess(float(contradicted.mean()), usual_contradiction(content, labels, group))
    return max(_standing(content, labels, group, credit), 0.0 if _majority(labels, group) else beyond * credit)


def standing(content: Content, pixels: Pixels, labels: Labels, group: Rows) -> float:
    """How far a group's content speaks against its label while the group is part of what judges it, 0..1.

    The share that the fine judge contradicts, which knows rare honest looks; and the share that the neighbourhood contradicts,
    which does not, and counts as far as what the members show is diverse.
    """
    return _standing(content, labels, group, _without(content, pixels, labels, group)[1]) if len(group) else 0.0


def _standing(content: Content, labels: Labels, group: Rows, credit: float) -> float:
    fine = excess(float(content.contradicted[group].mean()), usual_contradiction(content, labels, group))
    usual = usual_among(content.outvoted, labels, group)
    voted = excess(float(content.outvoted[group].mean()), usual)
    if usual > WEAK:
        voted = max(voted, foreign_share(content, labels, group))
    return max(fine, voted * credit)


def alone(content: Content, pixels: Pixels, labels: Labels, group: Rows) -> tuple[np.ndarray, float]:
    """Which members (m,) bool everything but the group contradicts, and the credit 0..1 for the diversity of what they show.

    No credit to a group that may be what its classes honestly are.
    """
    contradicted, credit = _without(content, pixels, labels, group, len(group))
    return contradicted, 0.0 if _majority(labels, group) else credit


def _majority(labels: Labels, group: Rows) -> bool:
    """Is a group so large a part of its classes that it may be what they honestly are?"""
    return len(group) > _MOST_OF_CLASS * (len(group) + len(_classmates(labels, group)))


def _without(content: Content, pixels: Pixels, labels: Labels, group: Rows, most: int = 4000) -> tuple[np.ndarray, float]:
    """As `alone`, whatever the size of the group; of more than `most` members an even sample is judged."""
    sample = group[:: max(1, -(-len(group) // max(most, 1)))]
    own, mean = judged_without(content, pixels, labels, group, sample)
    return own < content.level, _credit(mean)


def _credit(mean: np.ndarray) -> float:
    """From none to full as what rows show, by mean probabilities (m, k), goes from one class to all."""
    shown = np.bincount(mean.argmax(1), minlength=mean.shape[1]) / len(mean)
    most_diverse = np.log(max(min(mean.shape[1] - 1, len(mean)), 1))  # forty images cannot show a hundred classes
    diversity = float(entropy(shown) / most_diverse) if most_diverse > 0 else 0.0
    return min(1.0, max(0.0, (diversity - 0.5) / 0.4))


def _classmates(labels: Labels, group: Rows) -> Rows:
    """Rows of the group's classes outside the group."""
    outside = np.isin(labels, np.unique(labels[group])) & (labels >= 0)
    outside[group] = False
    return np.flatnonzero(outside)


def foreign_share(content: Content, labels: Labels, group: Rows) -> float:
    """Lower bound (two standard errors) for the share of a group that is as foreign to its label as images of other classes.

    The group's mean vote, on a line from the mean of the rest of its classes (0) to that of images of other classes given
    the same label (1): as valid for a weak judge as for a strong one, only less sharp.
    """
    classes, sizes = np.unique(labels[group], return_counts=True)
    outside = _classmates(labels, group)
    sums = np.bincount(labels[outside], content.voted[outside], minlength=len(content.foreign))
    usual = sums / np.maximum(np.bincount(labels[outside], minlength=len(content.foreign)), 1)
    near = min(float(np.average(usual[classes], weights=sizes)), _half_of_classes(content.voted, labels))
    far = np.average(content.foreign[classes], weights=sizes)
    given = content.voted[group]
    seen = float(given.mean()) + 2 * float(given.std()) / np.sqrt(len(group))
    return float(np.clip((near - seen) / (near - far), 0, 1)) if near > far else 0.0


def estranged(content: Content, pixels: Pixels, labels: Labels, group: Rows) -> float:
    """How far a group is to its label what images of other classes are, once it no longer vouches for itself, 0..1.

    As `foreign_share`, but by the judge, who forgets the group, for a neighbourhood of a thousand images with one trigger agrees
    with itself. Any half of a class looks foreign to a judge who never saw it, so this counts only as far as what the members show
    is spread over all other classes alike, which what honest images resemble is not, however weak the judge.
    """
    classes = content.crosses.shape[2]
    if len(group) == 0 or classes < _FEWEST_SPREAD:
        return 0.0
    sample = group[:: max(1, -(-len(group) // _JUDGED))]
    mean, given = judged_without(content, pixels, labels, group, sample)[1], labels[sample]
    own = np.nan_to_num(content.probabilities[np.arange(len(labels)), labels])
    outside, known = _classmates(labels, group), np.flatnonzero(labels >= 0)
    near = max(float(own[outside].mean()) if len(outside) else 0.0, _half_of_classes(own, labels))
    far = np.mean([content.probabilities[known[labels[known] != label], label].mean() for label in np.unique(given)])
    seen = mean[np.arange(len(sample)), given]
    bound = float(seen.mean()) + 2 * float(seen.std()) / np.sqrt(len(sample))
    shown = np.bincount(mean.argmax(1)[mean.argmax(1) != given], minlength=classes)
    spread = float(entropy(shown)) / np.log(min(classes - 1, len(sample))) if shown.sum() and len(sample) > 1 else 0.0
    share = (near - bound) / (near - far) if near > far else 0.0
    return float(np.clip(share, 0, 1) * np.clip((spread - _UNEVEN) / (_EVEN - _UNEVEN), 0, 1))


def usual_contradiction(content: Content, labels: Labels, group: Rows) -> float:
    """How often content contradicts honest labels like a group's: 0.1 on clothes, 0.6 on photographs. See `usual_among`."""
    return usual_among(content.contradicted, labels, group)


def usual_among(contradicted: np.ndarray, labels: Labels, group: Rows) -> float:
    """Share contradicted (n,) in the rest of a group's classes, or in half of all classes if that is more.

    The rest of a class may be the poison: images that share a trigger and a label vouch for each other, and the honest ones
    beside them look foreign.
    """
    outside = _classmates(labels, group)
    rest = float(contradicted[outside].mean()) if len(outside) else 0.0
    return max(rest, _half_of_classes(contradicted, labels))


def _half_of_classes(values: np.ndarray, labels: Labels) -> float:
    """Median over classes of their mean: as long as poison is in under half of the classes, it is an honest one's."""
    known = labels >= 0
    sizes = np.bincount(labels[known])
    means = np.bincount(labels[known], values[known])[sizes > 0] / sizes[sizes > 0]
    return float(np.median(means))


def excess(share: float, usual: float) -> float:
    """A share beyond what is usual, as a part of what could be beyond: 0 = usual, 1 = all."""
    return max(0.0, (share - usual) / max(1 - usual, 1e-9))


def moved_on(content: Content, pixels: Pixels, labels: Labels, group: Rows) -> bool:
    """Do members with one label show one other class, label by label, as where all labels were moved on to the next class?

    How much more of some other class members with a label show than all members do, less the same for the label itself, beats
    every deal of the same labels among the same members; judged without each other, for judges that saw them learned their
    labels. A mark that blinds the judge blinds it to all classes alike. One that misleads it (framed images look alike to a
    judge that never saw a frame) does so no more once the judge has seen them: their own labels lead there.
    """
    few = len(group) < min(_LEAST_MOVED, _LEAST_PER_LABEL * max(1, len(np.unique(labels[group]))))
    if few or _lead(content.probabilities[group], labels[group]) <= 0:
        return False
    values, given = judged_without(content, pixels, labels, group)[1], labels[group]
    rng = np.random.default_rng(content.seed)
    return _lead(values, given) > max(0.0, *(_lead(values, rng.permutation(given)) for _ in range(_DEALS)))


def _lead(values: np.ndarray, given: Labels) -> float:
    """Mean over members of the best other class minus their own, both beyond the mean of all members. values (m, k)."""
    classes = values.shape[1]
    dealt = np.eye(classes, dtype=values.dtype)[given]
    size = dealt.sum(0)
    shown = (dealt.T @ values) / np.maximum(size, 1)[:, None] - values.mean(0)
    own = shown.diagonal().copy()
    np.fill_diagonal(shown, -np.inf)
    return float(((shown.max(1) - own) * size).sum() / len(given))


def _gathered(probabilities: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    own = np.sort(probabilities[:, np.arange(len(labels)), labels], axis=0)
    return own[1], probabilities.mean(0)


def _scattered(values: np.ndarray, rows: Rows, n: int) -> np.ndarray:
    full = np.full((n, *values.shape[1:]), np.nan, np.float32)
    full[rows] = values
    return full


def _gamma(encoded: np.ndarray) -> float:
    return _ENCODED_GAMMA if len(encoded) else _GAMMA


def _fourier(dimension: int, number: int, seed: int, gamma: float) -> ridge.Fourier:
    return ridge.fourier(dimension, _FEATURES, gamma, np.random.default_rng([seed, number]))
