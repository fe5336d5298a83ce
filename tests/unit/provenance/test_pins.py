"""Which column is what stands in the statement: an edit of the first records, from which it was found, changes those records and no more."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.errors import BadInput
from untaint.provenance.pins import Pins, pins_in
from untaint.provenance.seal import seal
from untaint.provenance.sealed import read_seal
from untaint.provenance.spot import Ask
from untaint.provenance.verify import Tier, verify

ROWS: list[dict[str, object]] = [
    {
        "text": f"text number {n} says this and that",
        "label": "pn"[n % 2],
        "source": f"s{n % 4}",
        "date": f"2026-10-{1 + n % 9:02d}",
    }
    for n in range(300)
]
EVERYTHING = Ask(share=1.0)


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def edited(change: Callable[[int, dict[str, object]], dict[str, object]], most: int = 3) -> list[dict[str, object]]:
    """The rows with the first few changed."""
    return [change(n, dict(row)) if n < most else row for n, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("change", "most", "parts"),
    [
        # a second column called like a label: the guess would be an error
        (lambda _n, row: row | {"labels": "p"}, 3, {"fields": 3}),
        # most dates of the first records are none: the guess would find no time
        (lambda _n, row: row | {"date": "soon"}, 100, {"fields": 100}),
        # sources as long as texts: the guess would find no source
        (lambda n, row: row | {"source": "x" * 300 + str(n)}, 150, {"source": 150}),
        # every text of the first records is a number: the guess would read a table
        (lambda n, row: row | {"text": n}, 200, {"content": 200}),
    ],
)
def test_exactly_the_edited_records_are_named(
    change: Callable[[int, dict[str, object]], dict[str, object]], most: int, parts: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(ROWS))
    seal(path)
    path.write_text(lines(edited(change, most)))
    found = verify(path)
    assert dict(found.changes.samples) == parts
    assert found.changes.reading is None
    assert found.notes[0].startswith("read as sealed; from their first records alone they would now be read otherwise: ")
    assert {change.path for change in found.changes.examples} == {f"a.jsonl:{n + 1}" for n in range(most)}


@pytest.mark.parametrize("tier", ["full", "quick", "spot"])
def test_in_every_tier(tier: Tier, tmp_path: Path) -> None:
    """A name as long as the one it takes the place of, so that a draw finds every record where it lay."""
    path = tmp_path / "a.jsonl"
    text = lines([row | {"remark": "p"} for row in ROWS])
    path.write_text(text)
    seal(path)
    path.write_text(text.replace("remark", "labels", 3))
    found = verify(path, tier=tier, ask=EVERYTHING if tier == "spot" else None)
    assert dict(found.changes.samples) == {"fields": 3}
    assert [change.path for change in found.changes.examples] == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"]


def test_one_file_in_a_folder_of_several_kinds(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / "a.jsonl").write_text(lines(ROWS))
    (root / "b.jsonl.gz").write_bytes(gzip.compress(lines(ROWS[:50]).encode()))
    (root / "c.csv").write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS[:50]))
    (root / "notes.json").write_text("nothing that a reader knows")
    made = seal(root)
    assert made.sealed.format == "mixed"
    pins = pins_in(made.sealed.reading, "the statement")
    assert {name: pin and pin.roles.label for name, pin in pins.files.items()} == {
        **dict.fromkeys(("a.jsonl", "b.jsonl.gz", "c.csv"), "label"),
        "notes.json": None,
    }
    assert verify(root).sound
    (root / "a.jsonl").write_text(lines(edited(lambda _n, row: row | {"labels": "x"})))
    (root / "notes.json").write_text(lines(ROWS[:2]))
    (root / "new.jsonl").write_text(lines([{"text": f"new number {n}", "label": "n"} for n in range(7)]))
    found = verify(root)
    assert dict(found.changes.samples) == {"fields": 3, "content": 1, "added": 7}


def test_the_first_byte_of_a_file_does_not_make_it_an_array(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for data, suffix in ((lines(ROWS).encode(), ""), (gzip.compress(lines(ROWS).encode()), ".gz")):
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(data)
        seal(path)
        changed = b"[" + lines(ROWS).encode()
        path.write_bytes(gzip.compress(changed) if suffix else changed)
        found = verify(path)
        assert [change.path for change in found.changes.examples] == [f"a.jsonl{suffix}:1"]
    array = tmp_path / "b.json"
    array.write_text(json.dumps(ROWS))
    seal(array)
    assert verify(array).sound
    array.write_text(json.dumps(ROWS).removeprefix("["))
    assert not verify(array).sound


HEADER = "text,label,source\n"
TABLE = "".join(f"text number {n} of the table,{'pn'[n % 2]},s{n % 3}\n" for n in range(40))


@pytest.mark.parametrize(
    ("text", "samples", "files"),
    [
        (HEADER.replace("label", "category") + TABLE, {}, {"columns": 1}),
        (HEADER.replace(",", ";") + TABLE, {}, {"columns": 1}),
        (HEADER.replace("text", "a;b|c;d;e") + TABLE, {}, {"columns": 1}),
        (HEADER + TABLE.replace("text number 0 of the table,p", "a;b;c;d;e;f,p"), {"content": 1}, {}),
        (TABLE, {"removed": 1}, {"columns": 1}),
        (
            "label,text,source\n" + "".join("{1},{0},{2}\n".format(*line.split(",")) for line in TABLE.splitlines()),
            {},
            {"content": 1},
        ),
        ("text,label,source,more\n" + TABLE.replace("\n", ",x\n"), {"fields": 40}, {"columns": 1}),
        ("\ufeff" + HEADER + TABLE, {}, {"content": 1}),
    ],
)
def test_the_first_line_of_a_table(text: str, samples: dict[str, int], files: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + TABLE)
    seal(path)
    assert verify(path).sound
    path.write_text(text)
    found = verify(path)
    assert (dict(found.changes.samples), dict(found.changes.files)) == (samples, files)


def test_a_table_without_names_keeps_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{n / 7:.3f},{n % 5},{n % 2}\n" for n in range(60)))
    seal(path)
    text = path.read_text()
    path.write_text("ill,b,c\n".rjust(len(text.split("\n", 1)[0]) + 1, "i") + text.split("\n", 1)[1])
    found = verify(path)
    assert [change.path for change in found.changes.examples] == ["a.csv:1"]
    assert verify(path, tier="spot", ask=EVERYTHING).changes.samples.total() == 1


def test_a_column_of_labels_that_was_renamed_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(ROWS))
    seal(path)
    path.write_text(lines([{("class" if name == "label" else name): value for name, value in row.items()} for row in ROWS]))
    found = verify(path)
    assert dict(found.changes.samples) == {"label": 300, "fields": 300}
    assert found.changes.lines()[0].startswith("300 labels changed: a.jsonl:1 p → none")
    assert "label: column 'class' (by name)" in found.notes[0]


def test_columns_of_parquet_tar_and_of_readers_of_whole_sets(tmp_path: Path) -> None:
    table, archive, arrays = tmp_path / "a.parquet", tmp_path / "a.tar", tmp_path / "a.npz"

    def write(extra: int) -> None:
        rows = [row | {"target": "x" if n < extra else None} for n, row in enumerate(ROWS)] if extra else ROWS
        pq.write_table(pa.Table.from_pylist(rows), table, row_group_size=64)
        with tarfile.open(archive, "w") as tar:
            for n in range(20):
                members = {"txt": f"text number {n}", "cls": str(n % 2)} | ({"y": "1"} if n < extra else {})
                for suffix, text in members.items():
                    member = tarfile.TarInfo(f"{n:03d}.{suffix}")
                    member.size = len(text)
                    tar.addfile(member, io.BytesIO(text.encode()))
        more = {"label": np.arange(60) % 5} if extra else {}
        np.savez(arrays, x=np.arange(60 * 64).reshape(60, 8, 8).astype(np.uint8), y=np.arange(60) % 3, **more)  # type: ignore[arg-type]

    write(0)
    for path in (table, archive, arrays):
        seal(path)
        assert verify(path).sound
    write(3)
    assert dict(verify(table).changes.samples) == {"fields": 300}  # a column is one of every row
    assert dict(verify(archive).changes.samples) == {"fields": 3}
    found = verify(arrays)
    assert (dict(found.changes.samples), dict(found.changes.files)) == ({}, {"content": 1})


def test_metadata_of_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    for n in range(6):
        (root / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[n % 2] / f"{n}.png").write_bytes(b"\x89PNG" + bytes([n]))
    seal(root)
    (root / "metadata.csv").write_text("file_name,label\na/0.png,b\na/2.png,b\na/4.png,b\nb/1.png,a\nb/3.png,a\nb/5.png,a\n")
    found = verify(root)
    assert (dict(found.changes.samples), dict(found.changes.files)) == ({}, {"added": 1})
    assert found.notes == (
        "read as sealed; from their first records alone they would now be read otherwise: with what metadata.csv says",
    )
    seal(root, replace=True)
    rows = (root / "metadata.csv").read_text().splitlines()
    (root / "metadata.csv").write_text("\n".join([rows[0] + ",labels", "a/0.png,x,y", *(row + "," for row in rows[2:])]) + "\n")
    assert dict(verify(root).changes.samples) == {"label": 1, "fields": 6}
    (root / "metadata.csv").write_text("nothing\n")
    found = verify(root)
    assert dict(found.changes.samples) == {"label": 6}
    assert "has no column 'file_name'" in found.notes[0]
    (root / "metadata.csv").unlink()
    assert "is gone" in verify(root).notes[0]


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz", "a.tar", "a.npz"])
def test_a_file_that_was_cut_short_is_a_finding(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=64)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(lines(ROWS).encode()))
    elif name.endswith("npz"):
        np.savez(path, x=np.arange(60 * 64).reshape(60, 8, 8).astype(np.uint8), y=np.arange(60) % 3)
    else:
        with tarfile.open(path, "w") as tar:
            for n in range(40):
                for suffix, text in (("txt", f"text number {n}"), ("cls", str(n % 2))):
                    member = tarfile.TarInfo(f"{n:03d}.{suffix}")
                    member.size = len(text)
                    tar.addfile(member, io.BytesIO(text.encode()))
    total = seal(path).sealed.size
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = verify(path)
    assert 0 < found.changes.samples.total() <= total
    assert set(found.changes.samples) <= {"removed", "label", "content"}
    assert not found.changes.files
    assert found.notes
    if not name.endswith(("tar", "npz")):
        assert dict(verify(path, tier="spot", ask=EVERYTHING).changes.samples) == {"removed": total}
    if not name.endswith(("tar", "npz")):
        with pytest.raises(BadInput):
            seal(path, tmp_path / "other")


def test_a_page_of_parquet_that_was_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=64)
    seal(path)
    data = bytearray(path.read_bytes())
    place = pq.ParquetFile(path).metadata.row_group(2).column(0).dictionary_page_offset
    assert place is not None
    data[place : place + 40] = bytes(40)
    path.write_bytes(bytes(data))
    found = verify(path)
    assert dict(found.changes.samples) == {"removed": 64}
    assert "is not a readable Parquet file" in found.notes[0]
    assert dict(verify(path, tier="spot", ask=EVERYTHING).changes.samples) == {"removed": 300}


def test_statements_without_pins_are_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(ROWS))
    made = seal(path)
    (made.folder / "statement.json").write_bytes(replace(made.sealed, reading={}).statement())
    assert b'"reading"' not in (made.folder / "statement.json").read_bytes()
    assert read_seal(made.folder).sealed.reading == {}
    assert verify(path).sound
    path.write_text(lines(edited(lambda _n, row: row | {"labels": "p"})))
    assert verify(path).changes.reading is not None


@pytest.mark.parametrize(
    "reading",
    [
        {"every": {"roles": {}}},
        {"every": 3},
        {"files": [{"pin": None, "names": [1]}]},
        {"every": {"roles": {"modality": "text", "kind": "text", "payload": [], "label": None, "source": None, "note": ""}}},
        {
            "every": {
                "roles": {
                    "modality": "image",
                    "kind": "number",
                    "payload": ["a"],
                    "label": "b",
                    "source": None,
                    "note": "",
                    "shape": [8, 8],
                }
            }
        },
    ],
)
def test_pins_that_are_none_are_refused(reading: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="in words this release does not know"):
        pins_in(reading, "the statement")


def test_no_pins_are_no_words() -> None:
    assert Pins().document() == {}
    assert pins_in({}, "the statement") == Pins()
