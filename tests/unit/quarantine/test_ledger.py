import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.errors import BadInput
from untaint.quarantine.ledger import SCHEMA, append, lines, read

HEADER = {"schema": SCHEMA, "n_samples": 9}


def entry(action: str, row: int) -> dict[str, object]:
    return {"action": action, "row": row, "id": f"{row:064x}"}


def test_replay_follows_holds_and_restores(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append(path, [HEADER, entry("hold", 1), entry("hold", 4), entry("release", 5)])
    append(path, [entry("restore", 1)])
    append(path, [entry("hold", 1), entry("restore", 4)])
    assert set(read(path).held) == {1}
    assert [record["action"] for record in read(path).records] == ["hold", "hold", "release", "restore", "hold", "restore"]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_last_line_cut_short_is_ignored_with_a_note(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append(path, [HEADER, entry("hold", 1), entry("hold", 4)])
    path.write_bytes(path.read_bytes()[: -1 - cut])
    book = read(path)
    assert set(book.held) == {1}
    assert "cut short" in book.notes[0]
    append(path, [entry("hold", 7)])
    assert set(read(path).held) == {1, 7}
    assert read(path).notes == ()


def test_a_last_line_without_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append(path, [HEADER, entry("hold", 1)])
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert set(read(path).held) == {1}
    append(path, [entry("hold", 2)])
    assert set(read(path).held) == {1, 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines([HEADER]) + b"{garbled\n" + lines([entry("hold", 1)]), "line 2 of .* is not a ledger record"),
        (lines([HEADER]) + b"[1]\n", "line 2 of .* is not a ledger record"),
        (lines([HEADER]) + b"\n" + lines([entry("hold", 1)]), "line 2 of .* is not a ledger record"),
        (lines([{"schema": "untaint.ledger/v2"}]), "has the schema untaint.ledger/v2, this release reads untaint.ledger/v1"),
        (lines([entry("hold", 1)]), "does not begin with a ledger header"),
        (b"", "does not begin with a ledger header"),
        (lines([HEADER, entry("restore", 1)]), "line 2 of .*: cannot 'restore' row 1"),
        (lines([HEADER, entry("burn", 1)]), "line 2 of .*: cannot 'burn' row 1"),
        (lines([HEADER, {"action": "hold", "row": "1"}]), "line 2 of .*: cannot 'hold' row '1'"),
        (lines([HEADER, {"action": ["hold"], "row": 1}]), "line 2 of .*: cannot"),
        (b"[" * 100_000 + b"\n", "line 1 of .* is not a ledger record"),
    ],
)
def test_a_bad_ledger_names_the_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "ledger.jsonl")


def test_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no ledger at .*untaint clean"):
        read(tmp_path / "ledger.jsonl")


@given(st.text())
def test_any_label_stays_on_its_line(label: str) -> None:
    written = lines([{"label": label}])
    assert written.count(b"\n") == 1
    assert len(written.decode("ascii").splitlines()) == 1
    assert json.loads(written)["label"] == label
