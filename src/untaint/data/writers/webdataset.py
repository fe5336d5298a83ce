"""WebDataset: the members of the chosen samples, content as it was, headers without owners, times and modes."""

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias, final

from typing_extensions import override

from untaint.data.readers._bytes import RandomBytes
from untaint.data.readers._shards import one_split
from untaint.data.readers.webdataset import _key, _members, _shards
from untaint.data.writers.base import Part, Picks, Writer, inside
from untaint.data.writers.lines import opened_to_write
from untaint.data.writers.shards import File, Shard, merged, shards

Sample: TypeAlias = list[tuple[str, bytes]]
"""Names and contents of its members."""


@final
@dataclass(frozen=True)
class WebDatasetWriter(Writer):
    """Every shard keeps its name and compression; folders and empty shards are not written."""

    id: ClassVar[str] = "webdataset"
    writes: ClassVar[str] = "webdataset"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        for shard in shards(parts, picks, _files):
            _write_shard(shard, inside(out, shard.name))
        return out if parts[0].source.is_dir() else out / parts[0].source.name


def _files(part: Part) -> list[File]:
    source = part.source
    paths = one_split(_shards(source), source)[0] if source.is_dir() else [source]
    root = source if source.is_dir() else source.parent
    return [File(path.relative_to(root).as_posix(), path, sum(1 for _ in _samples(path))) for path in paths]


def _samples(path: Path | None) -> Iterator[Sample]:
    """Members grouped as the reader groups them, under their own names."""
    if path is None:
        return
    current: Sample = []
    key, columns = "", set[str]()
    file = RandomBytes(path)
    with file.open() as opened:
        for member, data in _members(opened, path):
            found, column = _key(member.name)
            if current and (found != key or column in columns):
                yield current
                current, columns = [], set()
            key = found
            columns.add(column)
            current.append((member.name, data))
    if current:
        yield current


def _write_shard(shard: Shard, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(opened_to_write(out))
        archive = stack.enter_context(tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT))
        for sample in merged(out, [_samples(path) for path in shard.paths], shard.picks):
            for name, data in sample:
                header = tarfile.TarInfo(name)
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))
