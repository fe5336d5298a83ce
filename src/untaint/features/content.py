"""What an image shows, judged by views that a small trigger cannot reach all at once.

Five coarse views of every image (the whole pooled hard; left, right, top and bottom parts of a blurred one) each feed a
cross-fitted kernel ridge classifier. A local trigger is absent from at least one view, so the second lowest probability
that any view gives the sample's own label is low when content and label disagree, whoever put the label there.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import softmax
from scipy.stats import entropy

from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics import pictures, ridge
from untaint.types import Labels, Pixels, Rows

VIEWS = ("whole", "left", "right", "top", "bottom")
CONTRADICTED = 0.12
"""Content contradicts a label whose probability is below this in the second lowest view: just above chance for ten classes
(measured: 4-11 % of honest MNIST and Fashion-MNIST, 83-99 % of dirty-label poison). See `contradiction_level`."""
_FEATURES = 1024  # cosines per view; 2048 gains 1 point of accuracy at 4 times the cost (Fashion-MNIST, 60,000)
_GAMMA = 2.0  # of unit vectors; 1 to 4 differ by under 1 point
_PENALTY = 1e-3  # 1e-5 to 1e-3 differ by under half a point
_FOLDS = 5
_COARSE = 7  # cells per side of the whole view: a 3x3 patch of 28x28 touches at most 4 of 49
_FINE = 14  # cells per side before cropping
_KEPT = 8  # cells of 14 that a partial view keeps
_SMALL = 9  # pixels; a partial view of 16x16 and more is blurred, of digits of 8x8 it is not


@final
@dataclass(frozen=True)
class Content:
    """Cross-fitted judgement of every usable row.

    own: (n,) second lowest probability, over views, of the sample's own label; NaN = not assessed.
    probabilities: (n, k) mean over views.  level: own below this = contradicted.
    grams (v, D, D), crosses (v, D, k), temperatures (v,): what is needed to judge rows again with some taken out.
    """

    own: np.ndarray
    probabilities: np.ndarray
    level: float
    grams: np.ndarray
    crosses: np.ndarray
    temperatures: np.ndarray
    n: int
    seed: int

    @property
    def contradicted(self) -> np.ndarray:
        """(n,) bool: content speaks against the label; False where not assessed."""
        return np.nan_to_num(self.own, nan=1.0) < self.level


def contradiction_level(classes: int) -> float:
    """The level for k classes: `CONTRADICTED` for ten, scaled so that it stays 1.2 times chance, at most one in four."""
    return float(min(0.25, CONTRADICTED * 10 / classes))


@feature(stored=True)
def content(pixels: Pixels, labels: Labels, near_copies: NearCopies, settings: Settings) -> Content:
    """Cross-fitted content probabilities from trigger-insensitive views; copies of a sample never judge it."""
    classes = int(labels.max()) + 1
    rows = np.flatnonzero(labels >= 0)
    folds = near_copies.folds(_FOLDS, settings.seed)[rows]
    assessed, totals, temperatures = [], [], []
    for number, inputs in enumerate(looks(pixels, rows)):
        features = _fourier(inputs.shape[1], number, settings.seed)
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
        np.stack([total.gram for total in totals]),
        np.stack([total.cross for total in totals]),
        np.array(temperatures, np.float32),
        len(rows),
        settings.seed,
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
    views = looks(pixels, group)
    shown = views if judged is group else looks(pixels, judged)
    for number, (inputs, asked) in enumerate(zip(views, shown, strict=True)):
        features = _fourier(inputs.shape[1], number, content.seed)
        total = ridge.Sums(content.grams[number], content.crosses[number], content.n)
        coefficients = (total - ridge.sums(features, inputs, labels[group], classes)).solve(_PENALTY)
        scores = ridge.predict(features, asked, coefficients)
        assessed.append(softmax(content.temperatures[number] * scores, axis=1))
    return _gathered(np.stack(assessed), labels[judged])


def contradiction(content: Content, pixels: Pixels, labels: Labels, group: Rows, most: int = 4000) -> float:
    """How far a group's content speaks against its label, 0..1.

    The larger of two readings: the share contradicted as it stands (low-rate poison), and the share contradicted once the
    group no longer vouches for itself, counted only as far as what the members show is diverse; both beyond what is usual in
    the rest of their classes. A natural sub-class taken out of its
    class looks like one neighbouring class (entropy of content at most 0.76 of its maximum on MNIST and Fashion-MNIST);
    a trigger lies on images of all classes (0.93 and more).
    """
    if len(group) == 0:
        return 0.0
    usual = usual_contradiction(content, labels, group)
    sample = group[:: max(1, -(-len(group) // most))]
    standing = excess(float(content.contradicted[group].mean()), usual)
    own, mean = judged_without(content, pixels, labels, group, sample)
    shown = np.bincount(mean.argmax(1), minlength=mean.shape[1]) / len(sample)
    most_diverse = np.log(max(mean.shape[1] - 1, 1))
    diversity = float(entropy(shown) / most_diverse) if most_diverse > 0 else 0.0
    credit = min(1.0, max(0.0, (diversity - 0.5) / 0.4))
    return max(standing, excess(float((own < content.level).mean()), usual) * credit)


def usual_contradiction(content: Content, labels: Labels, group: Rows) -> float:
    """How often content contradicts the labels of a group's classes outside the group: 0.1 on clothes, 0.7 on photographs."""
    outside = np.isin(labels, np.unique(labels[group])) & (labels >= 0)
    outside[group] = False
    return float(content.contradicted[outside].mean()) if outside.any() else 0.0


