"""What a Croissant file says of a data set: who made it, where its files come from, and the digests that they should have.

Croissant is JSON-LD (versions 1.0 and 1.1). Names are read with and without their prefix; contexts are not resolved and nothing is fetched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from untaint.errors import BadInput
from untaint.provenance import json_text
from untaint.provenance.manifest import HASH, read_files, sha256_of
from untaint.provenance.sources import Source, host_of
from untaint.provenance.upstream import SIZES, Upstream, digest_in

TABLE: Final = "upstream.parquet"
CLAIMS = pa.schema(
    [
        ("file", pa.int32()),  # row of files.parquet
        ("name", pa.string()),
        ("upstream", pa.binary()),  # digest that is claimed of it; its length says which
        ("sha256", HASH),  # that it has
        ("fits", pa.bool_()),  # null = not compared: only SHA-256 is
    ]
)
_LARGEST = 64 << 20  # bytes; descriptions of large sets have some megabytes
_BESIDE = ("croissant.json", "croissant.jsonld")
_PREFIXES = ("sc:", "schema:", "cr:", "https://schema.org/", "http://schema.org/", "http://mlcommons.org/croissant/")
_WORD = 200  # characters of a name that are kept


@final
@dataclass(frozen=True)
class Described:
    """One set. owner: who publishes it, else who made it.  files: claim by file, as its name or address says.  live: whether it changes."""

    path: Path
    name: str
    owner: str | None
    hosts: tuple[str, ...]
    files: Mapping[str, Upstream]
    undigested: int
    live: bool

    @property
    def source(self) -> Source:
        """The source of all its samples. Pinned where each file has a digest; whether bytes fit is another question."""
        pinned = bool(self.files) and not self.undigested and not self.live and all(claim.digest for claim in self.files.values())
        return Source(self.name, "pinned" if pinned else "live-url", self.owner, hosts=self.hosts, paths=("**",))


def beside(data: Path) -> Path | None:
    """The Croissant file in or beside data, None for none. What is called like one and is none, is none."""
    places = [data / name for name in _BESIDE] if data.is_dir() else [data.parent / name for name in _BESIDE]
    places.append(data.parent / f"{data.name}.croissant.json")
    for path in places:
        if path.is_file() and path.resolve() != data.resolve():
            try:
                read_croissant(path)
            except BadInput:
                continue
            return path
    return None


def read_croissant(path: Path) -> Described:
    """What a file says. Raises BadInput for anything that is no Croissant."""
    try:
        if path.stat().st_size > _LARGEST:
            raise BadInput(f"{path} is larger than {_LARGEST >> 20} MiB.", advice="Name the Croissant file of the set.")
        document = json_text.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", advice="Name a Croissant file.") from error
    found = _plain(document)
    if not any(_bare(kind) == "Dataset" for kind in _listed(document.get("@type"))):
        raise BadInput(f"{path} describes no data set: its @type is {document.get('@type')!r}.", advice="Name a Croissant file.")
    files, undigested, hosts = dict[str, Upstream](), 0, dict[str, None]()
    for part in filter(lambda part: isinstance(part, dict), _listed(found.get("distribution"))):
        each = _plain(part)
        url = each.get("contentUrl")
        if isinstance(url, str) and (host := host_of(url)):
            hosts[host] = None
        if not any(_bare(kind) == "FileObject" for kind in _listed(part.get("@type"))) or each.get("containedIn"):
            continue
        claim = _claim(each)
        undigested += claim is None
        files |= dict.fromkeys(_names(part, each), claim) if claim else {}
    name = found.get("name")
    owner = _people(found.get("publisher")) or _people(found.get("creator"))
    live = bool(found.get("isLiveDataset"))
    return Described(
        path, name[:_WORD] if isinstance(name, str) and name else path.stem, owner, tuple(hosts), files, undigested, live
    )


def write_claims(path: Path, table: Path, described: Described) -> str | None:
    """Compare what is claimed of files with their digests; SHA-256 of the file that says so, None = none of them is described.

    table: files.parquet.
    """
    rows = []
    for number, row in enumerate(read_files(table, ["name", "kind", "sha256"]).to_pylist()):
        claim = described.files.get(row["name"]) or described.files.get(PurePosixPath(row["name"]).name)
        if claim is not None and row["kind"] == "file":
            fits = claim.fits if claim.digest is None or len(claim.digest) != SIZES["sha256"] else claim.digest == row["sha256"]
            rows.append({"file": number, "name": row["name"], "upstream": claim.digest, "sha256": row["sha256"], "fits": fits})
    if not rows:
        return None
    facts = {"from": str(described.path), "described": str(len(described.files)), "undigested": str(described.undigested)}
    pq.write_table(pa.Table.from_pylist(rows, CLAIMS).replace_schema_metadata(facts), path)
    return sha256_of(path)


def _claim(each: Mapping[str, Any]) -> Upstream | None:
    """The surest digest of a file; all are looked at, as of a right MD5 and a wrong SHA-256 the latter counts."""
    for name in SIZES:
        if each.get(name):
            digest = digest_in(each[name], name)
            return Upstream(digest, None if digest else False)
    return None


def _names(part: Mapping[str, Any], each: Mapping[str, Any]) -> Iterator[str]:
    """How the file may be called here: by its address, relative or the end of a URL, its name, its @id."""
    for value in (each.get("contentUrl"), each.get("name"), part.get("@id")):
        if isinstance(value, str) and value:
            path = _path(value) if "://" in value else value
            yield path.removeprefix("./")
            yield PurePosixPath(path).name


def _path(url: str) -> str:
    try:
        return unquote(urlsplit(url).path)
    except ValueError:  # such as a bracket in the name of the host
        return url


def _people(value: Any) -> str | None:
    names = [who.get("name") or who.get("sc:name") if isinstance(who, dict) else who for who in _listed(value)]
    told = [name for name in names if isinstance(name, str) and name]
    return ", ".join(told)[:_WORD] or None


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {_bare(name): value for name, value in document.items()}


def _bare(name: Any) -> str:
    text = name if isinstance(name, str) else ""
    return text.removeprefix(next((prefix for prefix in _PREFIXES if text.startswith(prefix)), ""))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
