"""What changed among the files: names, sizes, modes, links, contents, whether they hold samples or not."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from untaint.provenance.changes import Changes, FileChange
from untaint.provenance.matching import digests, unmatched
from untaint.provenance.tasks import Remark

Row: TypeAlias = Mapping[str, Any]
_SIGNED = ("name", "raw", "kind", "size", "mode", "target", "sha256")
"""Columns that make two entries the same. Times and inodes are of a copy, not of the data."""


def compare_files(old: Any, new: Any, changes: Changes, remarks: Sequence[Remark] = ()) -> None:
    """Add what changed among the files. old, new: their tables. What the samples' changes or the remarks explain is not told again."""
    renamed = {remark.name: remark for remark in remarks if remark.what == "columns"}
    for remark in renamed.values():
        changes.add_file(FileChange("columns", remark.name, remark.before, remark.after))
    lone = unmatched(*(digests(_signatures(table)) for table in (old, new)))
    before, after = (
        {(row["raw"] or row["name"]): row for row in table.filter(mask).to_pylist()}
        for table, mask in zip((old, new), lone, strict=True)
    )
    explained = _explained(changes, renamed)
    kept = [name for name in before if name in after]
    held = {before[name]["sha256"] for name in kept}
    for name in kept:
        for change in _same_name(before[name], after[name], held):
            if change.what not in {"content", "swapped", "size"} or not explained(before[name]):
                changes.add_file(change)
        del before[name], after[name]
    for one, other in _renamed(before, after):
        if not explained(one):
            changes.add_file(FileChange("renamed", one["name"], one["name"], other["name"]))
    for what, rows in (("removed", before), ("added", after)):
        for row in rows.values():
            if not explained(row):
                changes.add_file(FileChange(what, row["name"], after=_words(row)))


def _explained(changes: Changes, told: Collection[str]) -> Any:
    """Whether the samples' changes say already that a file is not as it was."""
    paths = [path for change in changes.examples for path in (change.path, change.old_path) if path is not None]
    touched = {*paths, *told, *(path.rsplit(mark, 1)[0] for path in paths for mark in ":#")}
    all_told = sum(changes.samples.values()) > len(changes.examples) or changes.unclear > 0
    return lambda row: bool(row["rows"]) and (all_told or row["name"] in touched)


def _same_name(before: Row, after: Row, held: set[bytes | None]) -> list[FileChange]:
    """held: digests of what other changed files held."""
    name, found = after["name"], []
    if before["kind"] != after["kind"]:
        return [FileChange("kind", name, before["kind"], after["kind"])]
    if before["mode"] != after["mode"]:
        found.append(FileChange("mode", name, f"{before['mode']:04o}", f"{after['mode']:04o}"))
    if before["target"] != after["target"]:
        found.append(FileChange("target", name, before["target"], after["target"]))
    if before["sha256"] is None and before["size"] != after["size"]:  # of a look at names alone
        found.append(FileChange("size", name, f"{before['size']:,} bytes", f"{after['size']:,} bytes"))
    elif before["sha256"] != after["sha256"]:
        found.append(FileChange("swapped" if after["sha256"] in held else "content", name))
    return found


def _renamed(before: dict[Any, Row], after: dict[Any, Row]) -> list[tuple[Row, Row]]:
    """Files that went and those with the same bytes that came, taken out of both; empty files are all alike."""
    came = {row["sha256"]: name for name, row in after.items() if row["size"]}
    found = []
    for name, row in list(before.items()):
        there = came.pop(row["sha256"], None) if row["size"] else None
        if there is not None:
            found.append((before.pop(name), after.pop(there)))
    return found


def _words(row: Row) -> str:
    samples = f", samples in it: {row['rows']:,}" if row["rows"] else ""
    return f"{row['size']:,} bytes{samples}" if row["kind"] == "file" else str(row["kind"])


def _signatures(table: Any) -> bytes:
    columns = [table.column(name).to_pylist() for name in _SIGNED]
    return b"".join(hashlib.sha256(repr(row).encode()).digest() for row in zip(*columns, strict=True))
