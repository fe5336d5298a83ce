"""The files of a sharded data set in order; of several splits, `train`."""

import re
from collections.abc import Sequence
from pathlib import Path

from untaint.errors import BadInput

_SPLIT = re.compile(r"(?:^|[-_./])(train|training|test|testing|validation|valid|val|dev)(?=$|[-_./])", re.IGNORECASE)


def find_shards(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files below a folder with one of these suffixes, in order of their relative paths."""
    found = (path for path in folder.rglob("*") if path.name.lower().endswith(tuple(suffixes)) and path.is_file())
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def one_split(shards: Sequence[Path], folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The shards of one split, and what was left out. Raises BadInput for several splits without `train`."""
    splits = {shard: split_of(shard.relative_to(folder).as_posix()) for shard in shards}
    names = sorted({name or "no split" for name in splits.values()})
    if len(names) == 1:
        return list(shards), ()
    if "train" not in names:
        raise BadInput(f"{folder} holds several splits: {', '.join(names)}.", advice="Name the files or folder of one of them.")
    chosen = [shard for shard in shards if splits[shard] == "train"]
    left = ", ".join(name for name in names if name != "train")
    return chosen, (f"split 'train' was read, {left} left out",)


def split_of(name: str) -> str:
    """The split a file or folder name speaks of; empty = none."""
    match = _SPLIT.search(name.rsplit(".", 1)[0])
    if match is None:
        return ""
    word = match[1].lower()
    return "train" if word.startswith("train") else "test" if word.startswith("test") else word
