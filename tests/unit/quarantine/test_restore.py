import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.unit.quarantine.cases import audited, contents
from tests.unit.quarantine.formats import N, csv_texts, image_folder, jsonl, picture

from untaint.data.load import load
from untaint.errors import BadInput, CannotWrite
from untaint.quarantine import restore as module
from untaint.quarantine.hold import hold
from untaint.quarantine.restore import restore


def held_folder(tmp_path: Path, build: Callable[[Path], Path] = jsonl) -> Path:
    data = load(build(tmp_path))
    hold(data, audited(data, [2, 7, 11]), tmp_path / "out")
    return tmp_path / "out"


def test_the_ledger_grows_and_reasons_follow(tmp_path: Path) -> None:
    out = held_folder(tmp_path)
    before = (out / "ledger.jsonl").read_bytes()
    (out / "note.txt").write_text("mine")
    done = restore(out, ["F2", "row:2"])
    assert done.rows == (2, 7)
    after = (out / "ledger.jsonl").read_bytes()
    assert after.startswith(before)
    records = [json.loads(line) for line in after[len(before) :].splitlines()]
    assert [(record["action"], record["row"]) for record in records] == [("restore", 2), ("restore", 7)]
    assert pq.read_table(out / "quarantine" / "reasons.parquet").column("row").to_pylist() == [5, 11]
    assert (out / "note.txt").read_text() == "mine"
    with pytest.raises(BadInput, match="'row:2' names no sample"):
        restore(out, ["row:2"])


def test_copies_of_one_sample_go_back_together(tmp_path: Path) -> None:
    root = image_folder(tmp_path)
    (root / "cat" / "copy.png").write_bytes(picture(0))
    data = load(root)
    rows = [row for row, identity in enumerate(data.ids) if identity == data.ids[0]]
    hold(data, audited(data, rows), tmp_path / "out")
    assert len(restore(tmp_path / "out", [data.ids[0][:12]]).rows) == len(rows) == 2


@pytest.mark.parametrize("part", ["clean", "quarantine/data"])
def test_a_part_somebody_changed_is_refused(part: str, tmp_path: Path) -> None:
    out = held_folder(tmp_path)
    path = out / part / "reviews.jsonl"
    path.write_bytes(path.read_bytes().replace(b"He said", b"She said", 1))
    before = contents(out)
    with pytest.raises(Exception, match=r"cannot restore.*Nothing was moved"):
        restore(out, ["row:2"])
    assert contents(out) == before


@pytest.mark.parametrize("part", ["clean", "quarantine/data"])
def test_a_part_that_lost_samples_is_refused(part: str, tmp_path: Path) -> None:
    out = held_folder(tmp_path, image_folder)
    next((out / part).rglob("*.png")).unlink()
    with pytest.raises(BadInput, match="cannot restore"):
        restore(out, ["row:2"])


def test_a_crash_between_the_two_steps_of_the_swap_is_mended(tmp_path: Path) -> None:
    out = held_folder(tmp_path)
    out.rename(tmp_path / ".out.untaint-old")
    assert restore(out, ["row:2"]).rows == (2,)


def test_a_failed_swap_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = held_folder(tmp_path)
    before, replace = contents(out), Path.replace

    def failing(old: Path, new: Path) -> Path:
        if old.name.endswith("-new"):
            raise KeyboardInterrupt
        return replace(old, new)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(KeyboardInterrupt):
        restore(out, ["row:2"])
    assert contents(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "reviews.jsonl"]


def test_a_crash_while_writing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = held_folder(tmp_path)
    before = contents(out)

    def full(folder: Path, held: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_reasons", full)
    with pytest.raises(CannotWrite, match="No space left"):
        restore(out, ["row:2"])
    assert contents(out) == before


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    out = held_folder(tmp_path)
    (tmp_path / ".out.untaint-new").mkdir()
    with pytest.raises(CannotWrite, match="another run is writing here"):
        restore(out, ["row:2"])


def test_a_ledger_of_another_size_is_refused(tmp_path: Path) -> None:
    out = held_folder(tmp_path)
    path = out / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(f'"n_samples": {N}'.encode(), b'"n_samples": 6'))
    with pytest.raises(BadInput, match="rows its data does not have"):
        restore(out, ["row:2"])


@pytest.mark.parametrize("swap", [(b'"entry": "reviews.jsonl"', b'"entry": "../x"'), (b'"columns": {', b'"columns": 1, "x": {')])
def test_a_ledger_that_points_elsewhere_is_refused(swap: tuple[bytes, bytes], tmp_path: Path) -> None:
    out = held_folder(tmp_path)
    path = out / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(*swap))
    with pytest.raises(BadInput, match="does not say how the samples are read"):
        restore(out, ["row:2"])


def test_a_folder_without_ledger(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no ledger"):
        restore(csv_texts(tmp_path).parent, ["all"])
