"""What the quarantine tests share: an audit's table, a folder's fingerprint, what a part holds."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa

from untaint.data.dataset import Dataset


def audited(dataset: Dataset, flagged: Collection[int]) -> pa.Table:
    """The table an audit of this data set could have written; every second flagged row belongs to finding F2."""
    n = len(dataset)
    rows = [row in flagged for row in range(n)]
    order = {row: number for number, row in enumerate(sorted(flagged))}
    finding = [f"F{1 + order[row] % 2}" if row in order else None for row in range(n)]
    table = {
        "row": list(range(n)),
        "id": dataset.ids,
        "path": dataset.column("path"),
        "label": dataset.labels,
        "source": dataset.column("source"),
        "risk": [0.9 if flag else float("nan") for flag in rows],
        "flagged": rows,
        "finding": pa.array(finding, pa.string()),
        "reason": pa.array(["looks\nplanted ✓" if flag else None for flag in rows], pa.string()),
        "suggested_label": pa.nulls(n, pa.string()),
        "unreadable": pa.array(dataset.column("unreadable"), pa.string()),
    }
    return pa.table(table)


def fingerprint(path: Path) -> Mapping[str, tuple[str, int]]:
    """Digest and time of every file below a path."""
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    return {
        str(file.relative_to(path.parent)): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in files
    }


def contents(path: Path) -> Mapping[str, bytes]:
    """Bytes of every file below a path, by relative name."""
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    root = path.parent if path.is_file() else path
    return {str(file.relative_to(root)): file.read_bytes() for file in files}
