"""A small data set in every format, with what tends to break copies: odd labels, shards, blank lines, one unreadable row."""

import contextlib
import datetime as dt
import gzip
import io
import json
import sqlite3
import struct
import tarfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.data.images import encode_png

N = 24
CLASSES = ("cat", "dog", 'o"dd, ✓')
SOURCES = ("alice", "bob", None)
BROKEN = 5
"""The row that cannot be read, in formats that can hold one."""


def picture(row: int) -> bytes:
    return encode_png(np.full((8, 8, 3), row * 9, np.uint8))


def image_folder(folder: Path) -> Path:
    root = folder / "photos"
    for row in range(N):
        path = root / ("cat", "dog", "odd ✓")[row % 3] / f"{row:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not a picture" if row == BROKEN else picture(row))
    return root


def text_folder(folder: Path) -> Path:
    root = folder / "reviews"
    for row, record in enumerate(texts()):
        path = root / ("cat", "dog", "odd ✓")[row % 3] / f"{row:03}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"caf\xe9" if row == BROKEN else record["text"].encode())
    return root


def texts(n: int = N) -> list[dict[str, Any]]:
    words = 'He said "so, what?"\nand left; ünïcode  , tail '
    return [
        {"text": f"{row} {words}" * (row % 3 + 1), "label": CLASSES[row % 3], "source": SOURCES[row % 2], "extra": row * 0.5}
        for row in range(n)
    ]


def parquet_shards(folder: Path) -> Path:
    root, records = folder / "shards", texts()
    (root / "deep").mkdir(parents=True)
    schema = pa.schema(
        [("text", pa.string()), ("label", pa.string()), ("source", pa.string()), ("extra", pa.float64())], {"who": "me"}
    )
    for name, rows in (("a.parquet", records[:9]), ("deep/b.parquet", records[9:10]), ("deep/c.parquet", records[10:])):
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), root / name, row_group_size=4, compression="zstd")
    return root


def parquet_images(folder: Path) -> Path:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog", "eel"]}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", kind), ("label", pa.int64())], {"huggingface": json.dumps({"info": {"features": features}})})
    cells = [{"bytes": b"no" if row == BROKEN else picture(row), "path": f"{row}.png"} for row in range(N)]
    pq.write_table(pa.table({"image": cells, "label": [row % 3 for row in range(N)]}, schema=schema), folder / "images.parquet")
    return folder / "images.parquet"


def csv_texts(folder: Path) -> Path:
    lines = ["\ufefftext,label,source\r\n"]
    for row, record in enumerate(texts()):
        text = record["text"].replace('"', '""')
        label = record["label"].replace('"', '""')
        lines.append(f'"{text}","{label}",{record["source"] or ""}\r\n' + ("\r\n" if row == 7 else ""))
    lines[BROKEN + 1] = "too,many,fields,here\r\n"
    (folder / "reviews.csv").write_bytes("".join(lines).removesuffix("\r\n").encode())
    return folder / "reviews.csv"


def tsv_pictures(folder: Path) -> Path:
    (folder / "set" / "img").mkdir(parents=True)
    lines = ["image\tlabel\n"]
    for row in range(N):
        if row != BROKEN:
            (folder / "set" / "img" / f"{row}.png").write_bytes(picture(row))
        lines.append(f"img/{row}.png\t{CLASSES[row % 2]}\n")
    (folder / "set" / "list.tsv").write_text("".join(lines), encoding="utf-8")
    return folder / "set" / "list.tsv"


def jsonl_lines() -> bytes:
    lines = [json.dumps(record, ensure_ascii=row % 2 == 0) + ("\n\n" if row == 3 else "\n") for row, record in enumerate(texts())]
    lines[BROKEN] = '{"text": "cut sh\n'
    return "".join(lines).encode() + b"\n  \n"


def jsonl(folder: Path) -> Path:
    (folder / "reviews.jsonl").write_bytes(jsonl_lines())
    return folder / "reviews.jsonl"


def jsonl_gz(folder: Path) -> Path:
    (folder / "reviews.jsonl.gz").write_bytes(gzip.compress(jsonl_lines()))
    return folder / "reviews.jsonl.gz"


def jsonl_zst(folder: Path) -> Path:
    with pa.CompressedOutputStream(str(folder / "reviews.jsonl.zst"), "zstd") as file:
        file.write(jsonl_lines())
    return folder / "reviews.jsonl.zst"


def arrays() -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8), np.uint8)
    return images, (np.arange(N) % 3).astype(np.uint8)


