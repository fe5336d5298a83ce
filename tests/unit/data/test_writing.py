import gzip
import json
import os
import tarfile
from pathlib import Path
from random import Random

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.quarantine.formats import N, csv_texts, idx, jsonl_gz, npz, parquet_shards, picture, saved, webdataset

from untaint.data.dataset import from_arrays
from untaint.data.load import load
from untaint.data.writers.base import Part, Picks, inside, writer_for
from untaint.data.writers.parquet import write_dataset
from untaint.data.writers.shards import merged
from untaint.errors import BadInput


def copied(source: Path, rows: list[int], tmp_path: Path) -> Path:
    data, out = load(source), tmp_path / "out"
    out.mkdir()
    return writer_for(data).copy(source, data, np.array(rows), out)


def test_parquet_keeps_schema_names_and_compression(tmp_path: Path) -> None:
    source = parquet_shards(tmp_path)
    out = copied(source, [0, 8, 10, 23], tmp_path)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.parquet")) == ["a.parquet", "deep/c.parquet"]
    written, original = pq.ParquetFile(out / "a.parquet"), pq.ParquetFile(source / "a.parquet")
    assert written.schema_arrow.equals(original.schema_arrow, check_metadata=True)
    assert written.metadata.row_group(0).column(0).compression == "ZSTD"
    assert written.read().column("extra").to_pylist() == [0.0, 4.0]


def test_csv_keeps_every_byte(tmp_path: Path) -> None:
    source = csv_texts(tmp_path)
    content = source.read_bytes()
    assert copied(source, list(range(N)), tmp_path).read_bytes() == content
    (tmp_path / "second").mkdir()
    first = copied(source, [0, 1], tmp_path / "second").read_bytes()
    assert content.startswith(first)
    assert first.startswith(b"\xef\xbb\xbftext,label,source\r\n")


def test_a_row_that_looks_like_a_header_is_none(tmp_path: Path) -> None:
    lines = [f"{row},{row * 2},{row % 2}" for row in range(12)]
    lines[3] = "3,six,1"
    (tmp_path / "numbers.csv").write_text("\n".join(lines))
    data = load(tmp_path / "numbers.csv", label="2")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    writer = writer_for(data)
    part = Part(writer.copy(tmp_path / "numbers.csv", data, np.arange(3, 12), tmp_path / "a"), 9)
    again = writer.write([part], Picks(np.zeros(3, np.int64), np.array([0, 1, 8])), tmp_path / "b")
    assert again.read_text().splitlines() == [lines[3], lines[4], lines[11]]


def test_pictures_named_in_lines_go_along(tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "deep").mkdir(parents=True)
    for row in range(6):
        (root / "deep" / f"{row}.png").write_bytes(picture(row))
    lines = [json.dumps({"image": f"./deep/{row}.png", "label": row % 2}) for row in range(6)]
    lines[4] = json.dumps({"image": "../secret.png", "label": 0})
    (tmp_path / "secret.png").write_bytes(picture(9))
    (root / "list.jsonl").write_text("\n".join(lines))
    out = copied(root / "list.jsonl", [1, 2, 4, 5], tmp_path)
    assert out.read_text().splitlines() == [lines[1], lines[2], lines[4], lines[5]]
    assert sorted(path.name for path in out.parent.rglob("*.png")) == ["1.png", "2.png", "5.png"]
    assert (out.parent / "deep" / "5.png").read_bytes() == picture(5)


