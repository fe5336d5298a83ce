"""The front door: names, layouts and objects."""

import gzip
import io
import json
import pickle
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from untaint.data.dataset import content_id
from untaint.data.images import decode
from untaint.data.load import from_python, load
from untaint.data.readers._index import IndexBuilder
from untaint.errors import BadInput

ARRAYS = np.random.default_rng(0).integers(0, 256, (12, 9, 9), dtype=np.uint8)
LABELS = [row % 3 for row in range(12)]
TEXTS = [f"review number {row}" for row in range(12)]
NAMES = ["cat", "dog", "owl"]

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
any_rows = st.lists(st.tuples(any_text, any_text), min_size=2, max_size=12).filter(
    lambda rows: len({label for _, label in rows if label}) > 1
)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_payload_column_without_a_value_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n,a\n,b\n", encoding="utf-8")
    with pytest.raises(BadInput, match="'text' is empty"):
        load(path, payload="text")


@given(rows=any_rows)
@quick
def test_csv_round_trip(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    assume(any(text for text, _ in rows))
    path = tmp_path / "data.csv"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [("text", "label"), *rows]]
    path.write_bytes("\r\n".join(quoted).encode())
    dataset = load(path, payload="text", format="csv")
    assert dataset.labels == [label or None for _, label in rows]
    if dataset.modality == "text":
        assert dataset.read(range(len(rows))) == [text for text, _ in rows]


@given(rows=any_rows)
@quick
def test_jsonl_round_trip(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    lines = [json.dumps({"text": f"words {text}", "label": label}, ensure_ascii=False) for text, label in rows]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    dataset = load(path)
    assert dataset.labels == [label or None for _, label in rows]
    assert dataset.read(range(len(rows))) == [f"words {text}" for text, _ in rows]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 255), any_text.filter(lambda text: not text.endswith("\0"))), min_size=2, max_size=9
    ).filter(lambda rows: len({label for _, label in rows if label}) > 1)
)
@quick
def test_npz_round_trip(rows: list[tuple[int, str]], tmp_path: Path) -> None:
    images = np.array([np.full((4, 5, 3), value) for value, _ in rows], np.uint8)
    np.savez_compressed(tmp_path / "data.npz", images=images, labels=np.array([label for _, label in rows]))
    dataset = load(tmp_path / "data.npz")
    assert dataset.labels == [label or None for _, label in rows]
    assert all((got == wanted).all() for got, wanted in zip(dataset.images(range(len(rows))), images, strict=True))


def test_columns_can_be_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"q": TEXTS, "a": TEXTS, "mood": LABELS, "who": ["x", None] * 6}), tmp_path / "data.parquet")
    dataset = load(tmp_path / "data.parquet", label="mood", source="who", payload=("q", "a"))
    assert dataset.column("source") == ["x", None] * 6
    assert dataset.read([1]) == ["review number 1\nreview number 1"]
    assert (dataset.columns.label, dataset.columns.source) == ("mood", "who")


def test_class_names_stored_in_parquet_are_the_labels(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}}
    table = pa.table({"text": TEXTS, "label": [*LABELS[:-1], -1]}).replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, tmp_path / "data.parquet")
    assert load(tmp_path / "data.parquet").labels == [*(NAMES[label] for label in LABELS[:-1]), None]


def test_of_several_splits_train_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for split, rows in (("test", 3), ("train", 12)):
        pq.write_table(pa.table({"text": TEXTS[:rows], "label": LABELS[:rows]}), tmp_path / "data" / f"{split}-00000.parquet")
    dataset = load(tmp_path)
    assert len(dataset) == 12
    assert "split 'train' was read, test left out" in dataset.notes


