"""Plain k-means: a coarse partition of many points."""

import numpy as np

_ITERATIONS = 8  # coarse cells need no converged centres: votes change by under a point after six
_SAMPLE = 10_000
_BATCH = 8192


def centres(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, d) centres of Lloyd's algorithm on at most 10,000 of the points (m, d); an empty cluster starts anew."""
    sample = points[rng.choice(len(points), min(_SAMPLE, len(points)), replace=False)]
    found = sample[rng.choice(len(sample), count, replace=len(sample) < count)].astype(np.float32)
    for _ in range(_ITERATIONS):
        mine = _closeness(sample, found).argmax(1)
        sizes = np.bincount(mine, minlength=count)
        order = np.argsort(mine, kind="stable")
        filled = np.flatnonzero(sizes)
        sums = np.add.reduceat(sample[order], np.concatenate([[0], np.cumsum(sizes[filled])[:-1]]), axis=0)
        found[filled] = sums / sizes[filled][:, None]
        empty = np.flatnonzero(sizes == 0)
        found[empty] = sample[rng.choice(len(sample), len(empty))]
    return found


def nearest(points: np.ndarray, found: np.ndarray, count: int) -> np.ndarray:
    """(m, count) numbers of the nearest centres of each point, in no particular order."""
    parts = []
    for start in range(0, len(points), _BATCH):
        closeness = _closeness(points[start : start + _BATCH], found)
        parts.append(np.argpartition(-closeness, count - 1, axis=1)[:, :count])
    return np.concatenate(parts)


def _closeness(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Larger = nearer: minus half the squared distance, but for a term of the point's own."""
    closeness: np.ndarray = points @ found.T - np.float32(0.5) * (found**2).sum(1)
    return closeness
