import contextlib
import errno
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.quarantine.cases import audited, contents, fingerprint
from tests.unit.quarantine.formats import BROKEN, FORMATS, N, csv_texts, image_folder, jsonl
from typing_extensions import override

from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.data.writers.base import Part, Picks, Writer, writer_for
from untaint.errors import BadInput, CannotWrite, UntaintError
from untaint.quarantine import hold as module
from untaint.quarantine import ledger
from untaint.quarantine.hold import hold
from untaint.quarantine.restore import restore

FLAGGED = (0, 6, 9, 23)


@pytest.mark.parametrize("name", FORMATS)
def test_clean_and_quarantine_add_up_and_the_input_is_untouched(name: str, tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    before, data = fingerprint(source), load(source)
    broken = {row for row, why in enumerate(data.column("unreadable")) if why}
    held = hold(data, audited(data, FLAGGED), tmp_path / "out")

    assert held.n_held == len({*FLAGGED, *broken})
    assert held.n_clean + held.n_held == len(data) == N
    assert fingerprint(source) == before
    entry = entry_of(held.clean, source, data)
    clean = load(
        entry, format=writer_for(data).writes, label=data.columns.label, source=data.columns.source, payload=data.columns.payload
    )
    kept = [row for row in range(N) if row not in {*FLAGGED, *broken}]
    assert clean.ids == [data.ids[row] for row in kept]
    assert clean.labels == [data.labels[row] for row in kept]
    assert clean.column("source") == [data.column("source")[row] for row in kept]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clean", "ledger.jsonl", "quarantine"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", FORMATS)
def test_restoring_in_two_steps_gives_the_input_back(name: str, tmp_path: Path) -> None:
    source = FORMATS[name](tmp_path)
    data = load(source)
    hold(data, audited(data, FLAGGED), tmp_path / "out")
    assert restore(tmp_path / "out", ["row:6"]).rows == (6,)
    done = restore(tmp_path / "out", ["all"])

    assert (done.n_clean, done.n_held) == (N, 0)
    entry = entry_of(tmp_path / "out" / "clean", source, data)
    whole = load(
        entry, format=writer_for(data).writes, label=data.columns.label, source=data.columns.source, payload=data.columns.payload
    )
    assert whole.digest == data.digest
    if name in {"image_folder", "jsonl", "csv_texts", "csv_table", "tsv_pictures"}:
        assert contents(entry) == contents(source)


def entry_of(folder: Path, source: Path, data: Dataset) -> Path:
    """What a reader opens of a part."""
    if source.is_dir():
        return folder
    return folder / ("data.parquet" if data.format == "duckdb" else source.name)


