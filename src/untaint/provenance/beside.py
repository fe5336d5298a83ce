"""The tables beside the manifest that only some seals have: what URLs showed, and which samples are fresh."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, final

from untaint.provenance import croissant, fresh, online
from untaint.provenance.croissant import Described
from untaint.provenance.manifest import Manifest
from untaint.provenance.online import Asking
from untaint.provenance.sealed import FILES

Report: TypeAlias = Callable[[str, int, int], None]


def _quiet(_what: str, _done: int, _total: int) -> None:
    """No progress."""


@final
@dataclass(frozen=True)
class Beside:
    """What else a seal is to hold.

    online: how URLs are asked, None = they are not.  report: of progress.  earlier: seals of earlier versions, or data with one beside
    them; those that the new seal replaces are looked at anyway.  days, snapshot: see `fresh.Window`.  described: what files should be,
    None = nobody says so.
    """

    online: Asking | None = None
    report: Report = _quiet
    earlier: Sequence[Path] = ()
    days: float = fresh.DAYS
    snapshot: datetime | None = None
    described: Described | None = None


def window(folder: Path, wanted: Beside) -> fresh.Window:
    """What counts as fresh in the seal that will be in a folder. Raises BadInput for an earlier seal that is none, or is damaged."""
    return fresh.window(fresh.earlier_seals(folder, wanted.earlier), wanted.days, wanted.snapshot)


def write_tables(folder: Path, manifest: Manifest, wanted: Beside, chosen: fresh.Window) -> Mapping[str, str]:
    """Write the tables into a folder; their SHA-256 by file name. Raises BadInput for what cannot be had."""
    found: dict[str, str] = {}
    if (digest := fresh.write_marks(folder / fresh.TABLE, manifest, chosen)) is not None:
        found[fresh.TABLE] = digest
    if wanted.described is not None:
        digest = croissant.write_claims(folder / croissant.TABLE, folder / FILES, wanted.described)
        found |= {croissant.TABLE: digest} if digest else {}
    if wanted.online is not None:
        found[online.TABLE] = online.write(folder / online.TABLE, online.ask_set(manifest, wanted.online, wanted.report))
    return found
