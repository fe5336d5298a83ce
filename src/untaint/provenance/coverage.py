"""How many samples of each source came with a digest that somebody made earlier, and whether their bytes have it.

A digest counts by itself (a column such as `sha256`) or by the file that a sample lies in (of a Croissant file). Downloaders hash what they
fetched and then scale it, so where not one of a source's digests fits they were made of other bytes, and are told as that.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.provenance.changes import count
from untaint.provenance.compare import path_of
from untaint.provenance.croissant import TABLE
from untaint.provenance.sealed import Seal
from untaint.provenance.sources import UNNAMED
from untaint.provenance.upstream import SIZES

_SHOWN = 5  # samples that do not fit, by name
_FEWEST = 3
"""Digests of which none fits, from which they were made of other bytes: of fewer, each may have changed."""
_AGED = (SIZES["sha1"], SIZES["md5"])
_COUNTED: Final = ("came", "fit", "wrong", "bogus", "aged", "whole")


@final
@dataclass(frozen=True)
class Coverage:
    """Samples of one source. came: with a digest.  fit, wrong: whose bytes have it, or have not.  bogus: with something else in its place.

    aged: of those that came, with MD5 or SHA-1 only.  whole: of those that are wrong, by the file that they lie in.
    """

    samples: int = 0
    came: int = 0
    fit: int = 0
    wrong: int = 0
    bogus: int = 0
    aged: int = 0
    whole: int = 0

    @property
    def recoded(self) -> bool:
        """Whether digests are of other bytes, such as those that came before pictures were scaled."""
        return self.fit == 0 and self.wrong >= _FEWEST and self.wrong == self.came and not self.whole

    @property
    def share(self) -> float:
        """Of samples whose bytes are those that somebody saw earlier."""
        return self.fit / max(1, self.samples)


@final
@dataclass(frozen=True)
class Covered:
    """All of a set. sources: by name.  examples: of samples that do not fit.

    files: that are not what a Croissant file says, of how many.  bogus: files of which it says no digest.  origin: that file.
    """

    sources: Mapping[str, Coverage]
    examples: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    described: int = 0
    bogus: int = 0
    origin: str = ""

    @property
    def notes(self) -> list[str]:
        """In words; nothing where no sample came with a digest."""
        found = self.sources.values()
        total, came, fit, bogus = (sum(getattr(part, name) for part in found) for name in ("samples", "came", "fit", "bogus"))
        wrong = sum(part.wrong - part.whole for part in found if not part.recoded)
        other = sum(part.wrong for part in found if part.recoded)
        told = [f"{came:,} of {total:,} samples ({came / max(1, total):.1%}) came with a digest, {fit:,} fit it"] if came else []
        if wrong:
            told.append(
                f"{count(wrong, 'sample is', 'samples are')} not what that digest says: {', '.join(self.examples)}{self._more(wrong)}"
            )
        if other:
            told.append(
                f"{other:,} digests fit no sample of their source: they were made of other bytes, as before scaling, and show nothing"
            )
        if bogus:
            told.append(f"{count(bogus, 'sample holds', 'samples hold')} something else where a digest should be")
        return told + self._of_files()

    def _of_files(self) -> list[str]:
        told = [f"{self.origin} describes {count(self.described, 'file', 'files')} of them"] if self.described else []
        if self.files:
            more = f", … ({len(self.files):,} in all)" if len(self.files) > _SHOWN else ""
            said = ", ".join(self.files[:_SHOWN])
            told.append(
                f"{count(len(self.files), 'file is', 'files are')} not what it says, with all samples in them: {said}{more}"
            )
        if self.bogus:
            told.append(f"of {count(self.bogus, 'file', 'files')} it says something else where a digest should be")
        return told

    def _more(self, wrong: int) -> str:
        return f", … ({wrong:,} in all, `fits` is false in the manifest)" if wrong > len(self.examples) else ""


def coverage(seal: Seal) -> Covered:
    """Counts of a seal, read as a stream. Raises BadInput where a table of it is not the one that was sealed."""
    claims, names = seal.table(TABLE), _Names(seal)
    if claims is None and not any(_said(batch) for batch in seal.manifest.batches(["upstream", "fits"])):
        return Covered({})
    fits, wrong, short = _by_file(claims)
    counts = defaultdict[str, Counter[str]](Counter)
    wanted = ["file", "number", "offset", "source", "upstream", "fits"]
    for batch in seal.manifest.batches(wanted):
        files, size = batch.column("file").to_numpy(), pc.fill_null(pc.binary_length(batch.column("upstream")), 0).to_numpy()
        own = np.asarray(pc.cast(pc.fill_null(batch.column("fits"), True), pa.int8())) == 1
        judged = np.asarray(batch.column("fits").is_valid())
        by_file = np.isin(files, fits), np.isin(files, wrong)
        marks = {
            "came": (size > 0) | by_file[0] | by_file[1] | np.isin(files, short),
            "whole": by_file[1],
            "wrong": (judged & ~own & (size > 0)) | by_file[1],
            "bogus": judged & ~own & (size == 0),
            "aged": np.isin(size, _AGED) | ((size == 0) & np.isin(files, short)),
        }
        marks["fit"] = ~marks["wrong"] & ((judged & own) | by_file[0])
        _add(counts, batch.column("source"), marks)
        names.look(batch, marks["wrong"] & ~marks["whole"])
    found = {name: Coverage(parts["samples"], *(parts[part] for part in _COUNTED)) for name, parts in counts.items()}
    shown = (name for source, told in names.found.items() if not found[source].recoded for name in told)
    return Covered(found, tuple(islice(shown, _SHOWN)), *_told_of_files(claims))


def _said(batch: Any) -> bool:
    return any(column.null_count < batch.num_rows for column in batch.columns)


def _by_file(claims: pa.Table | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Files that fit what is claimed of them, those that do not, and those of which only an aged digest is claimed."""
    if claims is None:
        return (np.empty(0, np.int32),) * 3
    files, fits = claims.column("file").to_numpy(), claims.column("fits").to_pylist()
    sizes = pc.fill_null(pc.binary_length(claims.column("upstream")), 0).to_numpy()
    right, other = (np.array([value is kind for value in fits], bool) for kind in (True, False))
    return files[right], files[other & (sizes > 0)], files[np.isin(sizes, _AGED)]


