"""`untaint export`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli.options import Data

_SEAL = "Folder of the seal. DATA.untaint beside the data when not given."
_AUDIT = "Folder that `untaint audit` wrote for the same data: its verdict and findings go along."
_OUT = "File to write. The format's usual name in the seal's folder when not given."


def export(
    data: Data,
    format: Annotated[str, typer.Option("--format", "-f", help="croissant or cyclonedx.")] = "croissant",
    seal: Annotated[Path | None, typer.Option("--seal", help=_SEAL, show_default=False)] = None,
    audit: Annotated[Path | None, typer.Option("--audit", help=_AUDIT, show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT, show_default=False)] = None,
    description: Annotated[str | None, typer.Option("--description", help="What the data are, in a sentence.")] = None,
    licence: Annotated[str | None, typer.Option("--license", help="Under which terms they may be used: a URL or a name.")] = None,
    creator: Annotated[str | None, typer.Option("--creator", help="Who answers for them.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="Where they are described.")] = None,
    version: Annotated[str, typer.Option("--data-version", help="Their version: three numbers.")] = "1.0.0",
) -> None:
    """Describe sealed data in a format that other tools read.

    `croissant` is the description of data sets that hubs and loaders know: every file with its digest, who sent the samples, in the
    words of PROV-O. `cyclonedx` is a bill of materials for supply-chain tools; findings of an audit become its vulnerabilities.
    Findings alone, for code scanners:  `untaint report AUDIT --format sarif`

    Examples:

    `untaint export train.jsonl --license https://example.org/terms --creator "Example Ltd"`

    `untaint export images/ --format cyclonedx --audit untaint-audit --out bom.cdx.json`
    """
    from untaint import api
    from untaint.report.described import Terms

    terms = Terms(description, licence, creator, url, version)
    typer.echo(str(api.export(data, format, seal=seal, audit=audit, out=out, terms=terms)))
