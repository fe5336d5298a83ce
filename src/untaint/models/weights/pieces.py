"""A tensor cut into stretches that are read one after the other."""

from collections.abc import Iterator

PIECE = 1 << 19
"""Numbers read at once: 2 MB of float32, which the caches of processors hold."""


def pieces(count: int, columns: int, at_once: int = PIECE) -> Iterator[tuple[int, int]]:
    """(start, count) of stretches of a matrix: whole rows, or parts of one row where that is longer."""
    if columns <= at_once:
        step = max(at_once // max(columns, 1), 1) * max(columns, 1)
        for start in range(0, count, step):
            yield start, min(step, count - start)
        return
    for row in range(0, count, columns):
        for start in range(row, row + columns, at_once):
            yield start, min(at_once, row + columns - start)