def cells(path: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("name", ["parquet_table", "sqlite_table", "sqlite_keyed", "duckdb_table"])
def test_every_column_and_type_of_a_table_survives(name: str, tmp_path: Path) -> None:
    """Also those no reader looks at, and the places of the rows."""
    source = FORMATS[name](tmp_path)
    data = load(source)
    hold(data, audited(data, FLAGGED), tmp_path / "out")
    restore(tmp_path / "out", ["all"])
    entry = entry_of(tmp_path / "out" / "clean", source, data)
    if name.startswith("sqlite"):
        columns = [row[1] for row in cells(source, "PRAGMA table_info(rows)")]
        every = ", ".join(f'"{column}", typeof("{column}"), hex("{column}")' for column in columns)
        sql = f"SELECT {'rowid, ' if name == 'sqlite_table' else ''}{every} FROM rows"  # noqa: S608 - names of ours
        assert cells(entry, sql) == cells(source, sql)
        assert cells(entry, "PRAGMA table_info(rows)") == cells(source, "PRAGMA table_info(rows)")
        assert cells(entry, "PRAGMA encoding") == cells(source, "PRAGMA encoding")
        assert cells(entry, "SELECT name FROM sqlite_master WHERE type = 'trigger'") == []
        return
    before = pq.read_table(source) if name == "parquet_table" else duckdb_rows(source)
    assert pq.read_table(entry).equals(before)
    assert pq.read_schema(entry).equals(before.schema)


def duckdb_rows(path: Path) -> pa.Table:
    with pytest.importorskip("duckdb").connect(str(path)) as connection:
        return connection.sql("SELECT * REPLACE (CAST(span AS VARCHAR) AS span) FROM rows").to_arrow_table()


@pytest.mark.parametrize("flagged", [(), range(N)])
@pytest.mark.parametrize("name", FORMATS)
def test_none_or_all_flagged(name: str, flagged: Sequence[int], tmp_path: Path) -> None:
    data = load(FORMATS[name](tmp_path))
    held = hold(data, audited(data, flagged), tmp_path / "out")
    assert held.n_clean == (0 if flagged else N - sum(why is not None for why in data.column("unreadable")))
    if held.n_held:
        assert restore(tmp_path / "out", ["all"]).n_clean == N


@settings(max_examples=25, deadline=None)
@given(
    samples=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
            st.sampled_from(["a", "b\n", '"', "\u2028,", "'; --"]),
            st.booleans(),
        ),
        min_size=4,
        max_size=12,
    ).filter(lambda samples: len({label for _, label, _ in samples}) > 1)
)
def test_any_mask_any_text(samples: list[tuple[str, str, bool]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    lines = [json.dumps({"text": f"t {text}", "label": label}) for text, label, _ in samples]
    (folder / "set.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data = load(folder / "set.jsonl", payload="text", label="label")
    flagged = [row for row, sample in enumerate(samples) if sample[2]]
    held = hold(data, audited(data, flagged), folder / "out")
    assert held.n_held == len(flagged)
    if flagged:
        restore(folder / "out", ["F1"])
        assert set(ledger.read(folder / "out" / "ledger.jsonl").held) == set(flagged[1::2])


def test_samples_in_memory_are_written_as_parquet(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 6, 5), np.uint8)
    data = from_arrays(images, [row % 2 for row in range(10)])
    hold(data, audited(data, [1, 2]), tmp_path / "out")
    clean = load(tmp_path / "out" / "clean" / "data.parquet")
    assert [int(image[0, 0, 0]) for image in clean.images([0, 1])] == [int(images[0, 0, 0]), int(images[3, 0, 0])]
    assert restore(tmp_path / "out", ["F1"]).rows == (1,)


def test_a_changed_copy_is_not_taken_from_the_file_it_came_from(tmp_path: Path) -> None:
    data = load(jsonl(tmp_path)).edited({2: "poisoned"}, {2: "dog"})
    hold(data, audited(data, [4]), tmp_path / "out")
    assert load(tmp_path / "out" / "clean" / "data.parquet").read([2]) == ["poisoned"]


def test_the_ledger_and_the_reasons_say_why(tmp_path: Path) -> None:
    data = load(csv_texts(tmp_path))
    hold(data, audited(data, [3, 8]), tmp_path / "out", release=["row:8"], audit=Path("my-audit"))
    header, *records = [json.loads(line) for line in (tmp_path / "out" / "ledger.jsonl").read_bytes().splitlines()]
    assert header["schema"] == "untaint.ledger/v1"
    assert (header["dataset"], header["format"], header["audit"]) == (data.digest, "csv", "my-audit")
    assert [(record["action"], record["row"]) for record in records] == [("hold", 3), ("hold", BROKEN), ("release", 8)]
    assert records[0]["finding"] == "F1"
    assert records[0]["reason"] == "looks\nplanted ✓"
    reasons = pq.read_table(tmp_path / "out" / "quarantine" / "reasons.parquet").to_pylist()
    assert [row["row"] for row in reasons] == [3, BROKEN]
    assert reasons[1]["reason"].startswith("unreadable: ")
    assert json.loads((tmp_path / "out" / "quarantine" / "reasons.jsonl").read_bytes().splitlines()[0])["id"] == data.ids[3]


def test_other_data_is_refused(tmp_path: Path) -> None:
    data = load(csv_texts(tmp_path))
    with pytest.raises(BadInput, match="made of other data: row 1 has another label"):
        hold(data.edited({}, {1: "cat"}), audited(data, [1]), tmp_path / "out")
    with pytest.raises(BadInput, match="made of other data: 24 rows, the data has 23"):
        hold(data.select(range(23)), audited(data, [1]), tmp_path / "out")
    with pytest.raises(BadInput, match="no column 'flagged'"):
        hold(data, audited(data, [1]).drop_columns(["flagged"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_taken_or_inner_folder_is_refused(tmp_path: Path) -> None:
    source = image_folder(tmp_path)
    data = load(source)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(CannotWrite, match="taken exists and is not an empty folder"):
        hold(data, audited(data, [1]), tmp_path / "taken")
    with pytest.raises(CannotWrite, match="inside the data"):
        hold(data, audited(data, [1]), source / "out")
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(CannotWrite, match="inside the data"):
        hold(data, audited(data, [1]), tmp_path / "link" / "out")
    with pytest.raises(CannotWrite, match="cannot write"):
        hold(data, audited(data, [1]), Path("/proc/untaint-out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    data = load(csv_texts(tmp_path))
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(CannotWrite, match="allowed to write"):
        hold(data, audited(data, [1]), tmp_path / "out")


@final
@dataclass(frozen=True)
class Faulty(Writer):
    """Writes a little, then fails."""

    id: ClassVar[str] = "jsonl"
    writes: ClassVar[str] = "jsonl"
    error: BaseException | None = None

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        (out / "reviews.jsonl").write_bytes(b'{"text": "other", "label": "cat"}\n' * len(picks))
        if self.error is not None:
            raise self.error
        return out / "reviews.jsonl"


def faults(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    def faulty(dataset: Any) -> Writer:
        return Faulty(error)

    monkeypatch.setattr(module, "writer_for", faulty)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(jsonl(tmp_path))
    faults(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "x"))
    with pytest.raises(CannotWrite, match=r"out: No space left.*Free some space"):
        hold(data, audited(data, [1]), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(jsonl(tmp_path))
    faults(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        hold(data, audited(data, [1]), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_wrong_copies_are_found_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(jsonl(tmp_path))
    faults(monkeypatch, None)
    with pytest.raises(UntaintError, match="must not be used"):
        hold(data, audited(data, [1]), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_data_that_change_meanwhile_are_found(tmp_path: Path) -> None:
    source = jsonl(tmp_path)
    data = load(source)
    source.write_bytes(source.read_bytes().replace(b"1 He said", b"1 She said"))
    with pytest.raises(UntaintError, match="must not be used"):
        hold(data, audited(data, [1]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("payload", [None, "colour", ("colour", "size"), ("note", "colour"), "note"])
def test_any_choice_of_payload_is_read_back_the_same_way(payload: str | tuple[str, ...] | None, tmp_path: Path) -> None:
    lines = [f"{('red', 'blue')[row % 2]},{row},a note on {row},{'xy'[row % 2]}" for row in range(12)]
    (tmp_path / "table.csv").write_text("\n".join(["colour,size,note,label", *lines]))
    data = load(tmp_path / "table.csv", payload=payload)
    hold(data, audited(data, [0, 1, 2]), tmp_path / "out")
    assert restore(tmp_path / "out", ["row:1"]).n_held == 2


def test_tables_and_pixel_columns(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("\n".join(["size,label", *(f"{row},{'xy'[row % 2]}" for row in range(12))]))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 64))
    header = ",".join(["label", *(f"pixel{i}" for i in range(64))])
    (tmp_path / "pixels.csv").write_text(
        "\n".join([header, *(",".join(map(str, [row % 2, *line])) for row, line in enumerate(pixels))])
    )
    for name in ("one", "pixels"):
        data = load(tmp_path / f"{name}.csv")
        hold(data, audited(data, [0, 5]), tmp_path / name)
        assert restore(tmp_path / name, ["all"]).n_clean == 12
        assert (tmp_path / name / "clean" / f"{name}.csv").read_bytes() == (tmp_path / f"{name}.csv").read_bytes()


def test_empty_texts_and_labels_in_memory(tmp_path: Path) -> None:
    data = from_arrays(["", "", "x", "yes"], ["a", "b", "", None])
    hold(data, audited(data, [1]), tmp_path / "out")
    assert restore(tmp_path / "out", ["all"]).n_clean == 4
