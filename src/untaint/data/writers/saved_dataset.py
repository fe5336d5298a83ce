"""A folder of Hugging Face `save_to_disk`: the same Arrow streams and descriptions, with the counts brought up to date."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import pyarrow as pa
from typing_extensions import override

from untaint.data.writers.base import Part, Picks, Writer, changed, inside
from untaint.data.writers.pictures import Pictures
from untaint.data.writers.shards import File, Shard, shards
from untaint.data.writers.tables import Payloads, gathered
from untaint.errors import BadInput

BATCH = 512


@final
@dataclass(frozen=True)
class SavedDatasetWriter(Writer):
    """Of a `DatasetDict`, the split that was read is written as a `DatasetDict` of that split."""

    id: ClassVar[str] = "hf-disk"
    writes: ClassVar[str] = "hf-disk"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        split = _split(parts[0].source)
        folder = out / split if split else out
        folder.mkdir(exist_ok=True)
        pictures = Pictures([part.source / split for part in parts], folder)
        written = []
        for shard in shards(parts, picks, _files):
            _write_shard(shard, inside(folder, shard.name), Payloads(parts[0].payload, pictures))
            written.append(shard.name)
        _describe(parts[0].source / split, folder, written, picks)
        if split:
            _write_json(out / "dataset_dict.json", {"splits": [split]})
        return out


def _split(source: Path) -> str:
    """The split that is read, empty for a plain data set."""
    if not (source / "dataset_dict.json").is_file():
        return ""
    splits = [str(name) for name in _json(source / "dataset_dict.json").get("splits", [])]
    return "train" if "train" in splits else splits[0]


def _files(part: Part) -> list[File]:
    folder = part.source / _split(part.source)
    return [File(name, inside(folder, name), _open(inside(folder, name)).num_rows) for name in _names(folder)]


def _names(folder: Path) -> list[str]:
    entries = _json(folder / "state.json").get("_data_files") or []
    return [str(entry["filename"]) for entry in entries] or sorted(path.name for path in folder.glob("data-*.arrow"))


def streams(source: Path) -> list[pa.Table]:
    """The tables of the split that is read, memory-mapped."""
    folder = source / _split(source)
    return [_open(inside(folder, name)) for name in _names(folder)]


def _write_shard(shard: Shard, out: Path, payloads: Payloads) -> None:
    tables = [None if path is None else _open(path) for path in shard.paths]
    takes = [None if table is None else lambda rows, table=table: table.take(pa.array(rows)) for table in tables]
    schema = next(table.schema for table in tables if table is not None)
    with ExitStack() as stack:
        file = stack.enter_context(pa.OSFile(str(out), "wb"))
        stream = stack.enter_context(pa.ipc.new_stream(file, schema))
        for batch in shard.picks.batches(BATCH):
            table = gathered(takes, batch)
            payloads.bring(table, batch)
            stream.write_table(table)


def _open(path: Path) -> pa.Table:
    """All of a stream, memory-mapped: nothing is read until rows are taken."""
    try:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as stream:
            return stream.read_all()
    except pa.ArrowException as error:
        raise changed(path, str(error)) from error


def _describe(source: Path, out: Path, names: Sequence[str], picks: Picks) -> None:
    state = _json(source / "state.json")
    digest = hashlib.sha256(f"{state.get('_fingerprint')}{picks.part.tolist()}{picks.row.tolist()}".encode())
    state["_fingerprint"] = digest.hexdigest()[:16]  # as long as `datasets` makes them; caches are keyed by it
    state["_data_files"] = [{"filename": name} for name in names]
    _write_json(out / "state.json", state)
    if (source / "dataset_info.json").is_file():
        info = _json(source / "dataset_info.json")
        _recount(info, len(picks))
        _write_json(out / "dataset_info.json", info)


def _recount(info: dict[str, Any], n: int) -> None:
    """Counts are replaced; sizes and checksums of what was downloaded no longer hold."""
    for name in ("download_checksums", "download_size", "dataset_size", "size_in_bytes"):
        if name in info:
            info[name] = None
    splits = info.get("splits")
    for split in splits.values() if isinstance(splits, dict) else ():
        split.update({"num_examples": n, "num_bytes": 0, "shard_lengths": None})


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON: {error}.", advice="Save the data set again.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} is not a JSON object.", advice="Save the data set again.")
    return found


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