def test_pictures_named_in_parquet_go_along(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    for row in range(6):
        (root / f"{row}.png").write_bytes(picture(row))
    pq.write_table(
        pa.table({"image": [f"{row}.png" for row in range(6)], "label": [row % 2 for row in range(6)]}), root / "t.parquet"
    )
    out = copied(root / "t.parquet", [0, 3], tmp_path)
    assert load(out).read([1]) == [picture(3)]


def test_absolute_paths_of_pictures_are_refused(tmp_path: Path) -> None:
    for row in range(4):
        (tmp_path / f"{row}.png").write_bytes(picture(row))
    (tmp_path / "list.csv").write_text("image,label\n" + "".join(f"{tmp_path}/{row}.png,{row % 2}\n" for row in range(4)))
    with pytest.raises(BadInput, match="absolute path.*relative to the data file"):
        copied(tmp_path / "list.csv", [0, 1], tmp_path)


def test_gzip_holds_neither_time_nor_name(tmp_path: Path) -> None:
    out = copied(jsonl_gz(tmp_path), [0, 4], tmp_path)
    assert out.read_bytes()[4:8] == bytes(4)
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == 3  # a blank line stays before the record it stood before


def test_npz_filters_samples_and_copies_the_rest(tmp_path: Path) -> None:
    with np.load(copied(npz(tmp_path), [1, 5], tmp_path)) as out, np.load(tmp_path / "set.npz") as original:
        assert {name: out[name].shape for name in out} == {
            "images": (2, 8, 8),
            "labels": (2,),
            "weights": (2,),
            "class_names": (12,),
        }
        assert (out["images"] == original["images"][[1, 5]]).all()


def test_npz_with_pickled_samples_is_refused_and_other_pickles_are_not_opened(tmp_path: Path) -> None:
    images, labels = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 2
    names = np.array(["cat", None], dtype=object)
    np.savez(tmp_path / "fine.npz", images=images, labels=labels, names=names)
    with np.load(copied(tmp_path / "fine.npz", [1, 2], tmp_path), allow_pickle=True) as out:
        assert out["names"].tolist() == ["cat", None]
    np.savez(tmp_path / "bad.npz", images=images, labels=labels, notes=np.array([None] * 6, dtype=object))
    (tmp_path / "bad").mkdir()
    with pytest.raises(BadInput, match=r"notes.npy is not a plain array"):
        copied(tmp_path / "bad.npz", [1, 2], tmp_path / "bad")


def test_idx_headers_count_the_rows(tmp_path: Path) -> None:
    out = copied(idx(tmp_path), [1, 2, 7], tmp_path)
    content = gzip.decompress((out / "train-images-idx3-ubyte.gz").read_bytes())
    assert content[:16] == bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 8])
    assert gzip.decompress((out / "train-labels-idx1-ubyte.gz").read_bytes()) == bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 1])


def test_one_idx_file_brings_its_labels(tmp_path: Path) -> None:
    source = idx(tmp_path) / "train-images-idx3-ubyte.gz"
    assert load(copied(source, [0, 1, 2, 3], tmp_path)).labels == ["0", "1", "2", "0"]


def test_tar_headers_name_nobody(tmp_path: Path) -> None:
    out = copied(webdataset(tmp_path), [2, 12], tmp_path)
    with tarfile.open(out / "set-000001.tar") as tar:
        members = tar.getmembers()
    assert [Path(member.name).suffix for member in members] == [".png", ".cls", ".json"]
    assert {(member.uid, member.uname, member.mtime) for member in members} == {(0, "", 0)}


def test_saved_datasets_open_in_their_own_library(tmp_path: Path) -> None:
    out = copied(saved(tmp_path), [0, 5, 23], tmp_path)
    opened, original = datasets.load_from_disk(out), datasets.load_from_disk(tmp_path / "saved")
    assert opened.to_dict() == original.select([0, 5, 23]).to_dict()
    assert opened.features == original.features
    assert opened._fingerprint != original._fingerprint
    assert sorted(path.name for path in out.glob("*.arrow")) == ["data-00000-of-00003.arrow", "data-00002-of-00003.arrow"]


