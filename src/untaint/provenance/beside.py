"""The tables beside the manifest that only some seals have: what URLs showed, and which samples are fresh."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from untaint.provenance.manifest import Manifest
from untaint.provenance.online import TABLE, Asking, ask_set, write

Report: TypeAlias = Callable[[str, int, int], None]


def _quiet(_what: str, _done: int, _total: int) -> None:
    """No progress."""


@final
@dataclass(frozen=True)
class Beside:
    """What else a seal is to hold. online: how URLs are asked, None = they are not.  report: of progress."""

    online: Asking | None = None
    report: Report = _quiet


def write_tables(folder: Path, manifest: Manifest, wanted: Beside) -> Mapping[str, str]:
    """Write the tables into a folder; their SHA-256 by file name. Raises BadInput for what cannot be had."""
    found: dict[str, str] = {}
    if wanted.online is not None:
        found[TABLE] = write(folder / TABLE, ask_set(manifest, wanted.online, wanted.report))
    return found