def test_metadata_gives_labels_and_sources_to_a_folder(pictures: list[bytes], tmp_path: Path) -> None:
    for row, picture in enumerate(pictures):
        (tmp_path / f"{row}.png").write_bytes(picture)
    lines = ["file_name,label,contributor", *(f"{row}.png,{row % 2},c{row % 3}" for row in (3, 1, 2, 0)), "gone.png,1,c0"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    dataset = load(tmp_path)
    assert dataset.format == "image-folder"
    assert dataset.labels == ["0", "1", "0", "1", None, None, None, None, "1"]
    assert dataset.column("source")[:5] == ["c0", "c1", "c2", "c0", None]
    assert "missing" in str(dataset.column("unreadable")[8]) or "cannot be read" in str(dataset.column("unreadable")[8])


def test_metadata_with_sources_only_leaves_labels_to_the_folders(pictures: list[bytes], tmp_path: Path) -> None:
    for row, picture in enumerate(pictures):
        (tmp_path / "ab"[row % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[row % 2] / f"{row}.png").write_bytes(picture)
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a/0.png", "source": "mallory"}\n')
    dataset = load(tmp_path)
    assert dataset.labels == ["a"] * 4 + ["b"] * 4
    assert dataset.column("source") == ["mallory"] + [None] * 7


def test_a_second_level_of_folders_is_said_and_not_guessed(pictures: list[bytes], tmp_path: Path) -> None:
    for row, picture in enumerate(pictures):
        folder = tmp_path / f"site{row % 2}" / "ab"[row // 4]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row}.png").write_bytes(picture)
    (tmp_path / "README.txt").write_text("hello")
    dataset = load(tmp_path)
    assert dataset.class_names == ["site0", "site1"]
    assert set(dataset.column("source")) == {None}
    notes = " ".join(dataset.notes)
    assert "two levels of folders" in notes
    assert "1 files are not called like images" in notes


def test_a_table_of_numbers_without_header(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("5,1.5,0\n6,2.5,1\n")
    with pytest.raises(BadInput, match=r"its columns are '0', '1', '2'.*--label NAME"):
        load(tmp_path / "data.csv")
    dataset = load(tmp_path / "data.csv", label="2")
    assert dataset.read([0, 1]) == ['{"0": 5, "1": 1.5}', '{"0": 6, "1": 2.5}']


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    lines = [("\ufefftext", "label"), ("some words", "a"), ("more words", "b")]
    (tmp_path / "data.csv").write_text("\n".join(map(delimiter.join, lines)), "utf-8")
    dataset = load(tmp_path / "data.csv")
    assert (dataset.labels, dataset.read([1])) == (["a", "b"], ["more words"])


def test_float_images_of_minus_one_to_one_are_mapped() -> None:
    dataset = from_python((ARRAYS / 127.5 - 1, LABELS))
    assert (dataset.images([4])[0][:, :, 0] == ARRAYS[4]).all()
    assert "-1..1 mapped" in dataset.notes[0]


def test_normalised_images_are_refused() -> None:
    with pytest.raises(BadInput, match="Undo the normalisation"):
        from_python(((ARRAYS - 120.0) / 50, LABELS))


def test_one_hot_labels_and_channels_first() -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 9, 9), dtype=np.uint8)
    dataset = from_python((images, np.eye(3)[LABELS]))
    assert dataset.labels == [str(label) for label in LABELS]
    assert (dataset.images([2])[0] == images[2].transpose(1, 2, 0)).all()


def test_lists_of_texts_with_sources() -> None:
    dataset = load((TEXTS, LABELS, ["a", "b"] * 6))
    assert (dataset.modality, dataset.read([3]), dataset.column("source")[:2]) == ("text", [TEXTS[3]], ["a", "b"])


@pytest.mark.parametrize(
    "data", [(ARRAYS, LABELS[:-1]), (ARRAYS[:0], []), (np.array(["x", None], object), [0, 1]), 7, {"a": 1}, [1, 2]]
)
def test_objects_that_are_no_data_set(data: object) -> None:
    with pytest.raises(BadInput) as error:
        load(data)
    assert error.value.advice


def test_a_frame_of_arrays() -> None:
    frame = pd.DataFrame({"img": list(ARRAYS), "label": LABELS, "source": ["a", None] * 6})
    dataset = load(frame)
    assert dataset.ids == [content_id(array) for array in ARRAYS]
    assert dataset.column("source") == ["a", None] * 6
    assert (dataset.images([3])[0][:, :, 0] == ARRAYS[3]).all()


def test_a_frame_of_bytes_and_one_of_numbers(pictures: list[bytes]) -> None:
    assert load(pd.DataFrame({"image": pictures, "y": [0, 1] * 4})).read([2]) == [pictures[2]]
    table = load(pd.DataFrame({"age": [1, 2], "job": ["clerk", None], "label": [0.0, 1.0]}))
    assert (table.modality, table.labels) == ("table", ["0", "1"])
    assert table.read([1]) == ['{"age": 2, "job": null}']


def test_paths_in_a_frame_stay_in_the_root(pictures: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(pictures[0])
    dataset = from_python(pd.DataFrame({"path": ["a.png", "/etc/x.png"], "label": [0, 1]}), root=tmp_path)
    assert dataset.read([0]) == [pictures[0]]
    assert "points outside" in str(dataset.column("unreadable")[1])


def test_an_arrow_table(pictures: list[bytes]) -> None:
    table = pa.table({"image": pictures, "label": [0, 1] * 4})
    dataset = load(pa.concat_tables([table, table]))
    assert dataset.read([9, 0]) == [pictures[1], pictures[0]]


def test_a_hugging_face_data_set_and_its_folder_agree(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)})
    data = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS}, features=features)
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": data, "test": data.select([0, 1])}).save_to_disk(tmp_path / "dict")
    data.to_parquet(tmp_path / "data.parquet")
    dataset = load(data.select(range(12)))
    assert dataset.labels == [NAMES[label] for label in LABELS]
    assert dataset.read([11, 2]) == [TEXTS[11], TEXTS[2]]
    for name in ("one", "dict", "data.parquet"):
        assert load(tmp_path / name).digest == dataset.digest