def excess(share: float, usual: float) -> float:
    """A share beyond what is usual, as a part of what could be beyond: 0 = usual, 1 = all."""
    return max(0.0, (share - usual) / max(1 - usual, 1e-9))


def _gathered(probabilities: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    own = np.sort(probabilities[:, np.arange(len(labels)), labels], axis=0)
    return own[1], probabilities.mean(0)


def _scattered(values: np.ndarray, rows: Rows, n: int) -> np.ndarray:
    full = np.full((n, *values.shape[1:]), np.nan, np.float32)
    full[rows] = values
    return full


def looks(pixels: Pixels, rows: Rows, batch: int = 4096) -> list[np.ndarray]:
    """The five views of some rows, each (m, d) float32, mean removed and unit length: contrast and offset do not count."""
    parts = [_look(pixels[rows[start : start + batch]]) for start in range(0, len(rows), batch)]
    return [np.concatenate(view) for view in zip(*parts, strict=True)]


def _look(images: Pixels) -> list[np.ndarray]:
    """Cropped before it is blurred: what lies outside a partial view must not leak into it."""
    floats = pictures.to_float(images)
    height, width = floats.shape[1:3]
    tall, wide = max(1, round(height * _KEPT / _FINE)), max(1, round(width * _KEPT / _FINE))
    parts = (floats[:, :, :wide], floats[:, :, -wide:], floats[:, :tall], floats[:, -tall:])
    sizes = ((_FINE, _KEPT), (_FINE, _KEPT), (_KEPT, _FINE), (_KEPT, _FINE))
    partial = [pictures.shrink(_softened(part), *size) for part, size in zip(parts, sizes, strict=True)]
    return [_unit(view) for view in (pictures.shrink(floats, _COARSE, _COARSE), *partial)]


def _softened(images: np.ndarray) -> np.ndarray:
    """Blurred, unless the image is so small that five pixels are a feature of it."""
    return images if min(images.shape[1:3]) < _SMALL else pictures.blur(images)


def _unit(view: np.ndarray) -> np.ndarray:
    flat = view.reshape(len(view), -1)
    flat = flat - flat.mean(1, keepdims=True)
    unit: np.ndarray = flat / (np.linalg.norm(flat, axis=1, keepdims=True) + np.float32(1e-6))
    return unit


def _fourier(dimension: int, number: int, seed: int) -> ridge.Fourier:
    return ridge.fourier(dimension, _FEATURES, _GAMMA, np.random.default_rng([seed, number]))
