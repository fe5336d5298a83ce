"""Every reader, whatever the format: what was written comes back, in order, the same each time, and the input is untouched."""

import contextlib
import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.data.dataset import Payload, content_id
from untaint.data.images import encode_png
from untaint.data.load import load, readers
from untaint.data.readers.base import Request

N = 12
ARRAYS = np.random.default_rng(0).integers(0, 256, (N, 9, 9), dtype=np.uint8)
LABELS = [str(row % 3) for row in range(N)]
PICTURES = [encode_png(array[:, :, None]) for array in ARRAYS]
TEXTS = [f'review number {row}, said "fine"\nand more ü' for row in range(N)]

Written = tuple[Path, list[Payload]]


def _image_folder(root: Path) -> Written:
    for row in range(N):
        file = root / LABELS[row] / f"{row:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PICTURES[row])
    order = sorted(range(N), key=lambda row: f"{LABELS[row]}/{row:02}.png")
    return root, [PICTURES[row] for row in order]


def _text_folder(root: Path) -> Written:
    for row in range(N):
        file = root / LABELS[row] / f"{row:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(TEXTS[row].encode())
    (root / "readme.md").write_text("About these texts.")
    order = sorted(range(N), key=lambda row: f"{LABELS[row]}/{row:02}.txt")
    return root, [TEXTS[row] for row in order]


def _parquet(root: Path) -> Written:
    table = pa.table(
        {"image": [{"bytes": picture, "path": None} for picture in PICTURES], "label": [int(label) for label in LABELS]}
    )
    pq.write_table(table, root / "data.parquet", row_group_size=5)
    return root / "data.parquet", list(PICTURES)


def _parquet_shards(root: Path) -> Written:
    for part in range(3):
        rows = slice(part * 4, part * 4 + 4)
        pq.write_table(pa.table({"text": TEXTS[rows], "label": LABELS[rows]}), root / f"train-{part:05}-of-00003.parquet")
    return root, list(TEXTS)


def _csv(root: Path) -> Written:
    lines = [
        "text,label",
        *(f'"{text.replace(chr(34), chr(34) * 2)}",{label}' for text, label in zip(TEXTS, LABELS, strict=True)),
    ]
    (root / "data.csv").write_text("\n".join(lines), "utf-8")
    return root / "data.csv", list(TEXTS)


def _pixel_csv(root: Path) -> Written:
    header = ",".join(["label", *(f"pixel{i}" for i in range(81))])
    rows = [",".join([label, *map(str, array.ravel())]) for array, label in zip(ARRAYS, LABELS, strict=True)]
    (root / "pixels.csv").write_text("\n".join([header, *rows]))
    return root / "pixels.csv", list(ARRAYS)


def _jsonl(root: Path) -> Written:
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, LABELS, strict=True)]
    (root / "data.jsonl").write_text("\n".join(lines))
    return root / "data.jsonl", list(TEXTS)


def _jsonl_gz(root: Path) -> Written:
    plain, payloads = _jsonl(root)
    packed = root / "data.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return packed, payloads


def _jsonl_zst(root: Path) -> Written:
    plain, payloads = _jsonl(root)
    with pa.output_stream(str(root / "data.jsonl.zst"), compression="zstd") as packed:
        packed.write(plain.read_bytes())
    return root / "data.jsonl.zst", payloads


def _npz(root: Path) -> Written:
    np.savez(root / "data.npz", x_train=ARRAYS, y_train=np.array(LABELS).astype(int), x_test=ARRAYS[:2])
    return root / "data.npz", list(ARRAYS)


