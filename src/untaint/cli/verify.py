"""`untaint verify`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import exits, progress
from untaint.cli.options import Data, Processes, Quiet

_SEAL = "Folder of the seal. DATA.untaint beside the data when not given."
_QUICK = (
    "Read only files whose size, times or inode are not as they were when sealed. Whoever is root, or sets the clock, can restore "
    "those: it finds accidents and most tampering, and proves nothing."
)
_OUT = "File for what was found, as JSON."


def verify(
    data: Data,
    seal: Annotated[Path | None, typer.Option("--seal", help=_SEAL, show_default=False)] = None,
    quick: Annotated[bool, typer.Option("--quick", help=_QUICK)] = False,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT, show_default=False)] = None,
    processes: Processes = None,
    quiet: Quiet = False,
) -> None:
    """Check data against their seal, and say what changed: which labels, contents, sources, files.

    Exit code 0: every byte is as it was sealed. 1: something changed, and is named. 2: there is no seal, or it is damaged itself.

    Examples:  `untaint verify train.jsonl`   `untaint verify images/ --quick`
    """
    from untaint.cli import seal_summary
    from untaint.provenance import verify as verifying  # not through `api`, which takes two seconds to load
    from untaint.provenance.seal import settings

    with progress.step("reading every sample", quiet=quiet):
        found = verifying.verify(data, seal, settings(processes), "quick" if quick else "full")
    if out is not None:
        out.write_text(json.dumps(found.document(), indent=2) + "\n", encoding="utf-8")
    if not quiet:
        seal_summary.verified(found)
    raise typer.Exit(exits.NOTHING if found.sound else exits.FINDINGS)
