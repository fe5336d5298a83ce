"""All hostile files, and how they are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from untaint.bench.hostile_models import containers, folders, graphs, pickles
from untaint.bench.hostile_models.base import Hostile

CORPUS: Final[tuple[Hostile, ...]] = (*pickles.CASES, *containers.CASES, *graphs.CASES, *folders.CASES)


def written(folder: Path, canaries: Path) -> Iterator[tuple[Hostile, Path, Path | None]]:
    """Every case with the path of its canary and of its file; None = a library that makes it is not installed."""
    for number, case in enumerate(CORPUS):
        canary = canaries / f"canary-{number}"
        try:
            yield case, canary, case.write(folder, canary)
        except ModuleNotFoundError:
            yield case, canary, None
