"""Texts in memory and their words as numbers: what every text feature starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from untaint.data.dataset import Dataset
from untaint.errors import FeatureUnavailable
from untaint.features.canvas import Readable
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics.words import words
from untaint.types import Labels

LONGEST = 5000
"""Words of a text that are looked at: a review has 230, a long mail 2,000; one text of megabytes must not outweigh the set."""
_MOST_JUDGED = 20_000_000
"""Texts times classes: each takes a float in a dozen arrays, and a step of every model."""
_MANY, _EACH = 100, 5  # classes, and texts of each: a third of them are held out, and one or two teach nothing
_CHARACTERS = 40 * LONGEST
"""Characters looked at: no language writes words of 40 on average, and a text without a space must end somewhere."""


@final
@dataclass(frozen=True)
class Texts:
    """rows: the text of every row, "" where there is none.  reasons: row → why it could not be read, beyond what the reader said."""

    rows: tuple[str, ...]
    reasons: Mapping[int, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Tokens:
    """Words of all texts as numbers.

    ids: (t,) word numbers of all texts one after the other.  starts: (n + 1,) where each text begins.
    vocabulary: the words by number.  cut: texts of which only the beginning was looked at.
    """

    ids: np.ndarray
    starts: np.ndarray
    vocabulary: tuple[str, ...]
    cut: int

    @property
    def rows(self) -> np.ndarray:
        """(t,) the row each word is in."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


@feature(modality="text")
def texts(dataset: Dataset, settings: Settings) -> Texts:
    """Every text as it is; rows a reader found fault with are empty."""
    bad = [reason is not None for reason in dataset.column("unreadable")]
    rows: list[str] = []
    for batch in dataset.batches(8192):
        for row, payload in zip(batch.tolist(), dataset.read(batch), strict=True):
            rows.append(payload if isinstance(payload, str) and not bad[row] else "")
        settings.report_progress("reading texts", len(rows), len(dataset))
    return Texts(tuple(rows))


@feature(modality="text")
def readable(dataset: Dataset, texts: Texts) -> Readable:
    """Rows with a text in them."""
    said = dataset.column("unreadable")
    mask = np.array([reason is None and text.strip() != "" for text, reason in zip(texts.rows, said, strict=True)], bool)
    empty = {row: "empty text" for row, text in enumerate(texts.rows) if said[row] is None and text.strip() == ""}
    return Readable(mask, {**texts.reasons, **empty})


@feature()
def tokens(texts: Texts, settings: Settings) -> Tokens:
    """The words of every text (`numerics.words`), at most the first `LONGEST`."""
    number: dict[str, int] = {}
    ids: list[np.ndarray] = []
    cut = 0
    for row, text in enumerate(texts.rows):
        found = words(text[:_CHARACTERS])
        cut += len(found) > LONGEST or len(text) > _CHARACTERS
        ids.append(np.fromiter((number.setdefault(word, len(number)) for word in found[:LONGEST]), np.int32))
        if row % 8192 == 0:
            settings.report_progress("finding words", row, len(texts.rows))
    starts = np.cumsum([0, *map(len, ids)])
    flat = np.concatenate(ids) if ids else np.empty(0, np.int32)
    return Tokens(flat, starts, tuple(number), cut)


def judged_classes(labels: Labels) -> int:
    """How many classes content is to be judged for.

    Raises FeatureUnavailable where they are so many that no model learns them, or not in the time and memory there is.
    """
    classes, known = int(labels.max()) + 1, int((labels >= 0).sum())
    if classes * len(labels) > _MOST_JUDGED or (classes > _MANY and known < _EACH * classes):
        raise FeatureUnavailable(f"{classes:,} classes of {known / classes:.1f} texts each are too many to judge content by")
    return classes
