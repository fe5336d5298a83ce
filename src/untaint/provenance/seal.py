"""Seal a data set: read it once, write down what it is. The data are never written to.

Everything goes to `DATA.untaint/` beside the data, first into `partial/`; the statement comes last, so half a seal is none.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import replace as replaced
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

from typing_extensions import Unpack

from untaint.data.readers.base import Asked, Request
from untaint.errors import BadInput, CannotWrite
from untaint.provenance.beside import Beside, window, write_tables
from untaint.provenance.croissant import Described
from untaint.provenance.listing import Entry
from untaint.provenance.manifest import Manifest
from untaint.provenance.pins import Pins
from untaint.provenance.plan import Trusted, plan_for, tasks_for
from untaint.provenance.plan_base import Plan
from untaint.provenance.scan import Report, Scan, Scanned
from untaint.provenance.sealed import FILES, MANIFEST, SOURCES, STATEMENT, TILES, Seal, Sealed, folder_for, read_seal
from untaint.provenance.sources import Sources, host_of, read_sources, template
from untaint.provenance.tasks import Context

PARTIAL, EARLIER = "partial", "earlier"
_KEPT = frozenset({PARTIAL, EARLIER, SOURCES, "log"})
"""What a new seal does not replace; the log tells of both."""


def _nothing(_entry: Entry) -> None:
    """Every file is read."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """No progress."""


@final
@dataclass(frozen=True)
class Settings:
    """How a data set is read.

    format: a reader's id or `files`, None = recognise it.  processes: that share the work.  pins: how it was read when it was sealed,
    None = it is sealed now.
    """

    request: Request = field(default_factory=Request)
    format: str | None = None
    processes: int = 1
    report: Report = quiet
    pins: Pins | None = None


_DEFAULT, _ALONE = Settings(), Beside()


def settings(processes: int | None = 1, format: str | None = None, **asked: Unpack[Asked]) -> Settings:
    """Settings from keywords. processes: None = one per core."""
    return Settings(Request.of(**asked), format, processes or os.cpu_count() or 1)


@final
@dataclass(frozen=True)
class Reader:
    """A data set with the plan to read it."""

    path: Path
    context: Context
    plan: Plan

    def scan(self, folder: Path, chosen: Settings, *, tiles: bool = True, trusted: Trusted = _nothing) -> Scanned:
        """Read all of it into a folder. tiles: whether the tree is wanted, or its leaves only.  trusted: files that need not be read."""
        facts = [str(self.path), self.plan.format, self.plan.note, repr(self.context.sources), tool()]
        key = hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()
        scan = Scan(folder, key, chosen.report, tiles=tiles, leaves=not tiles)
        return scan.run(lambda: tasks_for(self.plan, self.path, self.context, trusted), chosen.processes)


def reader_for(data: Path, chosen: Settings, sources: Sources) -> Reader:
    """The plan for data at a path. Raises BadInput when there are none."""
    if not data.exists():
        raise BadInput(f"no such file or folder: {data}.", advice="Give a local path; data from a hub must be downloaded first.")
    if not data.is_dir() and not data.is_file():
        raise BadInput(f"{data} is neither a file nor a folder.", advice="Give a regular file or a folder.")
    path = data.resolve()
    lenient = chosen.pins is not None
    context = Context(path if path.is_dir() else path.parent, sources, sources.transform, lenient)
    try:
        return Reader(path, context, plan_for(path, context, chosen.request, chosen.format, chosen.pins))
    except OSError as error:
        raise BadInput(
            f"{error.filename or data} cannot be read: {error.strerror or error}.", advice="Check the permissions."
        ) from error


def seal(
    data: Path, out: Path | None = None, chosen: Settings = _DEFAULT, *, replace: bool = False, beside: Beside = _ALONE
) -> Seal:
    """Seal data. out: folder for the seal, None = beside the data.  replace: keep an older seal under `earlier/` and make a new one.

    beside: what else the seal is to hold.

    Raises BadInput for data that cannot be read, a seal that is there, or `out` inside the data; CannotWrite for the folder.
    """
    folder = _writable(data, out)
    if (folder / STATEMENT).exists() and not replace:
        advice = "Check the data with `untaint verify`, or seal them anew with --replace, which keeps the old seal in earlier/."
        raise BadInput(f"{folder} holds a seal already.", advice=advice)
    sources = read_sources(folder / SOURCES) if (folder / SOURCES).exists() else Sources()
    reader, fresh = reader_for(data, chosen, sources), window(folder, beside)
    try:
        found = reader.scan(folder / PARTIAL, chosen)
        tables = write_tables(folder / PARTIAL, Manifest(folder / PARTIAL / MANIFEST, found.parts), beside, fresh)
        sealed = replaced(_stated(reader, found, chosen, folder), tables=tables)
        _put_in_place(folder, sealed)
    except OSError as error:
        raise CannotWrite(
            f"cannot write to {folder}: {error.strerror or error}.", advice="Make room, or choose --out."
        ) from error
    return read_seal(folder)


def init(data: Path, out: Path | None = None, chosen: Settings = _DEFAULT, described: Described | None = None) -> Path:
    """Write a `sources.toml` to be filled in, with every source that samples name, and the hosts that URLs name most.

    described: by a Croissant file, whose source is written down as well.  Raises CannotWrite when there is a `sources.toml`.
    """
    folder = _writable(data, out)
    path = folder / SOURCES
    if path.exists():
        raise CannotWrite(f"{path} is there already.", advice="Edit it, or move it away.")
    reader, named, hosts = reader_for(data, chosen, Sources()), dict[str, None](), Counter[str]()
    for task in tasks_for(reader.plan, reader.path, reader.context, _nothing):
        rows = task.run().rows
        named |= dict.fromkeys(rows.column("source").drop_null().unique().to_pylist())
        hosts.update(host for url in rows.column("url").drop_null().to_pylist() if (host := host_of(url)))
        if len(named) >= _NAMED or len(hosts) >= _HOSTS:
            break
    known = [] if described is None else [described.source]
    path.write_text(template(list(named)[:_NAMED], known, [host for host, _ in hosts.most_common(_SHOWN)]), encoding="utf-8")
    return path


_NAMED = 200
"""Sources that are written down for people to fill in; of more, patterns and hosts are the way."""
_HOSTS, _SHOWN = 100_000, 50
"""Hosts that are counted, and the most frequent that are written down."""


def tool() -> str:
    """The name and version of this release."""
    try:
        return f"untaint {version('untaint')}"
    except PackageNotFoundError:
        return "untaint"


def asked_of(chosen: Settings) -> Mapping[str, Any]:
    """What the user asked of the reader, to ask the same again."""
    asked = {name: value for name, value in asdict(chosen.request).items() if value is not None}
    return asked | ({"format": chosen.format} if chosen.format else {})


def _stated(reader: Reader, found: Scanned, chosen: Settings, folder: Path) -> Sealed:
    sources = folder / SOURCES
    return Sealed(
        name=reader.path.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        root=found.root.hex(),
        size=found.size,
        parts=tuple(found.parts),
        files=found.files,
        n_files=found.n_files,
        n_bytes=found.n_bytes,
        format=reader.plan.format,
        note=reader.plan.note,
        asked=asked_of(chosen),
        sources=hashlib.sha256(sources.read_bytes()).hexdigest() if sources.exists() else None,
        tool=tool(),
        reading=reader.plan.pins.document(),
    )


def _put_in_place(folder: Path, sealed: Sealed) -> None:
    """The old seal goes to `earlier/`, the new one takes its place, its statement last."""
    partial = folder / PARTIAL
    if (folder / STATEMENT).exists():
        old = hashlib.sha256((folder / STATEMENT).read_bytes()).hexdigest()
        kept = folder / EARLIER / old[:16]
        kept.mkdir(parents=True, exist_ok=True)
        for path in [path for path in folder.iterdir() if path.name not in _KEPT]:
            path.rename(kept / path.name)
        if (folder / SOURCES).exists():
            shutil.copy2(folder / SOURCES, kept / SOURCES)
    (partial / TILES).mkdir(exist_ok=True)
    for name in (MANIFEST, FILES, TILES, *sealed.tables):
        _removed(folder / name)
        (partial / name).rename(folder / name)
    new = partial / STATEMENT
    with new.open("wb") as file:
        file.write(sealed.statement())
        file.flush()
        os.fsync(file.fileno())
    new.rename(folder / STATEMENT)
    shutil.rmtree(partial)


def _removed(path: Path) -> None:
    """What is left of a sealing that stopped before its statement."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _writable(data: Path, out: Path | None) -> Path:
    folder = (out or folder_for(data)).resolve()
    inside = data.resolve()
    if folder == inside or (data.is_dir() and inside in folder.parents):
        raise BadInput(f"the folder of the seal, {folder}, lies inside the data.", advice="Name a folder elsewhere with --out.")
    try:
        (folder / PARTIAL).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot write to {folder}: {error.strerror or error}.", advice="Choose another with --out.") from error
    return folder
