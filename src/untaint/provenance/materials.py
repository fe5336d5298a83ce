"""What goes into a training run and comes out of it, measured: files, folders, data that were sealed, audits, code, environment."""

import hashlib
import platform
import re
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from untaint.errors import BadInput
from untaint.provenance import json_text, strict
from untaint.provenance.attest import Material
from untaint.provenance.listing import file_digest, listed
from untaint.provenance.sealed import STATEMENT, Seal

LISTING: Final = "listing"
"""Fact of a folder: its digest is `strict.listing_digest`, over names, modes, sizes and contents."""
_NOT_CODE = frozenset({".git", ".venv", "venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_MAX_AUDIT = 1 << 30
"""Bytes of an audit.json."""


def of_path(name: str, path: Path) -> Material:
    """A file by its SHA-256, a folder by its listing. Raises BadInput when there is none, or it changes while it is read."""
    if path.is_file():
        real = path.resolve()  # a link that the user names is followed, none below it
        entry = next(listed(real))
        return Material(name, {"sha256": file_digest(real, entry).hex()}, {"path": path.name, "bytes": str(entry.size)})
    if not path.is_dir():
        raise BadInput(f"no such file or folder: {path}.", advice=f"Give the {name} by its path.")
    return Material(
        name, {"sha256": strict.listing_digest(strict.rows_of_folder(path)).hex()}, {"path": path.name, "of": LISTING}
    )


def of_code(path: Path) -> Material:
    """Code: its listing without caches and environments, which also covers what is not committed, and the commit of Git, if any."""
    if path.is_file():
        return of_path("code", path)
    rows = (row for row in strict.rows_of_folder(path, _NOT_CODE) if b"__pycache__" not in row.name.split(b"/"))
    digest = {"sha256": strict.listing_digest(rows).hex()}
    commit = git_commit(path)
    return Material("code", digest | ({"gitCommit": commit} if commit else {}), {"path": path.resolve().name, "of": LISTING})


def of_data(seal: Seal) -> Material:
    """A data set by its seal: SHA-256 of the statement, with the root of its samples and how many they are."""
    digest = hashlib.sha256((seal.folder / STATEMENT).read_bytes()).hexdigest()
    facts = {"name": seal.sealed.name, "root": seal.sealed.root, "samples": str(seal.sealed.size)}
    return Material("dataset", {"sha256": digest}, facts)


def of_consumed(root: str, samples: int) -> Material:
    """What training really read: the root over the samples it met, each once, in sealed order (`on_read.Consumed`). Raises BadInput."""
    if not re.fullmatch(r"[0-9a-f]{64}", root):
        raise BadInput(
            f"{root!r} is not the root of a tree.", advice="Give the 64 hexadecimal digits of `Checker.consumed().root`."
        )
    return Material("consumed", {"sha256": root}, {"samples": str(samples)})


def of_audit(folder: Path) -> Material:
    """An audit by its audit.json, with its verdict. Raises BadInput when there is none."""
    path = folder / "audit.json"
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_AUDIT)
    except OSError as error:
        raise BadInput(f"no audit at {path}: {error.strerror}.", advice="Give the folder that `untaint audit` wrote.") from error
    found = json_text.parse(content, str(path))
    if not str(found.get("schema")).startswith("untaint.audit/"):
        raise BadInput(f"{path} is not an audit.", advice="Give the folder that `untaint audit` wrote.")
    facts: dict[str, str] = {name: str(found[name]) for name in ("verdict", "alpha", "n_samples", "n_flagged") if name in found}
    return Material("audit", {"sha256": hashlib.sha256(content).hexdigest()}, facts)


@cache
def environment() -> tuple[Material, bytes]:
    """What is installed, and its text: a line for each package, the interpreter and the machine first. Looked at once."""
    packages = sorted(
        {f"{found.metadata['Name']}=={found.version}".lower() for found in distributions() if found.metadata["Name"]}
    )
    head = [f"# {platform.python_implementation()} {platform.python_version()}", f"# {platform.platform()}"]
    text = "\n".join([*head, *packages, ""]).encode()
    return Material("environment", {"sha256": hashlib.sha256(text).hexdigest()}, {"packages": str(len(packages))}), text


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out, read from the files of Git; None when there is none. Nothing is run."""
    git = folder / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        name = head.removeprefix("ref: ")
        found = head
        if name != head:
            if not name.startswith("refs/") or ".." in name:
                return None
            loose = git / name
            found = loose.read_text(encoding="utf-8").strip() if loose.is_file() else _packed(git, name)
    except (OSError, UnicodeDecodeError):
        return None
    return found if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", found) else None


def _packed(git: Path, name: str) -> str:
    lines = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {name}")), "")
