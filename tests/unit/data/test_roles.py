"""Columns and what they are taken for."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from untaint.data.roles import Roles, Samples, check_labels, choose, find_source, kind_of, pixel_shape
from untaint.errors import BadInput

PNG = b"\x89PNG\r\n\x1a\n"
PROSE = ["a film that goes on and on", "what a great evening it was"]


def roles(columns: Samples, label: str | None = None, source: str | None = None, payload: tuple[str, ...] | None = None) -> Roles:
    return choose(columns, "data", label=label, source=source, payload=payload)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([PNG, PNG], "image"),
        ([{"bytes": PNG, "path": None}], "image"),
        ([PNG, b"broken"], "image"),
        (["a/1.PNG", "b.jpg"], "path"),
        (["1", "2.5", ""], "number"),
        ([1, None, 2.5, True], "number"),
        (["1", "two words"], "text"),
        (["x"] + ["1"] * 20, "number"),
        ([[[1, 2], [3, 4]]], "array"),
        ([np.zeros((2, 2))], "array"),
        ([[1, 2]], "other"),
        ([], "empty"),
        ([None], "empty"),
        ([Decimal("1.50"), Decimal(2)], "number"),
        ([dt.date(2024, 5, 31), dt.datetime(2024, 5, 31, tzinfo=dt.UTC)], "date"),
    ],
)
def test_kind_of_a_column(values: list[object], kind: str) -> None:
    assert kind_of(values) == kind


@pytest.mark.parametrize(
    ("columns", "label", "payload", "modality"),
    [
        ({"image": [PNG], "label": [1], "label_name": ["cat"]}, "label", ("image",), "image"),
        ({"Text": PROSE, "Class": [0, 1]}, "Class", ("Text",), "text"),
        ({"img": [PNG], "fine_label": [1], "coarse_label": [2]}, "fine_label", ("img",), "image"),
        ({"age": [1, 2], "job": ["clerk", "none"], "target": [0, 1], "id": [1, 2]}, "target", ("age", "job"), "table"),
        ({"title": ["a b", "c d"], "story": PROSE, "category": [0, 1]}, "category", ("story",), "text"),
        ({"x": [1.0], "y": [2.0], "class": ["a"]}, "class", ("x", "y"), "table"),
        ({"file_name": ["a.png"], "label": ["x"]}, "label", ("file_name",), "image"),
    ],
)
def test_roles_found(columns: Samples, label: str, payload: tuple[str, ...], modality: str) -> None:
    found = roles(columns)
    assert (found.label, found.payload, found.modality) == (label, payload, modality)


def test_a_source_is_found_by_name_and_never_from_values() -> None:
    assert find_source({"text": PROSE, "origin": ["a", "b"], "author": ["c", "d"]}, "data", None)[0] == "origin"
    assert find_source({"text": PROSE, "who": ["mallory", "mallory"]}, "data", None)[0] is None
    assert find_source({"source": ["int main() {}" * 50]}, "data", None)[0] is None


def test_the_note_says_how_columns_were_found() -> None:
    note = roles({"image": [PNG], "label": [1], "user": ["a"]}).note
    assert note == "label: column 'label' (by name); source: column 'user' (by name); payload: column 'image' (by content)"


@pytest.mark.parametrize(
    ("columns", "asked", "words"),
    [
        ({"text": PROSE, "mood": [0, 1]}, {}, ["no label column", "'text', 'mood'", "--label NAME"]),
        ({"text": PROSE, "class": [0, 1], "target": [0, 1]}, {}, ["several columns", "--label class"]),
        ({"text": PROSE, "label": [0, 1]}, {"label": "lable"}, ["no column 'lable'", "Did you mean --label label"]),
        ({"text": PROSE, "label": [0, 1]}, {"source": "zzz"}, ["no column 'zzz'", "--source NAME"]),
        ({"a": [PNG], "b": [PNG], "label": [0]}, {}, ["several columns of images", "--payload a"]),
        ({"label": [0, 1]}, {}, ["no column with images", "--payload NAME"]),
        ({"a": [PNG], "b": PROSE, "label": [0]}, {"payload": ("a", "b")}, ["cannot be audited together"]),
    ],
)
def test_unclear_columns_are_an_error_with_advice(columns: Samples, asked: dict[str, object], words: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        roles(columns, **asked)  # type: ignore[arg-type]  # one table for all arguments
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "no label"),
        ({"a": 9}, "one class only"),
        ({str(i): 1 for i in range(21)}, "looks like an id"),
    ],
)
def test_labels_nothing_can_be_learned_from(counts: dict[str, int], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_labels(counts, "column 'y'", "data")


def test_few_distinct_labels_are_fine() -> None:
    check_labels({str(i): 1 for i in range(20)}, "column 'y'", "data")


def pixels(images: np.ndarray) -> Samples:
    return {f"pixel{i}": column.tolist() for i, column in enumerate(images.reshape(len(images), -1).T)}


def test_pixel_columns_are_images_only_when_they_can_be() -> None:
    rng = np.random.default_rng(0)
    assert pixel_shape(pixels(rng.integers(0, 256, (5, 8, 8)))) == ((8, 8), False)
    assert pixel_shape(pixels(rng.integers(0, 2, (5, 8, 8)))) == ((), False)
    assert pixel_shape(pixels(rng.integers(0, 300, (5, 8, 8)))) == ((), False)
    assert pixel_shape(pixels(rng.integers(0, 256, (5, 5, 5)))) == ((), False)
    assert pixel_shape(
        {name: column for name, column in zip("abcdefgh" * 8, pixels(np.zeros((2, 8, 8))).values(), strict=False)}
    ) == ((), False)


@pytest.mark.parametrize("planes", [False, True])
def test_the_order_of_colours_is_the_smoother_one(planes: bool) -> None:
    ramp = np.linspace(0, 200, 8)[None, :, None] * np.array([1.0, 0.3, 0.6])
    images = np.broadcast_to(ramp, (4, 8, 8, 3)).round()
    stored = images.transpose(0, 3, 1, 2) if planes else images
    assert pixel_shape(pixels(np.ascontiguousarray(stored))) == ((8, 8, 3), planes)


def test_prose_beside_many_numbers_is_a_note_in_a_table() -> None:
    numbers: dict[str, list[object]] = {name: list(range(20)) for name in "vwxyz"}
    rest: dict[str, list[object]] = {**numbers, "label": ["a", "b"] * 10}
    found = roles({"address": PROSE * 10, **rest})
    assert (found.modality, found.payload) == ("table", ("address", *numbers))
    assert roles({"review": PROSE * 10, **rest}).modality == "text"
    del rest["z"]
    assert roles({"address": PROSE * 10, **rest}).modality == "text"


def test_dates_with_a_time_are_no_prose() -> None:
    found = roles({"opened": ["2024-01-01 10:00:00+00:00"] * 20, "x": list(range(20)), "label": ["a", "b"] * 10})
    assert (found.modality, found.payload) == ("table", ("opened", "x"))
    assert roles({"said": PROSE * 10, "x": list(range(20)), "label": ["a", "b"] * 10}).modality == "text"
