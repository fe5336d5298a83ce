"""`untaint report`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.errors import BadInput


def report(
    folder: Annotated[Path, typer.Argument(help="Folder that `untaint audit` wrote.", show_default=False)] = Path(
        "untaint-audit"
    ),
    format: Annotated[str, typer.Option("--format", "-f", help="html, markdown or sarif.")] = "markdown",
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output when not given.")] = None,
) -> None:
    """Render an audit again, from its folder alone.

    Examples:  `untaint report untaint-audit --format markdown` for a pull request,  `--format sarif` for a code scanner.
    """
    from untaint.report import folder as reports

    kinds = reports.renderers()
    if format not in kinds:
        raise BadInput(f"no report format is called {format!r}.", advice=f"One of: {', '.join(kinds)}.")
    text = kinds[format]().render(reports.read(folder))
    if out is None:
        typer.echo(text)
    else:
        reports.write_text(out, text)
        typer.echo(f"{out}")
