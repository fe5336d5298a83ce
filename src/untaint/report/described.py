"""What an export is: a seal, and the audit of what it seals, in the words of another standard. Nothing is decided here."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, final

import pyarrow.compute as pc

from untaint import registry
from untaint.provenance.manifest import part_name
from untaint.provenance.sealed import MANIFEST, SOURCES, Seal
from untaint.provenance.sources import Source, read_sources
from untaint.report.v1 import Document


@final
class Covered(NamedTuple):
    """A regular file that a seal covers. name: below the root of the data.  sha256: hexadecimal."""

    name: str
    size: int
    sha256: str


@final
@dataclass(frozen=True)
class Terms:
    """What no seal can know: under which terms data may be used, and who answers for them. None = not said."""

    description: str | None = None
    licence: str | None = None
    creator: str | None = None
    url: str | None = None
    version: str = "1.0.0"


@final
@dataclass(frozen=True)
class Described:
    """What is exported.

    data: the file or folder that was sealed.  base: folder that relative addresses start from.  audit: of the same data, None =
    there was none.
    """

    seal: Seal
    data: Path
    base: Path
    audit: Document | None = None
    terms: Terms = field(default_factory=Terms)

    @property
    def created(self) -> datetime:
        """When the seal was made."""
        return self.seal.created

    @cached_property
    def files(self) -> tuple[Covered, ...]:
        """Regular files, in the order of the seal. Raises BadInput for a seal that was changed."""
        table = self.seal.files(["name", "kind", "size", "sha256"])
        table = table.filter(pc.equal(table.column("kind"), "file"))
        columns = (table.column(name).to_pylist() for name in ("name", "size", "sha256"))
        return tuple(Covered(name, size, digest.hex()) for name, size, digest in zip(*columns, strict=True))

    @cached_property
    def counts(self) -> Mapping[str | None, int]:
        """Samples per source, None = no source; the largest first. One pass over the manifest."""
        found: dict[str | None, int] = {}
        for batch in self.seal.manifest.batches(["source"]):
            for entry in pc.value_counts(batch.column("source")).to_pylist():
                found[entry["values"]] = found.get(entry["values"], 0) + entry["counts"]
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0] or "")))

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """What `sources.toml` declares, by name; empty where the seal has none. Raises BadInput for a damaged one."""
        path = self.seal.folder / SOURCES
        return read_sources(path).named() if self.seal.sealed.sources is not None else {}

    def parts(self) -> Iterator[Covered]:
        """The files of the manifest, named from the seal's folder."""
        for number, part in enumerate(self.seal.sealed.parts):
            path = self.seal.folder / MANIFEST / part_name(number)
            yield Covered(f"{MANIFEST}/{part_name(number)}", path.stat().st_size if path.is_file() else 0, part.sha256)

    def address(self, path: Path) -> str:
        """A path as seen from `base`, with forward slashes."""
        return Path(os.path.relpath(path.resolve(), self.base.resolve())).as_posix()

    def place(self, name: str) -> str:
        """Address of a file that the seal covers."""
        return self.address(self.data / name if self.data.is_dir() else self.data)


class Export(ABC):
    """A seal as text in a format that other tools read.  file: its usual name."""

    id: ClassVar[str]
    file: ClassVar[str]

    @abstractmethod
    def render(self, described: Described) -> str:
        """The text: the same for the same seal, audit and terms, whenever and wherever. Raises BadInput for a damaged seal."""


def exports() -> dict[str, type[Export]]:
    """Every known export by id."""
    return dict(registry.members(Export, "untaint.report"))


def sentence(described: Described) -> str:
    """What was sealed, in a sentence."""
    sealed = described.seal.sealed
    return (
        f"{sealed.size:,} samples in {sealed.n_files:,} files ({sealed.n_bytes:,} bytes), sealed by {sealed.tool} on "
        f"{described.created:%Y-%m-%d}; Merkle root {sealed.root}."
    )


def facts(described: Described) -> dict[str, Any]:
    """What a reader needs to check the data against the seal, and what an audit said, by name."""
    sealed, audit = described.seal.sealed, described.audit
    found: dict[str, Any] = {
        "merkle_root": sealed.root,
        "leaf_count": str(sealed.size),
        "leaf_format": "untaint.leaf/v1",
        "manifest_sha256": sealed.manifest,
        "files_sha256": sealed.files,
    }
    if audit is not None:
        found |= {"audit_verdict": audit.verdict, "audit_flagged": str(audit.n_flagged), "audit_samples": str(audit.n_samples)}
        found |= {"audit_alpha": str(audit.alpha)}
    return found
