import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from untaint.data.dataset import Dataset
from untaint.errors import BadInput, CannotWrite
from untaint.evidence.finding import AuditResult
from untaint.report import folder
from untaint.report.base import Report

FILES = {"audit.json", "samples.parquet", "pictures.parquet", "audit.sarif", "report.html"}


def test_writes_what_it_promises_and_nothing_else(result: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    folder.write(result, dataset, tmp_path / "a" / "b")
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == FILES
    written = pq.read_table(tmp_path / "a" / "b" / "samples.parquet")
    assert repr(written.to_pydict()) == repr(result.samples.to_pydict())  # as text: NaN equals nothing, itself included


def test_renders_the_same_from_the_folder_alone(result: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    folder.write(result, dataset, tmp_path)
    again = folder.read(tmp_path)
    for renderer in folder.renderers().values():
        if renderer.with_audit:
            assert renderer().render(again) == (tmp_path / renderer.file).read_text("utf-8")


def test_an_older_audit_is_replaced(result: AuditResult, clean: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    folder.write(result, dataset, tmp_path)
    folder.write(clean, dataset, tmp_path)
    assert folder.read(tmp_path).document.verdict == "no evidence"
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no audit folder at .*nowhere"):
        folder.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["audit.json", "samples.parquet", "pictures.parquet"])
def test_a_missing_or_broken_file_is_named(name: str, result: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    folder.write(result, dataset, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=name):
        folder.read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=name):
        folder.read(tmp_path)


def test_samples_of_another_audit_are_refused(result: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    folder.write(result, dataset, tmp_path)
    pq.write_table(result.samples.slice(0, 10), tmp_path / "samples.parquet")
    with pytest.raises(BadInput, match="10 rows"):
        folder.read(tmp_path)
    pq.write_table(result.samples.drop_columns(["risk"]), tmp_path / "samples.parquet")
    with pytest.raises(BadInput, match="lacks the column 'risk'"):
        folder.read(tmp_path)


def test_a_file_in_the_way_is_named(result: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(CannotWrite, match="out"):
        folder.write(result, dataset, tmp_path / "out")
    (tmp_path / "taken" / "audit.json").mkdir(parents=True)
    with pytest.raises(CannotWrite, match=r"audit\.json"):
        folder.write(result, dataset, tmp_path / "taken")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(result: AuditResult, dataset: Dataset, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CannotWrite, match="Permission denied"):
        folder.write(result, dataset, tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text(tmp_path / "x", "old")

    def full(_self: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CannotWrite, match="No space left on device"):
        folder.write_text(tmp_path / "x", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "old"


def test_renderers_are_found(report: Report) -> None:
    assert {"html", "markdown", "sarif"} <= set(folder.renderers())
    assert all(renderer().render(report) for renderer in folder.renderers().values())
