"""What texts and words mean to an encoder of sentences, where the user named one: it takes the place of static word vectors."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.errors import BadInput
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Texts, Tokens
from untaint.nets.sentences import LONGEST
from untaint.types import Labels, Rows

_DIMENSIONS = 256
"""Leading directions kept, as many as static vectors have: of 384 of MiniLM they judge as well (77.8 % and 78.1 % of 3,000 film
snippets), and the time that forgetting takes grows with their square and cube."""
_BATCH = 32  # of similar length: at 128 a text takes 16 ms instead of 10
_LEAST_TEXTS = 3  # that a word must be in to be asked about, as in what is counted


@final
@dataclass(frozen=True)
class EncodedTexts:
    """vectors: (n, d) float16 of length 1, zeros for rows without a label; (0, 0) without an encoder.  basis: (D, d) from the encoder's."""

    vectors: np.ndarray
    basis: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def part(self, rows: Rows) -> "EncodedTexts":
        """Those of some rows."""
        return self if len(self) == 0 else EncodedTexts(self.vectors[rows], self.basis)


@final
@dataclass(frozen=True)
class EncodedWords:
    """vectors: (v, d) float32 what each word means alone, zeros for words in few texts.  lengths: (n,) see `encoded_words`."""

    vectors: np.ndarray
    lengths: np.ndarray


@feature(stored=True, modality="text")
def encoded_texts(texts: Texts, labels: Labels, settings: Settings) -> EncodedTexts:
    """By `settings.encoder`; empty when there is none. Of a long text the beginning, and what is equal once."""
    if settings.encoder is None:
        return EncodedTexts(np.empty((0, 0), np.float16), np.empty((0, 0), np.float32))
    rows = np.flatnonzero(labels >= 0)
    place: dict[str, int] = {}
    number = np.array([place.setdefault(texts.rows[row][:LONGEST], len(place)) for row in rows.tolist()])
    found = _encoded(list(place), "encoding texts", settings)
    basis = _leading(found)
    vectors = np.zeros((len(labels), basis.shape[1]), np.float16)
    vectors[rows] = _unit_length(_unit_length(found) @ basis)[number]
    return EncodedTexts(vectors, basis)


@feature(stored=True, modality="text")
def encoded_words(encoded_texts: EncodedTexts, tokens: Tokens, settings: Settings) -> EncodedWords:
    """Every word by itself, to say at first sight what a text means without some of its words.

    A text is taken for the sum of its words over a length: the one at which the sum, seen along the text's own vector, is the text.
    Of static vectors that is exactly the length of their sum; of an encoder that reads words in their context it is a rough guide.
    """
    n, v = len(tokens.starts) - 1, len(tokens.vocabulary)
    if len(encoded_texts) == 0:
        return EncodedWords(np.empty((0, 0), np.float32), np.ones(n, np.float32))
    each = np.unique(tokens.rows.astype(np.int64) * v + tokens.ids) % v
    asked = np.flatnonzero(np.bincount(each, minlength=v) >= _LEAST_TEXTS)
    vectors = np.zeros((v, encoded_texts.basis.shape[1]), np.float32)
    if len(asked):
        alone = _encoded([tokens.vocabulary[word] for word in asked.tolist()], "encoding words", settings)
        vectors[asked] = _unit_length(alone) @ encoded_texts.basis
    lengths = np.ones(n, np.float32)  # at least that: no word says more than the text that says it
    for row in range(n):
        along = vectors[tokens.ids[tokens.starts[row] : tokens.starts[row + 1]]] @ encoded_texts.vectors[row].astype(np.float32)
        lengths[row] = max(1.0, float(along.sum()))
    return EncodedWords(vectors, lengths)


def _encoded(texts: list[str], what: str, settings: Settings) -> np.ndarray:
    """(n, d) float32, shortest first, so that little is padded."""
    from untaint.nets import sentence_encoders

    encode = sentence_encoders.load(settings.encoder)
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts = []
    for start in range(0, len(order), _BATCH):
        parts.append(encode([texts[row] for row in order[start : start + _BATCH].tolist()]))
        settings.report_progress(what, min(start + _BATCH, len(order)), len(order))
    widths = {part.shape[1] for part in parts}
    if len(widths) != 1:
        raise BadInput(f"the encoder made vectors of {sorted(widths)} numbers.", advice="Let it return as many for every text.")
    found = np.empty((len(texts), widths.pop()), np.float32)
    found[order] = np.concatenate(parts)
    return found


def _leading(points: np.ndarray) -> np.ndarray:
    """(D, d) directions that hold most of the vectors, not centred: what is a sum of words stays one."""
    unit = _unit_length(points).astype(np.float64)
    _, vectors = np.linalg.eigh(unit.T @ unit)
    return np.asarray(vectors[:, -_DIMENSIONS:], dtype=np.float32)


def _unit_length(points: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths > 0, lengths, 1), dtype=np.float32)
