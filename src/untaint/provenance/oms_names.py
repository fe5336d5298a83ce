"""From the table of files of a seal to what an OpenSSF bundle may list, or the reason why it may not."""

import posixpath
from collections.abc import Mapping
from typing import Any

from untaint.provenance import oms
from untaint.provenance.oms import Manifest, Resource

MOST = 200_000
"""Files of a bundle: it names each, and takes some 300 MB to be written; the envelope covers any number."""
_HOPS = 40
"""Links that Linux follows in a row before it takes them for a loop."""


def manifest(table: Any, name: str, *, whole: bool) -> Manifest | str:
    """The manifest of a bundle; in words, why there can be none.

    table: of files, in Arrow.  whole: the data are one file, not a folder with one file. Git's own files are left out, as the
    format does. A link to a file is listed with the digest of that file; one to a folder is not, and one that leads out of the
    root, nowhere or round in a circle, or a name that is no text, stops readers of the format.
    """
    if table.num_rows > MOST:
        return f"there are more than {MOST:,} files"
    columns = [table.column(column).to_pylist() for column in ("name", "raw", "kind", "target", "sha256")]
    rows = {name: (raw, kind, target, digest) for name, raw, kind, target, digest in zip(*columns, strict=True)}
    found, links = [], False
    for path, (raw, kind, _, digest) in rows.items():
        if path.split("/", 1)[0] in oms.GIT_PATHS or kind == "folder":
            continue
        if raw is not None or not oms.covered(path):
            return f"the name {path!r} is no text"
        if kind == "link":
            links = True
            end = _followed(path, rows)
            if end is None or end[1] not in {"file", "folder"}:
                return f"the link {path!r} leads to nothing that was sealed"
            found += [Resource(path, end[3])] if end[1] == "file" else []
        elif kind == "file":
            found.append(Resource(oms.WHOLE if whole else path, digest))
        else:
            return f"{path!r} is neither file nor folder"
    if not found:
        return "there is no file that it could list"
    return Manifest(name, tuple(found), allow_symlinks=links)


def _followed(path: str, rows: Mapping[str, Any]) -> Any:
    """The row a link ends at, None for none."""
    for _ in range(_HOPS):
        row = rows.get(path)
        if row is None or row[1] != "link":
            return row
        target = row[2] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if target.startswith("/") or path.startswith(".."):
            return None
    return None