def _told_of_files(claims: pa.Table | None) -> tuple[tuple[str, ...], int, int, str]:
    """Names of files that do not fit, how many are described, how many of those without a digest, and by what."""
    if claims is None:
        return (), 0, 0, ""
    rows = claims.select(["name", "upstream", "fits"]).to_pylist()
    wrong = tuple(row["name"] for row in rows if row["fits"] is False and row["upstream"] is not None)
    bogus = sum(row["fits"] is False and row["upstream"] is None for row in rows)
    return wrong, len(rows), bogus, (claims.schema.metadata or {}).get(b"from", b"").decode()


def _add(counts: dict[str, Counter[str]], sources: pa.Array, marks: Mapping[str, np.ndarray]) -> None:
    columns = {part: pa.array(mark.astype(np.int64)) for part, mark in marks.items()}
    table = pa.table({"source": pc.fill_null(sources, UNNAMED), "samples": np.ones(len(sources), np.int64), **columns})
    for row in table.group_by("source").aggregate([(name, "sum") for name in ("samples", *marks)]).to_pylist():
        counts[row["source"]].update({name: row[f"{name}_sum"] for name in ("samples", *marks)})


@final
class _Names:
    """The first few samples of each source that do not fit."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._table: Any = None
        self.found = defaultdict[str, list[str]](list)

    def look(self, batch: Any, wrong: np.ndarray) -> None:
        """Names of some rows, as an audit calls them."""
        for row in np.flatnonzero(wrong).tolist():
            source = batch.column("source")[row].as_py() or UNNAMED
            if len(self.found[source]) < _SHOWN:
                self._table = self._seal.files(["name"]).column("name") if self._table is None else self._table
                name = self._table[batch.column("file")[row].as_py()].as_py()
                self.found[source].append(path_of(name, batch.slice(row, 1).to_pylist()[0]))
