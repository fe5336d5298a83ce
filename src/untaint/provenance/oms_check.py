"""A folder against an OpenSSF bundle: every file hashed again, and said in words what differs."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint.errors import MissingExtra
from untaint.provenance.oms import GIT_PATHS, WHOLE, Hash, Manifest, Resource

_BLOCK = 1 << 20
"""Bytes read at once: large enough that reading is not what takes the time."""


@final
@dataclass(frozen=True)
class Checked:
    """problems: what is not as signed.  notes: what the bundle does not cover, though it is there."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]


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
        empty = manifest.shards and not there[name].is_symlink() and there[name].stat().st_size == 0
        (notes if empty else problems).append(
            f"{name!r} is not signed" + (", being empty: shards cannot cover it" if empty else "")
        )
    links = {name for name, path in there.items() if path.is_symlink()}
    problems += [said for name in sorted(links) for said in _link(root, name, there[name], manifest)]
    both = sorted(parts.keys() & there.keys() - {name for name in links if _link(root, name, there[name], manifest)})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for said in pool.map(lambda name: _compare(there[name], name, parts[name], new_hash), both):
            problems += said
    return Checked(tuple(problems), tuple(notes))


def _files(root: Path, ignored: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Name → path of every file and link that a bundle covers. Links to folders are links, and not followed."""
    if not root.is_dir():
        yield WHOLE, root
        return
    skipped = {*GIT_PATHS, *(path.rstrip("/") for path in ignored)}
    stack = [""]
    while stack:
        at = stack.pop()
        with os.scandir(root / at) as entries:
            for entry in entries:
                name = f"{at}{entry.name}"
                if name in skipped:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    stack.append(f"{name}/")
                else:
                    yield name, Path(entry.path)


def _left_out(root: Path, manifest: Manifest) -> list[str]:
    if not root.is_dir():
        return []
    return [name for name in sorted({*GIT_PATHS, *manifest.ignored}) if os.path.lexists(root / name)]


def _link(root: Path, name: str, path: Path, manifest: Manifest) -> list[str]:
    if not manifest.allow_symlinks:
        return [f"{name!r} is a link, and the signer allowed none"]
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(root)):
        return [f"{name!r} is a link that leads outside"]
    return [] if real.is_file() else [f"{name!r} is a link to no file"]


def _compare(path: Path, name: str, parts: Sequence[Resource], new_hash: Any) -> list[str]:
    follow = 0 if path.is_symlink() else os.O_NOFOLLOW  # links were looked at above; what became one since is refused
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | follow)
    except OSError as error:
        return [f"{name!r} cannot be read: {error.strerror}"]
    with os.fdopen(handle, "rb", buffering=0) as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            return [f"{name!r} is no file"]
        position = 0
        for part in sorted(parts, key=lambda part: part.start):
            end = state.st_size if part.end is None else part.end
            if part.start != position or end > state.st_size or _digest(file, end - position, new_hash()) != part.digest:
                return [f"{name!r} has changed"]
            position = end
        return [] if position == state.st_size and not file.read(1) else [f"{name!r} is longer than what was signed"]


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