def test_saved_dataset_dicts_keep_the_split_that_was_read(tmp_path: Path) -> None:
    one = datasets.Dataset.from_dict({"text": [f"text {row} of it" for row in range(9)], "label": [row % 2 for row in range(9)]})
    datasets.DatasetDict({"train": one, "test": one.select([0, 1])}).save_to_disk(tmp_path / "saved")
    opened = datasets.load_from_disk(copied(tmp_path / "saved", [3, 4], tmp_path))
    assert {name: split.num_rows for name, split in opened.items()} == {"train": 2}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_metadata_of_an_image_folder_is_filtered(suffix: str, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    for row in range(8):
        (root / f"{row}.png").write_bytes(picture(row))
    records = [{"file_name": f"{row}.png", "label": "ab"[row % 2], "source": "x"} for row in reversed(range(8))]
    if suffix == "csv":
        lines = ["file_name,label,source", *(",".join(record.values()) for record in records)]
    else:
        lines = [json.dumps(record) for record in records]
    (root / f"metadata.{suffix}").write_text("\n".join(lines) + "\n")
    out = copied(root, [1, 2, 6], tmp_path)
    assert load(out).labels == ["b", "a", "a"]
    kept = [line for line in lines if not any(f"{row}.png" in line for row in (0, 3, 4, 5, 7))]
    assert (out / f"metadata.{suffix}").read_text().splitlines() == kept


def test_links_of_an_image_folder_stay_links_when_they_were_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "photos", tmp_path / "outside.png"
    outside.write_bytes(picture(1))
    for row in range(4):
        (root / "ab"[row % 2]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[row % 2] / f"{row}.png").write_bytes(picture(row))
    (root / "a" / "out.png").symlink_to(outside)
    (root / "b" / "in.png").symlink_to(root / "a" / "0.png")
    (root / "linked").symlink_to(tmp_path)
    data = load(root)
    out = copied(root, list(range(len(data))), tmp_path)
    assert os.readlink(out / "a" / "out.png") == str(outside)
    assert not (out / "b" / "in.png").is_symlink()
    assert load(out).digest == data.digest


def test_no_special_file_is_copied(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "0.png").write_bytes(picture(1))
    os.mkfifo(tmp_path / "photos" / "a" / "pipe.png")
    with pytest.raises(BadInput, match="not a regular file"):
        copied(tmp_path / "photos", [0, 1, 2], tmp_path)


def test_write_dataset_opens_in_the_datasets_library(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), np.uint8)
    data = from_arrays(images, list("aabbab"), sources=["x"] * 6)
    path = write_dataset(data, np.array([1, 4]), tmp_path / "new" / "out")
    assert path == tmp_path / "new" / "out" / "data.parquet"
    opened = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert isinstance(opened.features["image"], datasets.Image)
    assert (np.asarray(opened[1]["image"]) == images[4]).all()
    assert opened["label"][:] == ["a", "a"]
    assert opened["source"][:] == ["x", "x"]


def test_write_dataset_keeps_encoded_images_and_what_is_no_image(tmp_path: Path) -> None:
    data = from_arrays([picture(3), np.full((4, 4), np.nan), b"junk"], ["a", None, ""])
    table = pq.read_table(write_dataset(data, np.arange(3), tmp_path))
    cells = [cell["bytes"] for cell in table.column("image").to_pylist()]
    assert cells[0] == picture(3)
    assert cells[1].startswith(b"\x93NUMPY")
    assert cells[2] == b"junk"
    assert table.column("label").to_pylist() == ["a", None, None]
    assert table.schema.names == ["image", "label"]


def test_write_dataset_of_texts_survives_lone_surrogates(tmp_path: Path) -> None:
    data = from_arrays(["fine", "\ud800 broken"], ["a", "b"])
    assert pq.read_table(write_dataset(data, np.arange(2), tmp_path)).column("text").to_pylist() == ["fine", "\\ud800 broken"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", ".", "a\0b"])
def test_no_name_leads_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leads out of its folder"):
        inside(tmp_path, name)


@given(st.lists(st.sets(st.integers(0, 19)).map(sorted), min_size=1, max_size=3), st.randoms())
def test_merged_is_what_picking_by_index_gives(rows: list[list[int]], random: Random) -> None:
    streams = [[f"{part}.{row}" for row in range(20)] for part in range(len(rows))]
    part = [number for number, chosen in enumerate(rows) for _ in chosen]
    random.shuffle(part)
    ascending = [iter(chosen) for chosen in rows]
    picks = Picks(np.array(part, np.int64), np.array([next(ascending[number]) for number in part], np.int64))
    assert list(merged(Path("x"), streams, picks)) == [streams[number][row] for number, row in picks]