def test_hugging_face_pictures(pictures: list[bytes], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"image": [{"bytes": picture, "path": None} for picture in pictures], "label": [0, 1] * 4}
    data = datasets.Dataset.from_dict(rows, features=features)
    data.save_to_disk(tmp_path / "one")
    for dataset in (load(data), load(tmp_path / "one")):
        assert dataset.read([5]) == [pictures[5]]
    with pytest.raises(BadInput, match="not streamed"):
        load(data.to_iterable_dataset())


def test_a_torch_data_set() -> None:
    torch = pytest.importorskip("torch")
    images = torch.from_numpy(ARRAYS).float()[:, None] / 255
    images[3, 0, 0, 0] = float("nan")
    dataset = load(torch.utils.data.TensorDataset(images, torch.tensor(LABELS)))
    assert dataset.labels == [str(label) for label in LABELS]
    assert (dataset.images([4])[0][:, :, 0] == ARRAYS[4]).all()
    assert [row for row, reason in enumerate(dataset.column("unreadable")) if reason] == [3]
    dataset = load(torch.utils.data.TensorDataset(torch.from_numpy(ARRAYS), torch.tensor(LABELS)))
    assert (decode(dataset.read([0])[0])[:, :, 0] == ARRAYS[0]).all()


def test_stores_can_be_sent_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a b", "label": 0}\n{"text": "c d", "label": 1}'))
    dataset = load(tmp_path / "data.jsonl.gz")
    again: Any = pickle.loads(pickle.dumps(dataset.store))
    assert again.read(np.array([1, 0])) == dataset.read([1, 0])


def test_a_million_sources_are_indexed_in_seconds() -> None:
    start, builder = time.process_time(), IndexBuilder()
    for row in range(1_000_000):
        builder.add("few words", path="p", label="ab"[row & 1], source=str(row))
    index = builder.finish("data", "column 'label'")
    assert index.num_rows == 1_000_000
    assert index.column("source").to_pylist()[-1] == "999999"
    assert time.process_time() - start < 20


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz"])
def test_texts_and_labels_in_the_fields_of_a_tar(suffix: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / f"data.{suffix}", "w" if suffix == "tar" else "w:gz") as archive:
        for row, text in enumerate(TEXTS):
            data = json.dumps({"caption": text, "label": LABELS[row], "source": "ab"[row % 2]}).encode()
            member = tarfile.TarInfo(f"./deep/{row:03}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    dataset = load(tmp_path / f"data.{suffix}", payload="caption")
    assert (dataset.modality, dataset.format) == ("text", "webdataset")
    assert dataset.labels == [str(label) for label in LABELS]
    assert dataset.column("source")[:2] == ["a", "b"]
    assert dataset.read([7, 0]) == [TEXTS[7], TEXTS[0]]
    assert dataset.column("path")[0] == f"data.{suffix}/deep/000"
