"""A small foreign model of meaning: the mean of static word vectors that were learned elsewhere, so that no poison of a set is in them."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from untaint.errors import MissingExtra

DIMENSIONS = 256
LONGEST = 2000
"""Characters looked at, some 400 words: a review or a mail says what it is about in fewer."""
_BATCH = 1024


def embed(texts: Sequence[str]) -> np.ndarray:
    """(n, 256) float32 mean of the word vectors of each text, of length 1; zeros for a text without words.

    WordLlama's l2_supercat, 32,000 pieces of words, any language, shipped in the package; nothing is fetched.
    Raises MissingExtra without it.
    """
    found = totals(texts)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def totals(texts: Sequence[str]) -> np.ndarray:
    """(n, 256) float32 sum of the word vectors of each text: what a word adds can be taken off again."""
    model = _model()
    vectors, tokenizer = np.asarray(model.embedding, np.float32), model.tokenizer
    tokenizer.no_padding()
    found = np.zeros((len(texts), DIMENSIONS), np.float32)
    for start in range(0, len(texts), _BATCH):
        part = [text[:LONGEST] for text in texts[start : start + _BATCH]]
        pieces = [encoding.ids for encoding in tokenizer.encode_batch_fast(part, add_special_tokens=False)]
        flat = np.fromiter(chain.from_iterable(pieces), np.int32)
        starts = np.cumsum([0, *map(len, pieces)])
        found[start : start + len(part)] = (
            csr_matrix((np.ones(len(flat), np.float32), flat, starts), (len(part), len(vectors))) @ vectors
        )
    return found


@cache
def _model() -> Any:
    try:
        import wordllama
    except ImportError as error:
        raise MissingExtra("what texts mean", "text") from error
    folder = Path(wordllama.__file__).parent  # it looks for its files one folder too deep and then asks a hub
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
