"""Flags that several commands share."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class FailOn(StrEnum):
    """Least severity that makes the exit code 1."""

    info = "info"
    low = "low"
    medium = "medium"
    high = "high"
    critical = "critical"
    never = "never"


class BudgetName(StrEnum):
    """How much work an audit may do."""

    fast = "fast"
    standard = "standard"
    thorough = "thorough"


Data: TypeAlias = Annotated[
    Path,
    typer.Argument(
        help="Data set: a local file or folder (`untaint list formats`). Never looked up on a hub.", show_default=False
    ),
]
Label: TypeAlias = Annotated[
    str | None, typer.Option("--label", help="Column that holds the labels. Found by name when not given.")
]
Source: TypeAlias = Annotated[str | None, typer.Option("--source", help="Column that says who sent a sample.")]
Payload: TypeAlias = Annotated[str | None, typer.Option("--payload", help="Column that holds the images or texts.")]
Time: TypeAlias = Annotated[
    str | None, typer.Option("--time", help="Column that says when a sample was collected: ISO dates or seconds since 1970.")
]
Table: TypeAlias = Annotated[
    str | None, typer.Option("--table", help="Of a database with several tables, the one to read.", show_default=False)
]
Query: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--query", help="Of a DuckDB database: one SELECT that makes the rows. It reaches no other file.", show_default=False
    ),
]
Format: TypeAlias = Annotated[str | None, typer.Option("--format", help="Format of the data. Recognised when not given.")]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No summary, no progress: only files and the exit code.")]
Processes: TypeAlias = Annotated[
    int | None,
    typer.Option("--processes", min=1, help="Processes that share the work. One per core when not given.", show_default=False),
]
PASSWORD = "UNTAINT_KEY_PASSWORD"  # noqa: S105 - the name of a variable

SigningKeys: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--key", help="Private key to sign with (`untaint key new`). Repeatable.", show_default=False)
]
PasswordFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help=f"File with the password of the keys, else {PASSWORD}, else you are asked.", show_default=False
    ),
]
Expires: TypeAlias = Annotated[
    datetime | None,
    typer.Option("--expires", formats=["%Y-%m-%d"], help="Last day on which the signed seal counts.", show_default=False),
]
TrustedKeys: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--key", help="Public key that must have signed. Repeatable: then all of them must have.", show_default=False),
]
PolicyFile: TypeAlias = Annotated[
    Path | None, typer.Option("--policy", help="File that says who must have signed, in which role.", show_default=False)
]
Signer: TypeAlias = Annotated[
    str | None, typer.Option("--identity", help="Who signed by Sigstore, as the certificate says.", show_default=False)
]
Issuer: TypeAlias = Annotated[
    str | None, typer.Option("--issuer", help="URL of who vouches for that identity.", show_default=False)
]
BundleFile: TypeAlias = Annotated[
    Path | None, typer.Option("--bundle", help="OpenSSF model signing bundle (.sig) in place of a seal.", show_default=False)
]
Online: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--online",
        help="Ask a random sample of the URLs that samples name, a few of every host, slowly, over the network. Never done without it.",
    ),
]
MostUrls: TypeAlias = Annotated[
    int, typer.Option("--most-urls", min=1, help="With --online: URLs at most. Of more hosts than that some are drawn.")
]
PerHost: TypeAlias = Annotated[int, typer.Option("--per-host", min=1, help="With --online: URLs of one host at most.")]
Rdap: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--rdap",
        help="With --online: file of registries to ask when a domain was registered, IANA's when not given; `none` asks none.",
        show_default=False,
    ),
]
AllowPrivate: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="With --online: also addresses inside your own network, which the data then decide to reach."
    ),
]
