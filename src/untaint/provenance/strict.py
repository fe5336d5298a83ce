"""The strict statement of a seal: everything under the root and every sample in it, bound by one signature.

It closes what an OpenSSF bundle leaves open: names, kinds, sizes, modes and targets of links are inside a digest; empty files,
hidden files and `.git` are covered; so are the samples, each with its label, source, transform and split. An in-toto
Statement v1 with one subject, statement.json, so that no file can pass for another of the same digest.
"""

import hashlib
import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from untaint.errors import BadInput
from untaint.provenance import json_text
from untaint.provenance.listing import file_digest, listed
from untaint.provenance.policy import stamp
from untaint.provenance.sealed import Sealed

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:untaint:seal:v1"
LEAF = "untaint.leaf/v1"
"""How a leaf is made of a sample: see `leaves`."""
COLUMNS = ("name", "raw", "kind", "size", "mode", "target", "sha256")
"""Of the table of files: what makes two folders the same."""
_FAMILY = "urn:untaint:seal:"

_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Number = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,18})$")]  # text: in-toto's own library makes 123 to 123.0
_Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]


@final
@dataclass(frozen=True)
class Facts:
    """What is signed.

    seal: SHA-256 of statement.json, which holds the digests of manifest, table of files and sources.  name: of the data.
    identity: `listing_digest` of the data.  root, samples: of the Merkle tree.  files, size: regular ones, and their bytes.
    created, expires: in UTC; after `expires` the seal no longer counts.
    """

    seal: bytes
    name: str
    identity: bytes
    root: bytes
    samples: int
    files: int
    size: int
    created: datetime
    expires: datetime | None = None


@final
class Row(NamedTuple):
    """One name below a root.  content: the digest of a file, the target of a link, nothing for what is neither."""

    name: bytes
    kind: str
    mode: int
    size: int
    content: bytes


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Digest(_Part):
    sha256: _Hex


class _Subject(_Part):
    name: str
    digest: _Digest


class _Samples(_Part):
    root: _Hex
    count: _Number
    leaf: Literal["untaint.leaf/v1"]


class _Files(_Part):
    identity: _Hex
    count: _Number
    bytes: _Number


class _Predicate(_Part):
    name: str
    created: _Time
    expires: _Time | None = None
    samples: _Samples
    files: _Files


class _Statement(_Part):
    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[list[_Subject], Field(min_length=1, max_length=1)]
    predicate_type: Annotated[Literal["urn:untaint:seal:v1"], Field(alias="predicateType")]
    predicate: _Predicate


def facts(seal: bytes, sealed: Sealed, identity: bytes, expires: datetime | None = None) -> Facts:
    """What a seal lets one sign.  seal: the bytes of statement.json.  identity: of `listing_digest`."""
    return Facts(
        hashlib.sha256(seal).digest(),
        _text(sealed.name),
        identity,
        bytes.fromhex(sealed.root),
        sealed.size,
        sealed.n_files,
        sealed.n_bytes,
        datetime.fromisoformat(sealed.created).astimezone(UTC).replace(microsecond=0),
        expires,
    )


def listing_digest(rows: Iterable[Row]) -> bytes:
    """SHA-256 over everything under a root: a name of the set that a copy shares and nothing else does.

    Rows come in the order of `listing.listed`: names by code points, a folder's as if it ended in a slash. Each is written as kind, name,
    mode, size, and digest or target of the link, with its length before every field, so that no name can pass for the end of one.
    Times and inodes are not in it. Memory: one row.
    """
    hasher = hashlib.sha256(b"untaint.listing/v1\n")
    for row in rows:
        parts = (row.kind.encode(), row.name, b"%o" % row.mode, b"%d" % row.size, row.content)
        hasher.update(b"".join(b"%d:%b" % (len(part), part) for part in parts))
    return hasher.digest()


def rows_of_table(table: Any) -> Iterator[Row]:
    """Rows of a seal's table of files, in Arrow, with `COLUMNS`."""
    for batch in table.select(list(COLUMNS)).to_batches():
        for name, raw, kind, size, mode, target, digest in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield Row(raw or name.encode("utf-8"), kind, mode, size, digest or _target(target))


def rows_of_folder(root: Path, without: Container[str] = ()) -> Iterator[Row]:
    """Rows of what lies at `root` now, every file read.  without: first parts of names that are left out, such as `.git`."""
    for entry in listed(root):
        if entry.name.split("/", 1)[0] in without:
            continue
        content = (
            file_digest(root / entry.name if root.is_dir() else root, entry) if entry.kind == "file" else _target(entry.target)
        )
        yield Row(os.fsencode(entry.name), entry.kind, entry.mode, entry.size, content)


def _target(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "backslashreplace")  # as the table of files has it


def statement(found: Facts) -> bytes:
    """The statement, to be signed as it is; the same facts give the same bytes."""
    until = {"expires": stamp(found.expires)} if found.expires else {}
    document = {
        "_type": STATEMENT,
        "subject": [{"name": "statement.json", "digest": {"sha256": found.seal.hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "name": found.name,
            "created": stamp(found.created),
            **until,
            "samples": {"root": found.root.hex(), "count": str(found.samples), "leaf": LEAF},
            "files": {"identity": found.identity.hex(), "count": str(found.files), "bytes": str(found.size)},
        },
    }
    return json_text.canonical(document)


def parse(payload: bytes, what: str) -> Facts:
    """What a statement says. what: how errors call it. Raises BadInput when it is malformed or of a newer version."""
    document = json_text.parse(payload, what)
    kind = document.get("predicateType")
    if kind != PREDICATE and isinstance(kind, str) and kind.startswith(_FAMILY):
        raise BadInput(
            f"{what} is of version {kind.removeprefix(_FAMILY)!r}, this release reads v1.", advice="Use a newer release."
        )
    try:
        found = _Statement.model_validate(document)
        predicate = found.predicate
        return Facts(
            bytes.fromhex(found.subject[0].digest.sha256),
            predicate.name,
            bytes.fromhex(predicate.files.identity),
            bytes.fromhex(predicate.samples.root),
            int(predicate.samples.count),
            int(predicate.files.count),
            int(predicate.files.bytes),
            _moment(predicate.created),
            _moment(predicate.expires) if predicate.expires else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(what, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    except ValueError as error:  # the 30th of February
        raise _bad(what, str(error)) from error


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _text(value: str) -> str:
    """What JSON can hold: bytes that are no text become a question mark."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not the statement of a seal: {why}.", advice="Seal again, or restore it from a copy.")
