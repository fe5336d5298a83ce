"""From scores to p-values: the sample is its own reference."""

import numpy as np
from scipy.stats import rankdata

from untaint.evidence.evidence import Evidence


def p_values(evidence: Evidence) -> np.ndarray:
    """(n,) p-value of every score, NaN where not assessed.

    Conformal with the set itself as reference: (1 + number of other scores at least as high) / (n + 1). Poison among the
    reference makes these larger, never smaller, so they err on the quiet side (Bates et al. 2023, arXiv 2104.08279, sec. 2).
    """
    scores = evidence.scores
    assessed = np.isfinite(scores)
    result = np.full(len(scores), np.nan, np.float64)
    if evidence.null == "p-value":
        result[assessed] = 1 - scores[assessed]
    elif assessed.any():
        higher_or_equal = rankdata(-scores[assessed], method="max")
        result[assessed] = higher_or_equal / (assessed.sum() + 1)
    return np.clip(result, 0, 1)


def fused(per_detector: list[np.ndarray], n: int) -> np.ndarray:
    """(n,) one p-value per sample: the smallest over detectors times their number; 1 where nothing was assessed."""
    if not per_detector:
        return np.ones(n)
    stacked = np.nan_to_num(np.stack(per_detector), nan=1.0)
    return np.minimum(1.0, stacked.min(0) * len(per_detector))
