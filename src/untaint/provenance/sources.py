"""Who sends samples: `sources.toml`, written once by `untaint seal --init` and edited by people, and the source of every sample.

A sample's source is, in this order: what its record says, the source that expects its URL's host, the source whose path pattern its file
matches, the default. What a record says is kept even where no source of that name is listed: an unlisted source is shown, never trusted.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, final, get_args
from urllib.parse import urlsplit

from untaint.errors import BadInput

SCHEMA: Final = "untaint.sources/v1"
Kind: TypeAlias = Literal["pinned", "internal", "live-url", "api", "scrape", "crowd", "contractor"]
UNNAMED: Final = "(no source)"
KINDS: Final[tuple[str, ...]] = get_args(Kind)
_MOST = 10_000  # sources in a file; more are not kept by people
_HOSTS = 65_536  # hosts whose source is kept at hand


@final
@dataclass(frozen=True)
class Source:
    """One declared source.

    vetted_on, expires: of the vetting.  hosts: that its URLs may name, `*.example.org` with all below it.  paths: patterns of file
    names below the root, `*` within a folder, `**` across.  owner_changes: since the vetting, as far as people know.
    """

    name: str
    kind: Kind | None = None
    owner: str | None = None
    vetted_by: str | None = None
    vetted_on: date | None = None
    expires: date | None = None
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    owner_changes: int = 0

    def expects(self, host: str) -> bool:
        """Whether a host is one of its own."""
        return any(host == known or (known.startswith("*.") and host.endswith(known[1:])) for known in self.hosts)


@final
@dataclass(frozen=True)
class Sources:
    """All that `sources.toml` says. default: source of samples nobody else claims.  transform: what was done to all samples."""

    listed: tuple[Source, ...] = ()
    default: str | None = None
    transform: str | None = None
    _patterns: tuple[tuple[re.Pattern[str], str], ...] = field(default=(), repr=False, compare=False)

    def source_of(self, said: str | None, name: str, url: str | None) -> str | None:
        """The source of a sample. said: by its record.  name: of its file below the root."""
        if said is not None:
            return said
        if url is not None and (found := _by_host(self, host_of(url))) is not None:
            return found
        for pattern, source in self._patterns:
            if pattern.fullmatch(name):
                return source
        return self.default

    def named(self) -> Mapping[str, Source]:
        """By name."""
        return {source.name: source for source in self.listed}


@lru_cache(_HOSTS)
def _by_host(sources: Sources, host: str | None) -> str | None:
    return None if host is None else next((source.name for source in sources.listed if source.expects(host)), None)


@lru_cache(_HOSTS)
def host_of(url: str) -> str | None:
    """The host that a URL names, None for none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def read_sources(path: Path) -> Sources:
    """What a file says. Raises BadInput, with the source and the key, for anything it does not understand."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"there is no {path}.", advice="Write one with `untaint seal DATA --init`.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as TOML: {error}.", advice="Mend that line.") from error
    if content.get("schema") != SCHEMA:
        message = f"{path} has the schema {content.get('schema')!r}, this release reads {SCHEMA}."
        raise BadInput(message, advice=f'Write schema = "{SCHEMA}", or update untaint.')
    if unknown := sorted(set(content) - {"schema", "default", "transform", "source"}):
        raise BadInput(f"{path} has an unknown key {unknown[0]!r}.", advice="Keys: schema, default, transform, source.")
    tables = content.get("source", [])
    if not isinstance(tables, list) or len(tables) > _MOST or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"{path}: source is not a list of at most {_MOST:,} tables.", advice="Write each as [[source]].")
    listed = tuple(_source(path, place, table) for place, table in enumerate(tables, 1))
    names = [source.name for source in listed]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{path} lists the source {twice!r} twice.", advice="Put both into one.")
    return sources_of(listed, _text(path, content, "default"), _text(path, content, "transform"))


def sources_of(listed: Iterable[Source], default: str | None = None, transform: str | None = None) -> Sources:
    """Sources with their patterns at hand."""
    known = tuple(listed)
    patterns = tuple((re.compile(_regex(path), re.DOTALL), source.name) for source in known for path in source.paths)
    return Sources(known, default, transform, patterns)


def _source(path: Path, place: int, table: Mapping[str, Any]) -> Source:
    where = f"{path}, source {place}"
    known = set(Source.__dataclass_fields__)
    if unknown := sorted(set(table) - known):
        raise BadInput(f"{where} has an unknown key {unknown[0]!r}.", advice=f"Keys: {', '.join(sorted(known))}.")
    if not isinstance(table.get("name"), str) or not table["name"]:
        raise BadInput(f"{where} has no name.", advice='Write name = "…", as samples say it.')
    kind, changes = table.get("kind"), table.get("owner_changes", 0)
    if kind is not None and kind not in KINDS:
        raise BadInput(f"{where} has the kind {kind!r}.", advice=f"Kinds: {', '.join(KINDS)}.")
    if not isinstance(changes, int) or isinstance(changes, bool) or changes < 0:
        raise BadInput(f"{where}: owner_changes is {changes!r}.", advice="Write a whole number of at least 0.")
    vetted, expires = (_date(where, table, key) for key in ("vetted_on", "expires"))
    if vetted and expires and expires < vetted:
        raise BadInput(f"{where} expires on {expires}, before it was vetted on {vetted}.", advice="Mend one of the dates.")
    owner, vetter = (_text(path, table, key) for key in ("owner", "vetted_by"))
    hosts, paths = (_texts(where, table, key) for key in ("hosts", "paths"))
    return Source(table["name"], kind, owner, vetter, vetted, expires, tuple(map(str.lower, hosts)), paths, changes)


def _date(where: str, table: Mapping[str, Any], key: str) -> date | None:
    value = table.get(key)
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise BadInput(f"{where}: {key} is {value!r}, not a date.", advice=f"Write {key} = 2026-05-31, without quotes.")


def _text(path: Path, table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise BadInput(f"{path}: {key} is {value!r}, not a text.", advice="Put it in quotes.")


def _texts(where: str, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise BadInput(f"{where}: {key} is {value!r}, not a list of texts.", advice=f'Write {key} = ["…"].')


def _regex(pattern: str) -> str:
    """A path pattern as a regular expression."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(words.get(piece, re.escape(piece)) for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))