def npz(folder: Path) -> Path:
    images, labels = arrays()
    np.savez_compressed(folder / "set.npz", images=images, labels=labels, weights=np.ones(N), class_names=np.array(["a"] * 12))
    return folder / "set.npz"


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def idx(folder: Path) -> Path:
    root = folder / "mnist"
    root.mkdir()
    for name, array in zip(("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), arrays(), strict=True):
        (root / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return root


def webdataset(folder: Path) -> Path:
    root = folder / "shards"
    root.mkdir()
    for number, rows in enumerate((range(10), range(10, N))):
        with tarfile.open(root / f"set-{number:06}.tar", "w") as tar:
            for row in rows:
                data = b"not a picture" if row == BROKEN else picture(row)
                for suffix, content in (("png", data), ("cls", str(row % 3).encode()), ("json", b'{"source": "alice"}')):
                    info = tarfile.TarInfo(f"{'long' * 30}/{row:04}.{suffix}")
                    info.size, info.uid, info.uname = len(content), 1234, "somebody"
                    tar.addfile(info, io.BytesIO(content))
    return root


def saved(folder: Path) -> Path:
    import datasets

    records = texts()
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(CLASSES)), "source": datasets.Value("string")}
    )
    columns = {name: [record[name] for record in records] for name in ("text", "label", "source")}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder / "saved", num_shards=3)
    return folder / "saved"


ROWS = [
    (row * 3, row * 0.25 if row % 4 else None, ("Rome", "Oslo", "naïve")[row % 3], SOURCES[row % 2], b"\0raw", CLASSES[row % 3])
    for row in range(N)
]
"""A table: number, number that may be missing, word, source, bytes, label."""


def csv_table(folder: Path) -> Path:
    lines = [
        "whole;part;word;source;label",
        *(f"{row[0]};{row[1]};{row[2]} ;{row[3]};{CLASSES[i % 2]}" for i, row in enumerate(ROWS)),
    ]
    (folder / "table.csv").write_text("\n".join(lines).replace("None", ""), "utf-8")
    return folder / "table.csv"


def parquet_table(folder: Path) -> Path:
    kinds = [("whole", pa.int16()), ("part", pa.decimal128(9, 2)), ("word", pa.dictionary(pa.int8(), pa.string()))]
    schema = pa.schema([*kinds, ("source", pa.string()), ("raw", pa.binary()), ("label", pa.string()), ("born", pa.date32())])
    rows = [
        dict(zip(schema.names, (*row, dt.date(2024, 1, 1 + i)), strict=True))
        | {"part": None if row[1] is None else Decimal(str(row[1]))}
        for i, row in enumerate(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "table.parquet", row_group_size=7)
    return folder / "table.parquet"


def sqlite_table(folder: Path) -> Path:
    with contextlib.closing(sqlite3.connect(folder / "table.db")) as connection, connection:
        connection.execute("PRAGMA encoding = 'UTF-16'")
        declared = '(whole INT NOT NULL, "part;x" "odd type(3)", word TEXT, source, raw BLOB, label VARCHAR(20), PRIMARY KEY (whole, word))'
        connection.execute(f"CREATE TABLE rows {declared}")
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        connection.execute("DELETE FROM rows WHERE whole = 6")
        connection.execute("INSERT INTO rows VALUES (999, 'a word', 'Rome', NULL, NULL, 'cat')")
        connection.execute("CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows; END")
    return folder / "table.db"


def sqlite_keyed(folder: Path) -> Path:
    with contextlib.closing(sqlite3.connect(folder / "keyed")) as connection, connection:
        declared = "(word TEXT COLLATE NOCASE, whole ANY, part REAL, label TEXT, PRIMARY KEY (word, whole)) WITHOUT ROWID, STRICT"
        connection.execute(f"CREATE TABLE rows {declared}")
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", [(row[2], str(row[0]), row[1], row[5]) for row in ROWS])
    return folder / "keyed"


def duckdb_table(folder: Path) -> Path:
    with pytest.importorskip("duckdb").connect(str(folder / "table.duckdb")) as connection:
        declared = "(whole INTEGER, part DECIMAL(9, 2), word VARCHAR, source VARCHAR, raw BLOB, label VARCHAR)"
        connection.execute(f"CREATE TABLE rows {declared}")
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        connection.execute("ALTER TABLE rows ADD COLUMN span INTERVAL DEFAULT INTERVAL 3 DAYS")
    return folder / "table.duckdb"


FORMATS: Mapping[str, Callable[[Path], Path]] = {
    build.__name__: build
    for build in (
        *(
            image_folder,
            text_folder,
            parquet_shards,
            parquet_images,
            csv_texts,
            tsv_pictures,
            jsonl,
            jsonl_gz,
            jsonl_zst,
            npz,
            idx,
            webdataset,
            saved,
            csv_table,
            parquet_table,
            sqlite_table,
            sqlite_keyed,
            duckdb_table,
        ),
    )
}