def _idx(root: Path) -> Written:
    images = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in ARRAYS.shape) + ARRAYS.tobytes()
    labels = b"\0\0\x08\x01" + N.to_bytes(4, "big") + bytes(map(int, LABELS))
    for split in ("train", "t10k"):
        (root / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (root / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return root, list(ARRAYS)


def _webdataset(root: Path) -> Written:
    for shard in range(2):
        with tarfile.open(root / f"{shard:05}.tar", "w") as archive:
            for row in range(shard * 6, shard * 6 + 6):
                for suffix, data in (("png", PICTURES[row]), ("cls", LABELS[row].encode())):
                    member = tarfile.TarInfo(f"{row:04}.{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return root, list(PICTURES)


def _saved_dataset(root: Path) -> Written:
    table = pa.table({"text": TEXTS, "label": [int(label) for label in LABELS]})
    for part in range(2):
        with pa.ipc.new_stream(str(root / f"data-{part:05}-of-00002.arrow"), table.schema) as stream:
            stream.write_table(table.slice(part * 6, 6), max_chunksize=4)
    (root / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": f"data-{part:05}-of-00002.arrow"} for part in range(2)]})
    )
    (root / "dataset_info.json").write_text(
        json.dumps({"features": {"label": {"_type": "ClassLabel", "names": ["0", "1", "2"]}}})
    )
    return root, list(TEXTS)


def _sqlite(root: Path) -> Written:
    with contextlib.closing(sqlite3.connect(root / "data.db")) as connection, connection:
        connection.execute("CREATE TABLE photos (picture BLOB, label INTEGER)")
        connection.executemany("INSERT INTO photos VALUES (?, ?)", zip(PICTURES, LABELS, strict=True))
    return root / "data.db", list(PICTURES)


def _sqlite_texts(root: Path) -> Written:
    with contextlib.closing(sqlite3.connect(root / "reviews")) as connection, connection:
        connection.execute("CREATE TABLE reviews (key TEXT PRIMARY KEY, text TEXT, label TEXT) WITHOUT ROWID")
        rows = [(f"{row:04}", text, label) for row, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))]
        connection.executemany("INSERT INTO reviews VALUES (?, ?, ?)", rows[::-1])
    return root / "reviews", list(TEXTS)


def _duckdb(root: Path) -> Written:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(root / "data.db")) as connection:
        connection.execute("CREATE TABLE reviews (text VARCHAR, label INTEGER)")
        connection.executemany("INSERT INTO reviews VALUES (?, ?)", list(zip(TEXTS, LABELS, strict=True)))
    return root / "data.db", list(TEXTS)


WRITERS: list[tuple[str, Callable[[Path], Written]]] = [
    ("image-folder", _image_folder),
    ("text-folder", _text_folder),
    ("parquet", _parquet),
    ("parquet", _parquet_shards),
    ("csv", _csv),
    ("csv", _pixel_csv),
    ("jsonl", _jsonl),
    ("jsonl", _jsonl_gz),
    ("jsonl", _jsonl_zst),
    ("npz", _npz),
    ("idx", _idx),
    ("webdataset", _webdataset),
    ("hf-disk", _saved_dataset),
    ("sqlite", _sqlite),
    ("sqlite", _sqlite_texts),
    ("duckdb", _duckdb),
]


def _same(got: Payload, wanted: Payload) -> bool:
    return type(got) is type(wanted) and content_id(got) == content_id(wanted)


def _contents(root: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in root.rglob("*") if file.is_file()}


def test_every_registered_reader_is_in_the_table() -> None:
    assert set(readers()) <= {name for name, _ in WRITERS}


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=[write.__name__ for _, write in WRITERS])
def test_a_reader_gives_back_what_was_written(name: str, write: Callable[[Path], Written], tmp_path: Path) -> None:
    path, payloads = write(tmp_path)
    before = _contents(tmp_path)
    dataset = load(path)
    assert dataset.format == name
    assert dataset.location == path
    assert dataset.ids == [content_id(payload) for payload in payloads]
    assert sorted(map(str, dataset.labels)) == sorted(LABELS)
    assert name in {"image-folder", "text-folder"} or dataset.labels == LABELS
    assert dataset.column("unreadable") == [None] * N
    assert len(set(dataset.column("path"))) == N
    shuffled = np.random.default_rng(1).permutation(N)
    for rows in (np.arange(N), shuffled, np.array([3, 3, 0]), np.array([], dtype=np.int64)):
        assert all(_same(got, payloads[row]) for got, row in zip(dataset.read(rows), rows, strict=True))
    assert load(path).digest == dataset.digest
    assert _contents(tmp_path) == before


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=[write.__name__ for _, write in WRITERS])
def test_exactly_one_reader_claims_a_data_set(name: str, write: Callable[[Path], Written], tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    assert [reader.id for reader in readers().values() if reader.claims(path)] == [name]


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=[write.__name__ for _, write in WRITERS])
def test_a_reader_says_which_columns_it_chose(name: str, write: Callable[[Path], Written], tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    dataset = readers()[name].read(path, Request())
    assert "label: " in " ".join(dataset.notes)
    assert dataset.columns.note in dataset.notes


def test_a_reader_has_a_summary_of_one_line() -> None:
    assert all(reader.summary and "\n" not in reader.summary and len(reader.summary) < 130 for reader in readers().values())