def template(found: Sequence[str], known: Sequence[Source] = (), hosts: Sequence[str] = ()) -> str:
    """A `sources.toml` to be filled in by people. found: sources that samples name.  known: of which something is.  hosts: of URLs."""
    head = f"""# Who sends these samples. Edit, then run `untaint seal` again: it goes into the seal.
# kind: {", ".join(KINDS)}
# A sample's source: what its record says, else the source with its URL's host, else the one whose path pattern matches, else default.
schema = "{SCHEMA}"
# default = "house"                     # source of samples nobody else claims
# transform = "resized to 224, JPEG 90"  # what was done to all samples, where no column says it
"""
    names = [name for name in found if name not in {source.name for source in known}] or ([] if known else ["unnamed"])
    told = "".join(f"# {_quoted(host)},\n" for host in hosts)
    head += f"\n# Hosts that URLs name, the most frequent first, to be put into `hosts`:\n{told}" if told else ""
    return (
        head
        + "".join(map(_written, known))
        + "".join(
            f"""
[[source]]
name = {_quoted(name)}
# kind = "internal"
# owner = ""
# vetted_by = ""
# vetted_on = 2026-05-31
# expires = 2027-05-31
# hosts = ["data.example.org", "*.example.net"]
# paths = ["{"**" if not found else "folder/**"}"]
# owner_changes = 0
"""
            for name in names
        )
    )


def _written(source: Source) -> str:
    """A source with what is known of it."""
    lists = {"hosts": source.hosts, "paths": source.paths}
    told = [f"{key} = [{', '.join(map(_quoted, values))}]" for key, values in lists.items() if values]
    words = {"name": source.name, "kind": source.kind, "owner": source.owner}
    told = [f"{key} = {_quoted(value)}" for key, value in words.items() if value] + told
    return (
        "\n[[source]]  # as a Croissant file has it: look before you believe it\n"
        + "\n".join(told)
        + '\n# vetted_by = ""\n# vetted_on = 2026-05-31\n'
    )


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" if ord(c) < 0x10000 else f"\\U{ord(c):08X}" for c in plain)
        + '"'
    )
