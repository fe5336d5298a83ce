"""Texts and labels that sets from the web hold: each is read as it is, or refused in one sentence."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.review_sets import reviews

from untaint import api
from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.errors import BadInput, FeatureUnavailable, NothingChecked
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

TEXTS, LABELS = reviews(200)
Table = Mapping[str, Sequence[object]]


def jsonl(root: Path, table: Table) -> Dataset:
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    (root / "data.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return load(root / "data.jsonl")


def csv(root: Path, table: Table) -> Dataset:
    pd.DataFrame(table).to_csv(root / "data.csv", index=False)
    return load(root / "data.csv")


def parquet(root: Path, table: Table) -> Dataset:
    pq.write_table(pa.table(dict(table)), root / "data.parquet")
    return load(root / "data.parquet")


def frame(_root: Path, table: Table) -> Dataset:
    return load(pd.DataFrame(table))


def folder(root: Path, table: Table) -> Dataset:
    for row, (text, label) in enumerate(zip(table["text"], table["label"], strict=True)):
        (root / "set" / str(label)).mkdir(parents=True, exist_ok=True)
        (root / "set" / str(label) / f"{row:06}.txt").write_bytes(str(text).encode())
    return load(root / "set")


every = pytest.mark.parametrize("read", [jsonl, csv, parquet, frame, folder])
tables = pytest.mark.parametrize("read", [jsonl, csv, parquet, frame])
typed = pytest.mark.parametrize("read", [jsonl, parquet, frame])
Read = Callable[[Path, Table], Dataset]


def texts(dataset: Dataset) -> set[str]:
    return {str(text) for text in dataset.read(range(len(dataset)))}


@every
@pytest.mark.parametrize(
    "odd", ["a\0b in a text", "tab\tand\nline", "<b>html</b> &amp; <script>", "\u202eזה", "e\u0301 é", "x" * 10_000_000]
)
def test_odd_texts_come_back_to_the_character(read: Read, odd: str, tmp_path: Path) -> None:
    data = read(tmp_path, {"text": [*TEXTS, odd], "label": [*LABELS, "good"]})
    assert odd in texts(data)
    assert data.column("unreadable") == [None] * 201


@every
def test_empty_texts_are_rows_that_cannot_be_assessed(read: Read, tmp_path: Path) -> None:
    data = read(tmp_path, {"text": ["" if row % 4 == 0 else text for row, text in enumerate(TEXTS)], "label": LABELS})
    assert len(data) == 200
    features = Features(data, Settings(), Cache(None))
    assert int((~features.get("readable").mask).sum()) == 50
    assert int((features.get("labels") < 0).sum()) == 50
    assert sum(problem is not None for problem in features.get("problems")) == 50


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_line_that_is_not_utf8_is_one_row_that_cannot_be_read(suffix: str, tmp_path: Path) -> None:
    lines = [f'"{text}",{label}' for text, label in zip(TEXTS, LABELS, strict=True)]
    if suffix == "jsonl":
        lines = [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, LABELS, strict=True)]
    raw = [line.encode() for line in lines]
    raw[7] = raw[7].replace(b"No 7", b"caf\xe9")
    (tmp_path / f"data.{suffix}").write_bytes(b"\n".join([b"text,label", *raw] if suffix == "csv" else raw))
    data = load(tmp_path / f"data.{suffix}")
    assert [row for row, why in enumerate(data.column("unreadable")) if why is not None] == [7]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([0.0, 1.0], ["0", "1"]),
        ([1.5, 4.5], ["1.5", "4.5"]),
        ([True, False], ["False", "True"]),
        (["good", "bad"], ["bad", "good"]),
        ([["good"], ["bad"]], ["bad", "good"]),
        ([["good", "new"], ["bad"]], ["['good', 'new']", "bad"]),
    ],
)
@typed
def test_labels_of_any_kind_become_names(read: Read, given: list[object], names: list[str], tmp_path: Path) -> None:
    data = read(tmp_path, {"text": TEXTS, "label": [given[label == "bad"] for label in LABELS]})
    assert [name.replace("array(", "").replace("' '", "', '") for name in data.class_names] == names


@typed
def test_missing_labels_are_no_class(read: Read, tmp_path: Path) -> None:
    data = read(tmp_path, {"text": TEXTS, "label": [None if row % 3 == 0 else label for row, label in enumerate(LABELS)]})
    assert data.class_names == ["bad", "good"]
    assert data.labels.count(None) == 67


@tables
@pytest.mark.parametrize("source", ["shop", None])
def test_one_source_for_all_and_none_at_all(read: Read, source: str | None, tmp_path: Path) -> None:
    data = read(tmp_path, {"text": TEXTS, "label": LABELS, "source": [source] * 200})
    assert set(data.column("source")) == {source}
    assert api.audit(data, budget="fast").n_flagged == 0


@every
def test_a_label_per_text_is_refused(read: Read, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="distinct; it looks like an id"):
        read(tmp_path, {"text": TEXTS, "label": [f"c{row}" for row in range(200)]})


def test_a_hundred_thousand_labels_are_refused(tmp_path: Path) -> None:
    many = 100_000
    with pytest.raises(BadInput, match="all 100,000 values"):
        parquet(tmp_path, {"text": [f"text number {row}" for row in range(many)], "label": [f"c{row}" for row in range(many)]})


def test_two_texts_per_label_are_told_to_be_too_few(tmp_path: Path) -> None:
    data = jsonl(tmp_path, {"text": TEXTS * 10, "label": [f"c{row // 2}" for row in range(2000)]})
    features = Features(data, Settings(), Cache(None))
    with pytest.raises(FeatureUnavailable, match=r"1,000 classes of 2\.0 texts each are too many"):
        features.get("content")
    assert api.audit(data, budget="fast").n_flagged == 0


def test_texts_all_alike_are_not_flagged(tmp_path: Path) -> None:
    data = jsonl(tmp_path, {"text": ["the same text"] * 200, "label": LABELS})
    assert api.audit(data, budget="fast").n_flagged == 0


def test_texts_without_a_word_are_audited(tmp_path: Path) -> None:
    data = jsonl(tmp_path, {"text": ["!?. " * (row % 9 + 1) for row in range(200)], "label": LABELS})
    assert api.audit(data, budget="fast").n_flagged == 0


def test_only_blank_texts_leave_nothing_to_check(tmp_path: Path) -> None:
    data = jsonl(tmp_path, {"text": [" \n"] * 200, "label": LABELS})
    with pytest.raises(NothingChecked):
        api.audit(data, budget="fast")


def test_cells_that_are_no_text_are_read_as_they_print(tmp_path: Path) -> None:
    data = jsonl(tmp_path, {"text": [*TEXTS, 12, ["a", "b"]], "label": [*LABELS, "good", "bad"]})
    assert data.read([200, 201]) == ["12", "['a', 'b']"]


def test_a_lone_surrogate_is_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    data = jsonl(tmp_path, {"text": [*TEXTS, "\ud800 half"], "label": [*LABELS, "good"]})
    assert "not valid Unicode" in str(data.column("unreadable")[200])
    assert np.flatnonzero([why is not None for why in data.column("unreadable")]).tolist() == [200]
