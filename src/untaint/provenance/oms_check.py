"""A folder against an OpenSSF bundle: every file hashed again, and said in words what differs."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from untaint.errors import BadInput, MissingExtra
from untaint.provenance import keyless, oms, x509_chain
from untaint.provenance.keyless import Identity
from untaint.provenance.keys import PublicKey
from untaint.provenance.listing import Entry, listed, opened
from untaint.provenance.oms import GIT_PATHS, WHOLE, Hash, Manifest, Resource
from untaint.provenance.x509_chain import Roots

_MAX_BUNDLE = 1 << 30
"""Bytes; a bundle lists every file, 1 GiB of it some five million."""
_BLOCK = 1 << 20
"""Bytes read at once: large enough that reading is not what takes the time."""


@final
@dataclass(frozen=True)
class Checked:
    """problems: what is not as signed.  notes: what the bundle does not cover, though it is there."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]


def check_bundle(root: Path, path: Path, keys: Sequence[PublicKey], who: Identity | Roots | None = None) -> Checked:
    """Verify a bundle's signature, by key, by an identity of Sigstore or by certificate, and then the data against it.

    Raises BadInput when it cannot be read, MissingExtra when a package for it is not there.
    """
    content, found = _read(path), None
    if who is not None:
        if isinstance(who, Roots):
            envelope = x509_chain.verify(content, who, str(path), now=datetime.now(UTC))
        else:
            envelope = keyless.verify(content, who, str(path))
        if isinstance(envelope, str):
            return Checked((envelope,), ())
        found = oms.parse(envelope, str(path))
    elif (found := oms.verify(content, keys, str(path))) is None:
        return Checked((f"{path} is not signed with any of these keys",), ())
    inside = path.resolve()
    if inside.is_relative_to(root.resolve()):  # the format lets a bundle lie in what it signs
        found = replace(found, ignored=(*found.ignored, inside.relative_to(root.resolve()).as_posix()))
    return check(root, found)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BUNDLE + 1)
    except OSError as error:
        raise BadInput(f"no bundle at {path}: {error.strerror}.", advice="Give the .sig file that came with the data.") from error
    if len(content) > _MAX_BUNDLE:
        raise BadInput(f"{path} is larger than {_MAX_BUNDLE:,} bytes.", advice="It is no bundle.")
    return content


def check(root: Path, manifest: Manifest) -> Checked:
    """Compare what lies at `root` with a manifest whose signature was verified. Nothing outside the root is read.

    Raises MissingExtra when it hashes with BLAKE3 and that package is not there.
    """
    new_hash = _hash(manifest.hash)
    there = dict(_files(root, manifest.ignored))
    parts: dict[str, list[Resource]] = {}
    for resource in manifest.resources:
        parts.setdefault(resource.name, []).append(resource)
    problems = [f"{name!r} is missing" for name in sorted(parts.keys() - there.keys())]
    notes = [f"{name!r} is not covered by the bundle" for name in _left_out(root, manifest)]
    for name in sorted(there.keys() - parts.keys()):
        if manifest.shards and there[name].kind == "file" and there[name].size == 0:
            notes.append(f"{name!r} is empty, and a bundle of shards does not cover empty files")
        else:
            problems.append(f"{name!r} is not signed")
    both = []
    for name in sorted(parts.keys() & there.keys()):
        said = _link(root, name, manifest) if there[name].kind == "link" else []
        problems += said
        both += [] if said else [name]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for said in pool.map(lambda name: _compare(root / name, there[name], parts[name], new_hash), both):
            problems += said
    return Checked(tuple(problems), tuple(notes))


def _files(root: Path, ignored: Sequence[str]) -> Iterator[tuple[str, Entry]]:
    """Name → entry of every file and link that a bundle covers. Links to folders are links, and not followed."""
    if not root.is_dir():
        yield WHOLE, next(listed(root))
        return
    skipped = {*GIT_PATHS, *(path.rstrip("/") for path in ignored)}
    for entry in listed(root):
        parts = entry.name.split("/")
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
        if entry.kind != "folder" and not skipped & above:
            yield entry.name, entry


def _left_out(root: Path, manifest: Manifest) -> list[str]:
    if not root.is_dir():
        return []
    return [name for name in sorted({*GIT_PATHS, *manifest.ignored}) if os.path.lexists(root / name)]


def _link(root: Path, name: str, manifest: Manifest) -> list[str]:
    if not manifest.allow_symlinks:
        return [f"{name!r} is a link, and the signer allowed none"]
    real = Path(os.path.realpath(root / name))
    if not real.is_relative_to(os.path.realpath(root)):
        return [f"{name!r} is a link that leads outside"]
    return [] if real.is_file() else [f"{name!r} is a link to no file"]


def _compare(path: Path, entry: Entry, parts: Sequence[Resource], new_hash: Any) -> list[str]:
    if entry.kind == "link":
        path = Path(os.path.realpath(path))
        entry = next(listed(path))._replace(name=entry.name)
    if entry.kind != "file":
        return [f"{entry.name!r} is no file"]
    try:
        with opened(path, entry) as file:
            position = 0
            for part in sorted(parts, key=lambda part: part.start):
                end = entry.size if part.end is None else part.end
                if part.start != position or end > entry.size or _digest(file, end - position, new_hash()) != part.digest:
                    return [f"{entry.name!r} has changed"]
                position = end
    except BadInput as error:
        return [error.message.rstrip(".")]
    return [] if position == entry.size else [f"{entry.name!r} is longer than what was signed"]


def _digest(file: Any, length: int, hasher: Any) -> bytes:
    """Of the next `length` bytes; of fewer when the file ends before."""
    while length and (block := file.read(min(_BLOCK, length))):
        hasher.update(block)
        length -= len(block)
    found: bytes = hasher.digest()
    return found


def _hash(name: Hash) -> Any:
    if name != "blake3":
        return {"sha256": hashlib.sha256, "blake2b": hashlib.blake2b}[name]
    try:
        import blake3
    except ImportError as error:
        raise MissingExtra("a bundle that hashes with BLAKE3", "blake3") from error
    return blake3.blake3
