"""`untaint seal`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import (
    AllowPrivate,
    Data,
    Expires,
    Format,
    Label,
    MostUrls,
    Online,
    PasswordFile,
    Payload,
    PerHost,
    Processes,
    Quiet,
    Rdap,
    SigningKeys,
    Source,
    Time,
)

_INIT = "Only write sources.toml, with every source that samples name, for people to fill in: owner, vetting, hosts, paths."
_OUT = "Folder for the seal. DATA.untaint beside the data when not given; never inside them."
_CROISSANT = (
    "Croissant file that describes the data, the one in or beside them when not given: with --init its source is written down, else files "
    "are compared with the digests it has of them."
)
_AGAINST = (
    "Older version of the set: data with a seal beside them, or the folder of a seal. Samples that it does not hold are marked as fresh; "
    "seals that this one replaces are looked at anyway. Repeatable."
)
_DAYS = "Samples collected in so many days before the snapshot are marked as fresh."
_SNAPSHOT = "When the snapshot was taken; the newest time of a sample when not given."
_REPLACE = "Seal anew where there is a seal; the old one is kept in its earlier/."


def seal(
    data: Data,
    init: Annotated[bool, typer.Option("--init", help=_INIT)] = False,
    label: Label = None,
    source: Source = None,
    payload: Payload = None,
    time: Time = None,
    format: Format = None,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT, show_default=False)] = None,
    replace: Annotated[bool, typer.Option("--replace", help=_REPLACE)] = False,
    croissant: Annotated[Path | None, typer.Option("--croissant", help=_CROISSANT, show_default=False)] = None,
    against: Annotated[list[Path] | None, typer.Option("--against", help=_AGAINST, show_default=False)] = None,
    fresh_days: Annotated[float, typer.Option("--fresh-days", help=_DAYS)] = 7.0,
    snapshot: Annotated[
        datetime | None, typer.Option("--snapshot", help=_SNAPSHOT, formats=["%Y-%m-%d"], show_default=False)
    ] = None,
    processes: Processes = None,
    keys: SigningKeys = None,
    expires: Expires = None,
    password_file: PasswordFile = None,
    online: Online = False,
    most_urls: MostUrls = 1000,
    per_host: PerHost = 10,
    rdap: Rdap = None,
    allow_private: AllowPrivate = False,
    quiet: Quiet = False,
) -> None:
    """Write down what data are, byte by byte and sample by sample, so that any change can be named later.

    Every sample becomes a leaf of a Merkle tree, with its content, label, source, transform and split apart from each other; every file
    under the folder is covered, hidden and empty ones and `.git` too. The data are read once and never written to. A stopped run goes on
    where it was. What no reader knows, such as a folder of weights, is sealed file by file.

    With `--key` the seal is signed (`untaint key new`); without, it shows accidents, and no tampering by whoever can write to its folder.
    With `--online` it also holds what the samples' URLs show now, who vouches for their hosts and since when their domains are registered.

    Examples:

    `untaint seal train.jsonl`  then, any time later,  `untaint verify train.jsonl`

    `untaint seal train.jsonl --key alice.pem`  and  `untaint verify train.jsonl --key alice.pub`

    `untaint seal images/ --init`  and, when sources.toml says who sends what,  `untaint seal images/`
    """
    from untaint.cli import seal_summary, signing
    from untaint.provenance import fresh
    from untaint.provenance import online as asked
    from untaint.provenance import seal as sealing  # not through `api`, which takes two seconds to load
    from untaint.provenance.beside import Beside
    from untaint.provenance.coverage import coverage
    from untaint.provenance.croissant import beside, read_croissant
    from untaint.provenance.source_risk import exposure
    from untaint.provenance.verify import sources_of

    settings = sealing.settings(processes, format, label=label, source=source, payload=payload, time=time)
    found = croissant or beside(data)
    described = None if found is None else read_croissant(found)
    if init:
        path = sealing.init(data, out, settings, described)
        typer.echo(f"{path}: fill it in, then run `untaint seal` again." if not quiet else str(path))
        return
    signers = signing.private_keys(keys or [], password_file)  # before hours of reading, not after
    how = asked.asking(most_urls, per_host, rdap, private=allow_private) if online else None
    with progress.shown(quiet=quiet) as report:
        wanted = Beside(how, report, against or [], fresh_days, snapshot, described)
        report("reading every sample", 0, 1)
        made = sealing.seal(data, out, settings, replace=replace, beside=wanted)
    notes = signing.sign(made, signers, data=data, expires=expires)
    if not quiet:
        seal_summary.sealed(made, signers, [*coverage(made).notes, *fresh.notes_of(made), *asked.notes_of(made), *notes])
        seal_summary.sources(exposure(made, sources_of(made), datetime.now(UTC).date()))
