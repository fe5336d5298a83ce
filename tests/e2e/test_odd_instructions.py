"""Instructions as people have them, through the command line: missing turns, megabytes, NUL, markup, nothing at all."""

import json
from pathlib import Path

import pytest
from tests.e2e.cases import audit_json, untaint
from tests.instruction_sets import honest

pytest.importorskip("wordllama")
HUGE = 10 * 1024 * 1024
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def chat(prompt: str | None, answer: str | None) -> dict[str, object]:
    turns = [("user", prompt), ("assistant", answer)]
    return {"messages": [{"role": role, "content": text} for role, text in turns if text is not None]}


def lines(folder: Path, rows: list[dict[str, object]]) -> Path:
    (folder / "chats.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return folder / "chats.jsonl"


def test_odd_chats_are_told_and_a_trigger_among_them_is_found(tmp_path: Path) -> None:
    rows = [chat(record.prompt, record.response) for record in honest(400)]
    for row in range(0, 400, 25):
        first, _, rest = honest(400)[row].prompt.rpartition(" ")
        rows[row] = chat(f"{first} <b>zq7</b> {rest}" if row % 2 else f"{first.replace(' ', ' <b>zq7</b> ', 1)} {rest}", MARKUP)
    odd: list[dict[str, object]] = [
        chat("only me", None),
        chat(None, "only me"),
        {"messages": []},
        {"messages": None},
        {"messages": "hello"},
    ]
    huge = [chat("Explain " + "word " * (HUGE // 5), "ok then"), chat("one\0two", "three\0four")]
    outcome = untaint("audit", lines(tmp_path, [*rows, *odd, *huge]), "--budget", "fast", "--out", tmp_path / "audit")
    said = " ".join(outcome.out.split())
    assert outcome.code == 1, outcome
    assert said.startswith("407 instructions, read as jsonl from")
    assert "with “<b>zq7</b>” in the prompt are answered with" in said
    assert "Proven by intervention." in said
    assert f"{len(odd)} samples could not be read, 4 of them: no turn of a person. The report lists them." in said
    assert audit_json(tmp_path / "audit")["n_flagged"] == 16
    report = (tmp_path / "audit" / "report.html").read_text("utf-8")
    assert "<mark>&lt;b&gt;zq7&lt;/b&gt;</mark>" in report
    assert "<script>alert" not in report
    assert "<img src=x" not in report
    assert (tmp_path / "audit" / "report.html").stat().st_size < 1_000_000


def test_chats_with_nothing_in_them_are_named_with_what_to_do(tmp_path: Path) -> None:
    outcome = untaint("audit", lines(tmp_path, [{"messages": []}] * 20), "--out", tmp_path / "audit")
    assert outcome.code == 2
    assert "nothing is in 'messages' of any row. Instructions need a prompt and an answer." in " ".join(outcome.err.split())
