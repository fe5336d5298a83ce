"""What others offer against poison in texts, as their manuals or papers say to use it: each gives the rows it would remove."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from untaint.errors import MissingExtra
from untaint.nets.language import Perplexity
from untaint.numerics.words import words
from untaint.types import Labels, Mask

Peer: TypeAlias = Callable[[Sequence[str], Labels], Mask]

_DEVIATIONS = 20.0
"""Standard deviations of all scores that a token must exceed the mean by, as in the authors' program."""
_SHINGLE, _PERMUTATIONS, _ALIKE = 3, 128, 0.5
"""Words of a shingle, and the Jaccard similarity of near-copies: usual in deduplication of short texts."""
_CLUSTER = 8
"""Near-copies from which a cluster is a flood: honest clusters of film reviews have up to 5."""


def label_issues(texts: Sequence[str], codes: Labels) -> Mask:
    """cleanlab's default filter on out-of-fold probabilities of TF-IDF and logistic regression.

    Raises MissingExtra without cleanlab.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise MissingExtra("the comparison with cleanlab", "bench") from error
    vectors = TfidfVectorizer(
        tokenizer=words, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True
    )
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=300))
    probabilities = cross_val_predict(model, list(texts), codes, cv=3, method="predict_proba")
    issues: Mask = find_label_issues(codes, probabilities, n_jobs=1)
    return issues


def z_tokens(texts: Sequence[str], codes: Labels) -> Mask:
    """Tokens tied to a label beyond all others: He, Xu, Wang, Rubinstein, Cohn 2023, arXiv 2305.11596, sec. 3.

    z = (share of the label among a token's occurrences - 1 / classes), in units of its standard error; texts of the label that
    hold a token whose z exceeds the mean of all by 20 standard deviations are removed.
    """
    counted = CountVectorizer(tokenizer=words, token_pattern=None, lowercase=False).fit_transform(texts)
    classes = int(codes.max()) + 1
    total = np.asarray(counted.sum(axis=0)).ravel()
    held = np.stack([np.asarray(counted[codes == code].sum(axis=0)).ravel() for code in range(classes)])
    chance = 1 / classes
    z = (held / total - chance) / np.sqrt(chance * (1 - chance) / total)
    seen = z[held > 0]
    odd = (z > seen.mean() + _DEVIATIONS * seen.std()) & (held > 0)
    flagged = np.zeros(len(codes), bool)
    for code in range(classes):
        rows = codes == code
        flagged[rows] = np.asarray(counted[rows][:, odd[code]].sum(axis=1)).ravel() > 0
    return flagged


def near_copies(texts: Sequence[str], _codes: Labels) -> Mask:
    """Clusters of near-copies by datasketch's MinHash: every member is removed.

    Raises MissingExtra without datasketch.
    """
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise MissingExtra("the comparison with datasketch", "bench") from error
    index, hashes = MinHashLSH(threshold=_ALIKE, num_perm=_PERMUTATIONS), []
    for row, text in enumerate(texts):
        found = MinHash(num_perm=_PERMUTATIONS)
        found.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in _shingles(text)])
        index.insert(row, found)
        hashes.append(found)
    pairs = np.array([(row, other) for row, found in enumerate(hashes) for other in index.query(found)])
    graph = csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(texts), len(texts)))
    component = connected_components(graph, directed=False)[1]
    flagged: Mask = np.bincount(component)[component] >= _CLUSTER
    return flagged


def _shingles(text: str) -> list[str]:
    said = words(text)
    return [" ".join(said[place : place + _SHINGLE]) for place in range(max(1, len(said) - _SHINGLE + 1))]


_MOST_LEFT_OUT = 60  # words of a text that are left out in turn: film snippets have 18, and a whole review would take minutes


def perplexity_drops(texts: Sequence[str], perplexity: Perplexity) -> np.ndarray:
    """(n,) by how much the perplexity of each text falls without the one word it falls most without: ONION, Qi et al. 2021.

    arXiv 2011.10369, sec. 3: words whose drop exceeds a threshold are called planted. Words are what stands between spaces. -inf for
    texts of one word. The cost is a pass of the language model for every word.
    """
    return np.array([_largest_drop(text.split(), perplexity) for text in texts])


def _largest_drop(said: list[str], perplexity: Perplexity) -> float:
    if len(said) < 2:
        return -np.inf
    shorter = (" ".join(said[:place] + said[place + 1 :]) for place in range(min(len(said), _MOST_LEFT_OUT)))
    whole, *without = perplexity([" ".join(said), *shorter])
    return float(whole - np.nanmin(without))


PEERS: Mapping[str, Peer] = {"cleanlab label issues": label_issues, "Z-token": z_tokens, "datasketch near-copies": near_copies}
