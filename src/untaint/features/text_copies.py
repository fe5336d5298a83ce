"""Near-copies among texts: the same words in nearly the same order."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from untaint.errors import FeatureUnavailable
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Tokens

_SHINGLE = 3  # words; single words make all short texts on one topic alike
_PERMUTATIONS = 128
_BANDS = 32
"""Of 4 values each: pairs at similarity .6 are compared with probability .99, at .3 with .23 (1 - (1 - s⁴)³²)."""
_ALIKE = 0.6
"""Share of shingles two texts must have in common: one word of ten changed in a text of 30 leaves .6; two honest reviews of the
same film have under .1."""
_SEED = 12345
_CHUNK = 10_000  # texts at once: their signatures pass through Python lists


@feature(modality="text")
def near_copies(tokens: Tokens, settings: Settings) -> NearCopies:
    """Texts that share most of their runs of three words, by MinHash (Broder 1997); texts without words are nobody's copy."""
    n = len(tokens.starts) - 1
    component = np.full(n, -1)
    settings.report_progress("looking for near-copies", 0, 1)
    shingles, starts = _shingles(tokens)
    rows = np.flatnonzero(np.diff(starts) > 0)
    if len(rows) > 1:
        joined = _components(_signatures(shingles, starts, rows))
        component[rows] = np.where(np.bincount(joined)[joined] > 1, joined, -1)
    settings.report_progress("looking for near-copies", 1, 1)
    return NearCopies(component, np.full(n, -1), np.ones(n))


def _shingles(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """(s,) uint64 hashes of runs of three words (fewer in a shorter text) and (n + 1,) where each text's begin."""
    ids, starts = tokens.ids.astype(np.uint64) + np.uint64(1), tokens.starts
    sizes = np.diff(starts)
    counts = np.maximum(sizes - _SHINGLE + 1, np.minimum(sizes, 1))
    ends = np.repeat(starts[1:], counts)
    begins = np.cumsum([0, *counts])
    at = np.repeat(starts[:-1], counts) + np.arange(begins[-1]) - np.repeat(begins[:-1], counts)
    found = np.zeros(len(at), np.uint64)
    for step in range(_SHINGLE):
        place = np.minimum(at + step, max(len(ids) - 1, 0))
        word = np.where(at + step < ends, ids[place], np.uint64(0)) if len(ids) else found
        found = (found ^ word) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(29)
    return found, begins


def _signatures(shingles: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(m, permutations) uint32."""
    try:
        from rensa import RMinHash
    except ImportError as error:
        raise FeatureUnavailable("near-copies of texts need the optional part 'text': pip install 'untaint[text]'") from error
    parts = []
    for chunk in np.array_split(rows, max(1, len(rows) // _CHUNK)):
        first, last = starts[chunk[0]], starts[chunk[-1] + 1]
        offsets = np.concatenate([starts[chunk], [last]]) - first
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            shingles[first:last], offsets.astype(np.uint64), _PERMUTATIONS, _SEED
        )
        parts.append(np.array(matrix.to_rows(), np.uint32))
    return np.concatenate(parts)


def _components(signatures: np.ndarray) -> np.ndarray:
    """(m,) number of the connected part each text is in: links between neighbours in any band whose signatures agree enough."""
    n, width = len(signatures), _PERMUTATIONS // _BANDS
    ends: list[np.ndarray] = []
    for band in range(_BANDS):
        part = np.ascontiguousarray(signatures[:, band * width : (band + 1) * width])
        order = np.lexsort(part.T)
        same = (part[order[1:]] == part[order[:-1]]).all(1)
        pairs = np.stack([order[:-1][same], order[1:][same]])
        alike = (signatures[pairs[0]] == signatures[pairs[1]]).mean(1) >= _ALIKE if pairs.size else np.empty(0, bool)
        ends.append(pairs[:, alike])
    links = np.concatenate(ends, axis=1)
    graph = coo_matrix((np.ones(links.shape[1]), (links[0], links[1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
