"""How a record becomes what the manifest holds of a sample, by the same recipe as an audit reads it.

So a sample's `id` here is its `id` in an audit of the same data, and label and source are the same texts: the two can be joined.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, final

from untaint.data.dataset import Payload, content_id
from untaint.data.readers._recipe import Recipe, Record, as_name
from untaint.data.readers.base import Request
from untaint.data.roles import ROW_NUMBERS, Roles, choose, find_source, find_time, is_missing
from untaint.data.times import moment
from untaint.errors import BadInput
from untaint.provenance.upstream import NAMES, Upstream, compared, upstream_of

URLS = ("url", "image_url", "source_url", "link", "uri")
SPLITS = ("split", "subset", "fold", "partition")
TRANSFORMS = ("transform", "transform_id", "preprocessing")
"""Names of columns that say where a sample was fetched, which split it belongs to and what was done to it; none of an audit's roles."""


@final
class Sample(NamedTuple):
    """One sample as its record has it. id: 32 bytes.  rest: SHA-256 of its other fields, None = it has none.

    upstream: the digest it came with.
    """

    id: bytes
    rest: bytes | None = None
    label: str | None = None
    source: str | None = None
    transform: str | None = None
    split: str | None = None
    url: str | None = None
    collected_at: datetime | None = None
    upstream: Upstream | None = None


@final
@dataclass(frozen=True)
class Reading:
    """Roles applied to records. url, split, transform: columns, None = there is none.  joined: whether an audit gives the same ids."""

    recipe: Recipe
    url: str | None = None
    split: str | None = None
    transform: str | None = None
    joined: bool = True
    used: frozenset[str] = field(default_factory=frozenset)

    @property
    def note(self) -> str:
        """The roles in words."""
        more = [f"{role}: column {name!r}" for role, name in self._more() if name is not None]
        return "; ".join([self.recipe.roles.note, *more])

    def sample(self, record: Record) -> Sample:
        """What the manifest holds of a record."""
        payload, _ = self.recipe.read(record)
        known = id_of(payload)
        if not isinstance(record, Mapping):
            return Sample(known)
        roles, used = self.recipe.roles, self.used
        label, source = record.get(roles.label or ""), record.get(roles.source or "")
        return Sample(
            known,
            rest_digest({name: value for name, value in record.items() if name not in used}),
            label if type(label) is str and label else self.recipe.label(record),
            source if type(source) is str and source else self.recipe.source(record),
            None if self.transform is None else _name(record.get(self.transform)),
            None if self.split is None else _name(record.get(self.split)),
            None if self.url is None else _name(record.get(self.url)),
            None if roles.time is None else moment_of(record.get(roles.time)),
            None if NAMES.isdisjoint(record) else self._upstream(record, payload, known),
        )

    def _upstream(self, record: Mapping[str, object], payload: Payload, known: bytes) -> Upstream | None:
        """The digest that came with a record. Of a table it is that of what a URL shows, so that nothing here can be compared."""
        claim = upstream_of(record, NAMES & record.keys())
        if claim is None or (self.recipe.roles.modality == "table" and self.url is None):
            return None
        if self.recipe.roles.modality == "table" or not isinstance(payload, str | bytes):
            return claim
        return compared(claim, known, lambda: payload if isinstance(payload, bytes) else payload.encode("utf-8", "surrogatepass"))

    def _more(self) -> Sequence[tuple[str, str | None]]:
        return (("url", self.url), ("split", self.split), ("transform", self.transform))


def reading_of(recipe: Recipe, columns: Sequence[str], *, joined: bool = True) -> Reading:
    """The reading that goes with an audit's recipe: columns that are none of its roles may be a URL, a split, a transform."""
    roles = recipe.roles
    taken = {*roles.payload, roles.label, roles.source, roles.time}
    free = {name.strip().lower(): name for name in reversed(columns) if name not in taken}
    url, split, transform = (next((free[name] for name in names if name in free), None) for names in (URLS, SPLITS, TRANSFORMS))
    return reading_with(recipe, url, split, transform, joined=joined)


def reading_with(recipe: Recipe, url: str | None, split: str | None, transform: str | None, *, joined: bool) -> Reading:
    """The reading with these columns. A URL is one of the other fields too: it is told by `fields` when it changes."""
    roles = recipe.roles
    used = frozenset(name for name in (*roles.payload, roles.label, roles.source, split, transform) if name is not None)
    return Reading(recipe, url, split, transform, joined, used)


def roles_for(columns: Mapping[str, Sequence[object]], where: str, request: Request) -> tuple[Roles, bool]:
    """Roles as an audit would choose them, True; where it could not, every column that has no other role is payload, False.

    Raises BadInput where the user named a column that is not there.
    """
    try:
        return choose(
            columns, where, label=request.label, source=request.source, payload=request.payload, time=request.time
        ), True
    except BadInput:
        if request.label or request.payload:
            raise
    source, source_note = find_source(columns, where, request.source)
    time, time_note = find_time(columns, where, request.time, {source})
    other = {name for name in columns if name.strip().lower() in {*URLS, *SPLITS, *TRANSFORMS, *ROW_NUMBERS}}
    payload = tuple(name for name in columns if name not in {source, time, *other})
    note = "; ".join(filter(None, ["no labels: the whole record is the content", source_note, time_note]))
    return Roles("table", "other", payload or tuple(columns), None, source, note, time=time), False


def id_of(payload: Payload) -> bytes:
    """The 32 bytes of a payload's id."""
    if type(payload) is str:
        return hashlib.sha256(payload.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(payload).digest() if type(payload) is bytes else bytes.fromhex(content_id(payload))


def rest_digest(others: Mapping[str, object]) -> bytes | None:
    """SHA-256 over a record's other fields as JSON, None for none. Of texts alone the JSON is made here, which is twice as fast."""
    if not others:
        return None
    if all(type(value) is str for value in others.values()):
        text = "{" + ",".join([f"{_quoted(name)}:{_quoted(others[name])}" for name in sorted(others)]) + "}"  # type: ignore[arg-type]
    else:
        text = _JSON.encode(others)
    return hashlib.sha256(text.encode()).digest()


def _name(value: object) -> str | None:
    return value if type(value) is str and value else as_name(value)


def moment_of(value: object) -> datetime | None:
    """A time, None for what is none."""
    if value is None or is_missing(value):
        return None
    try:
        return moment(value)
    except ValueError:
        return None


def _said(value: Any) -> str:
    """A value that JSON has no word for."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if hasattr(value, "tobytes"):
        return f"{value.dtype.str}{value.shape}:{hashlib.sha256(value.tobytes()).hexdigest()}"
    return f"{type(value).__name__}:{value}"


_quoted = json.encoder.encode_basestring_ascii
_JSON = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=_said)
