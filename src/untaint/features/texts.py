"""Texts in memory and their words as numbers: what every text feature starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pyarrow as pa

from untaint.data.dataset import Dataset
from untaint.errors import FeatureUnavailable
from untaint.features.canvas import Readable
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.numerics.words import words
from untaint.types import Labels

_AT_ONCE = 2048  # texts whose words are held as strings
LONGEST = 5000
"""Words of a text that are looked at: a review has 230, a long mail 2,000; one text of megabytes must not outweigh the set."""
_MOST_JUDGED = 20_000_000
"""Texts times classes: each takes a float in a dozen arrays, and a step of every model."""
_MOST_CLASSES = 300
"""Of which content is judged: time grows with texts times classes, and 1,000 classes of 20 texts each took over six minutes."""
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
    ids, sizes, cut = [np.empty(0, np.int32)], [0], 0
    for start in range(0, len(texts.rows), _AT_ONCE):
        settings.report_progress("finding words", start, len(texts.rows))
        said: list[str] = []
        for text in texts.rows[start : start + _AT_ONCE]:
            found = words(text[:_CHARACTERS])
            cut += len(found) > LONGEST or len(text) > _CHARACTERS
            said += found[:LONGEST]
            sizes.append(min(len(found), LONGEST))
        ids.append(_numbered(said, number))
    settings.report_progress("finding words", len(texts.rows), len(texts.rows))
    return Tokens(np.concatenate(ids), np.cumsum(sizes), tuple(number), cut)


def _numbered(said: list[str], number: dict[str, int]) -> np.ndarray:
    """(t,) the number of each word, new ones added in the order they come."""
    try:
        coded = pa.array(said, pa.string()).dictionary_encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and Arrow cannot hold
        return np.fromiter((number.setdefault(word, len(number)) for word in said), np.int32, len(said))
    known = np.array([number.setdefault(word, len(number)) for word in coded.dictionary.to_pylist()], np.int32)
    return np.asarray(known[coded.indices.to_numpy()]) if len(known) else known


def judged_classes(labels: Labels) -> int:
    """How many classes content is to be judged for.

    Raises FeatureUnavailable where they are so many that no model learns them, or not in the time and memory there is.
    """
    classes, known = int(labels.max()) + 1, int((labels >= 0).sum())
    if classes > _MOST_CLASSES or classes * len(labels) > _MOST_JUDGED or (classes > _MANY and known < _EACH * classes):
        raise FeatureUnavailable(f"{classes:,} classes of {known / classes:.1f} texts each are too many to judge content by")
    return classes
