"""Words that stand together in one text, at separate places: a trigger of two words of which neither says anything alone."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy.sparse import csr_matrix, triu
from scipy.special import softmax

from untaint.features.graph import feature
from untaint.features.meaning import Meaning
from untaint.features.phrases import LONGEST, TOGETHER, Phrases
from untaint.features.settings import Settings
from untaint.features.text_content import TextContent
from untaint.features.texts import Tokens
from untaint.numerics.distinct import distinct
from untaint.types import Labels

_RAREST = 5  # texts with a word; rarer ones are found alone or not at all
_COMMONEST = 0.05  # of all texts: what stands in more of them pairs with everything
_DOUBTED = 0.25  # of the labelled texts, those whose label content supports least, and
_LIKELY = 0.5  # of even odds at most
_FEWEST = 5  # doubted texts with the pair
_SHARE = 0.25  # of the texts with a pair that must be doubted: a trigger's are nearly all
_MOST = 60_000_000
"""Pairs of words in texts that are counted at most, 500 MB: over it (long texts in numbers) no pairs are looked for."""
_AT_ONCE = 200_000  # entries judged at once: arrays of some ten megabytes
_LARGEST = 20_000  # pairs kept, those with most doubted texts: more is no finding but noise


@final
@dataclass(frozen=True)
class Pairs:
    """found: pairs as phrases of two words, `TOGETHER`.  considered: pairs that were counted.  note: why none were, or ""."""

    found: Phrases
    considered: int
    note: str = ""


@feature(modality="text")
def pairs(tokens: Tokens, phrases: Phrases, content: TextContent, meaning: Meaning, labels: Labels, settings: Settings) -> Pairs:
    """Pairs of words that stand together in texts whose label content doubts, at least a quarter of all texts with the pair."""
    n = len(labels)
    word = distinct(tokens.ids.astype(np.int64) * n + tokens.rows)
    word, row = word // n, word % n
    texts = np.bincount(word, minlength=len(tokens.vocabulary))
    usable = (texts >= _RAREST) & (texts <= _COMMONEST * n)
    kept = usable[word] & (labels[row] >= 0)
    number = np.cumsum(usable) - 1
    bears = csr_matrix((np.ones(int(kept.sum()), np.float32), (row[kept], number[word[kept]])), shape=(n, int(usable.sum())))
    sizes = np.diff(bears.indptr).astype(np.int64)
    if (sizes * sizes).sum() > _MOST:
        return Pairs(
            _as_phrases(bears, np.empty((0, 2), np.int64), usable, phrases), 0, "texts are too long to count pairs of words"
        )
    settings.report_progress("pairing words", 0, 1)
    doubted = _doubted(bears, np.flatnonzero(usable), content, meaning)
    seen, everywhere = _upper(doubted, bears), _upper(bears, bears)
    places = np.flatnonzero(seen.data >= _FEWEST)
    first, second = seen.row[places], seen.col[places]
    total = np.asarray(everywhere.tocsr()[first, second]).ravel()
    strong = np.flatnonzero(seen.data[places] >= _SHARE * total)
    strong = strong[np.argsort(-seen.data[places][strong], kind="stable")][:_LARGEST]
    considered = int((everywhere.data >= _FEWEST).sum())
    settings.report_progress("pairing words", 1, 1)
    return Pairs(_as_phrases(bears, np.stack([first[strong], second[strong]], axis=1), usable, phrases), considered)


def _doubted(bears: csr_matrix, words: np.ndarray, content: TextContent, meaning: Meaning) -> csr_matrix:
    """Entries (n, w) of the texts whose label content supports least, judged without the word of the entry.

    Judges have learned what stands in the texts of other folds: without that, the words of a trigger would vouch for each other.
    """
    limit = min(float(np.nanquantile(content.own, _DOUBTED)), _LIKELY)
    kept, row = np.zeros(bears.nnz, bool), np.repeat(np.arange(bears.shape[0]), np.diff(bears.indptr))
    for part in np.array_split(np.arange(bears.nnz), max(1, bears.nnz // _AT_ONCE)):
        where, word = row[part], words[bears.indices[part]]
        fold = content.fold[where]
        said = np.asarray(content.counts[where, word]).ravel()[:, None] * content.weights[fold, :, word]
        meant = content.trust * content.voices[word, fold] / meaning.lengths[where, None]
        own = softmax(content.logits[where] - said - meant, axis=1)[np.arange(len(part)), meaning.labels[where]]
        kept[part] = np.minimum(own, content.own[where]) <= limit
    found = bears.copy()
    found.data = kept.astype(np.float32)
    found.eliminate_zeros()
    return found


def _upper(some: csr_matrix, bears: csr_matrix) -> Any:
    """How many texts hold each pair of words, each pair once, either of them among some entries."""
    either = some.T @ bears
    return triu(either + either.T - some.T @ some, k=1).tocoo()


def _as_phrases(bears: csr_matrix, chosen: np.ndarray, usable: np.ndarray, phrases: Phrases) -> Phrases:
    """The pairs (m, 2) of columns as phrases with their bearers."""
    columns, original = bears.tocsc(), np.flatnonzero(usable)
    feature, rows = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for number, (a, b) in enumerate(chosen.tolist()):
        both = np.intersect1d(_of(columns, a), _of(columns, b), assume_unique=True).astype(np.int32)
        feature.append(np.full(len(both), number, np.int32))
        rows.append(both)
    words = np.full((len(chosen), LONGEST), -1, np.int32)
    words[:, :2] = original[chosen] if len(chosen) else -1
    skeleton = np.full((len(chosen), phrases.skeleton.shape[1]), -1, np.int32)
    place = np.full(len(chosen), TOGETHER, np.int8)
    return Phrases(np.concatenate(feature), np.concatenate(rows), words, skeleton, place, phrases.vocabulary)


def _of(columns: Any, number: int) -> np.ndarray:
    return np.asarray(columns.indices[columns.indptr[number] : columns.indptr[number + 1]])
