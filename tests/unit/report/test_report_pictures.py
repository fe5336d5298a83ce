import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from untaint.data.dataset import Dataset, from_arrays
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import AuditResult
from untaint.report import pictures, rasters
from untaint.report.base import Report


def roles(report: Report, finding: str, role: str) -> list[int]:
    return [picture.row for picture in report.pictures.values() if (picture.finding, picture.role) == (finding, role)]


def test_members_stand_beside_normal_samples_of_the_class(report: Report, result: AuditResult) -> None:
    members, normal = roles(report, "F1", "member"), roles(report, "F1", "normal")
    assert set(members) == set(result.verdict.findings[0].members.tolist())
    assert len(normal) == pictures.PER_GRID
    labels = result.samples.column("label").to_pylist()
    assert all(labels[row] == "T-shirt" and row not in members for row in normal)


def test_the_trigger_is_named_in_the_document(report: Report) -> None:
    trigger = report.document.findings[0].trigger
    assert trigger is not None
    assert trigger.picture in report.pictures


def test_every_picture_is_a_png(report: Report) -> None:
    for picture in report.pictures.values():
        with Pillow.open(io.BytesIO(picture.png or b"")) as opened:
            assert opened.format == "PNG"
            assert max(opened.size) <= rasters.ENLARGED


def test_survives_parquet(report: Report) -> None:
    assert pictures.from_table(pictures.to_table(report.pictures)) == dict(report.pictures)


def test_without_a_target_any_unflagged_sample_is_normal(result: AuditResult, dataset: Dataset) -> None:
    finding = replace(result.verdict.findings[0], target_label=None)
    chosen = pictures.choose(replace(result, verdict=replace(result.verdict, findings=(finding,))), dataset)
    shown = {dataset.labels[picture.row] for picture in chosen.values() if picture.role == "normal"}
    assert len(shown) == 4


def test_a_class_without_normal_samples_shows_none(result: AuditResult, dataset: Dataset) -> None:
    finding = replace(result.verdict.findings[0], target_label="no such class")
    chosen = pictures.choose(replace(result, verdict=replace(result.verdict, findings=(finding,))), dataset)
    assert {picture.role for picture in chosen.values()} == {"member", "trigger", "plain", "stamped"}


def test_a_picture_that_broke_since_is_left_out(result: AuditResult, dataset: Dataset) -> None:
    broken = dataset.edited({int(result.verdict.findings[0].members[0]): b"not an image"}, {})
    chosen = pictures.choose(result, broken)
    assert sum(p.finding == "F1" and p.role == "member" for p in chosen.values()) == len(result.verdict.findings[0].members) - 1


def test_sizes_that_differ_have_no_mean(result: AuditResult, dataset: Dataset) -> None:
    other = dataset.edited({int(result.verdict.findings[0].members[0]): np.zeros((9, 30), np.uint8)}, {})
    assert "F1/difference" not in pictures.choose(result, other)


def test_texts_are_cut(result: AuditResult) -> None:
    texts = from_arrays(["word " * 200_000] * len(result.samples), result.samples.column("label").to_pylist())
    chosen = pictures.choose(result, texts)
    assert chosen["F1/member/3"].text is not None
    assert all(len(picture.text or "") <= pictures.SNIPPET and picture.png is None for picture in chosen.values())


def test_photographs_keep_to_the_budget(result: AuditResult) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (len(result.samples), 128, 96, 3), dtype=np.uint8)
    trigger = Trigger("patch", "", picture=noise[0])
    findings = tuple(replace(result.verdict.findings[0], id=f"F{i}", trigger=trigger) for i in range(60))
    many = replace(result, verdict=replace(result.verdict, findings=findings))
    chosen = pictures.choose(many, from_arrays(noise, result.samples.column("label").to_pylist()))
    assert sum(len(picture.png or b"") for picture in chosen.values()) <= pictures.BUDGET


def test_unreadable_may_be_a_flag_or_a_reason() -> None:
    assert pictures.unreadable(pa.table({"unreadable": [True, False, None]})).to_pylist() == [True, False, False]
    assert pictures.unreadable(pa.table({"unreadable": ["broken", None]})).to_pylist() == [True, False]


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3]))
def test_thumbnails_fit_and_keep_channels(height: int, width: int, channels: int) -> None:
    small = rasters.thumbnail(np.full((height, width, channels), 9, np.uint8))
    assert max(small.shape[:2]) <= rasters.THUMBNAIL
    assert small.shape[2] == channels
    assert (small == 9).all()


def test_where_the_trigger_does_not_count_is_chequered() -> None:
    picture, mask = np.full((28, 28, 1), 255, np.uint8), np.zeros((28, 28))
    mask[0, 0] = 1
    shown = rasters.trigger(picture, mask)
    assert shown.shape == (280, 280, 3)
    assert (shown[:10, :10] == 255).all()
    assert set(np.unique(shown[20:, 20:])) == {190, 214}
    assert (rasters.trigger(picture, None) == 255).all()


@pytest.mark.parametrize(("change", "channel"), [(100, 0), (-100, 2)])
def test_brighter_is_red_and_darker_is_blue(change: int, channel: int) -> None:
    normal = np.full((4, 4, 1), 128, np.uint8)
    member = normal.copy()
    member[0, 0] = 128 + change
    shown = rasters.difference([member], [normal])
    assert shown is not None
    assert shown[0, 0].argmax() == channel
    assert (shown[-1, -1] == 247).all()
    assert rasters.difference([normal], [normal]) is None


def test_a_proof_is_pictured_with_what_networks_answer(result: AuditResult, dataset: Dataset) -> None:
    chosen = pictures.choose(result, dataset)
    assert chosen["F1/plain/1"].text == "Sneaker"
    assert chosen["F1/stamped/1"].text == "T-shirt; without the accused: Sneaker"
    assert chosen["F1/plain/1"].png != chosen["F1/stamped/1"].png
    assert pictures.from_table(pictures.to_table(chosen)) == chosen
