"""Instructions in the layouts in common use: read exactly, broken rows kept with the reason, written back as they were."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction, instruction_of, payload_of
from untaint.data.load import from_python, load
from untaint.data.writers.base import writer_for
from untaint.data.writers.parquet import write_dataset
from untaint.errors import BadInput

Case = tuple[list[dict[str, object]], list[Instruction]]
ALPACA: list[dict[str, object]] = [
    {"instruction": "Say hello.", "input": "in Thai", "output": "สวัสดี"},
    {"instruction": "Count\nto two", "input": "", "output": "1 2"},
]
SHAREGPT: list[dict[str, object]] = [
    {
        "conversations": [
            {"from": "system", "value": "Be kind."},
            {"from": "human", "value": "Hi"},
            {"from": "gpt", "value": "Hello 😀"},
        ]
    },
    {
        "conversations": [
            {"from": "human", "value": "a"},
            {"from": "gpt", "value": "b"},
            {"from": "human", "value": "c"},
            {"from": "gpt", "value": "d"},
        ]
    },
]
MESSAGES: list[dict[str, object]] = [
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        ]
    }
]
DPO: list[dict[str, object]] = [{"prompt": "Which?", "chosen": "this one", "rejected": "that one"}]
DPO_TURNS: list[dict[str, object]] = [
    {
        "conversations": [{"from": "human", "value": "Which?"}],
        "chosen": {"from": "gpt", "value": "this one"},
        "rejected": {"from": "gpt", "value": "that one"},
    }
]
TRANSCRIPT: list[dict[str, object]] = [
    {"chosen": "\n\nHuman: Which?\n\nAssistant: this\n\nor more", "rejected": "\n\nHuman: Which?\n\nAssistant: that"},
]
KTO: list[dict[str, object]] = [
    {"prompt": "Is it?", "completion": "yes", "label": True},
    {"prompt": "Is it?", "completion": "no!", "label": False},
]
CASES: dict[str, Case] = {
    "alpaca": (ALPACA, [Instruction(None, "Say hello.\nin Thai", "สวัสดี"), Instruction(None, "Count\nto two", "1 2")]),
    "sharegpt": (SHAREGPT, [Instruction("Be kind.", "Hi", "Hello 😀"), Instruction(None, "a\nc", "b\nd")]),
    "messages": (MESSAGES, [Instruction(None, "Hi", "Hello")]),
    "dpo": (DPO, [Instruction(None, "Which?", "this one", "that one")]),
    "dpo turns": (DPO_TURNS, [Instruction(None, "Which?", "this one", "that one")]),
    "transcripts": (TRANSCRIPT, [Instruction(None, "Which?", "this\n\nor more", "that")]),
    "kto": (KTO, [Instruction(None, "Is it?", "yes"), Instruction(None, "Is it?", None, "no!")]),
    "pairs": ([{"question": "Why is it?", "answer": "Because."}], [Instruction(None, "Why is it?", "Because.")]),
    "dolly": (
        [{"instruction": "Sum up.", "context": "Long.", "response": "Short.", "category": "x"}],
        [Instruction(None, "Sum up.\nLong.", "Short.")],
    ),
}


def records(dataset: Dataset) -> list[Instruction]:
    assert dataset.modality == "instruction"
    assert set(dataset.labels) == {None}
    return [instruction_of(payload) for payload in dataset.read(range(len(dataset)))]


def written(root: Path, rows: list[dict[str, object]], suffix: str) -> Path:
    path = root / f"data{suffix}"
    if suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    elif suffix == ".json":
        path.write_text(json.dumps(rows, indent=2), "utf-8")
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_every_layout_in_every_file(case: str, suffix: str, tmp_path: Path) -> None:
    rows, expected = CASES[case]
    assert records(load(written(tmp_path, rows, suffix))) == expected


@pytest.mark.parametrize("case", ["alpaca", "dpo", "pairs", "kto"])
def test_csv_and_frames(case: str, tmp_path: Path) -> None:
    rows, expected = CASES[case]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "data.csv", index=False)
    assert records(load(tmp_path / "data.csv")) == expected
    assert records(from_python(frame)) == expected


def test_conversations_as_text_in_a_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"messages": [json.dumps(MESSAGES[0]["messages"])] * 2})
    frame.to_csv(tmp_path / "data.csv", index=False)
    assert records(load(tmp_path / "data.csv")) == [Instruction(None, "Hi", "Hello")] * 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"conversations": [{"from": "gpt", "value": "b"}]}, "no turn of a person (a prompt)"),
        ({"conversations": [{"from": "human", "value": "a"}]}, "no turn of the assistant (an answer)"),
        ({"conversations": []}, "no turn of a person (a prompt)"),
        ({"conversations": None}, "no turn of a person (a prompt)"),
        ({"conversations": [None, 3, {"from": "nobody", "value": "x"}]}, "no turn of a person (a prompt)"),
    ],
)
def test_missing_turns_are_an_unreadable_row(row: dict[str, object], reason: str, tmp_path: Path) -> None:
    dataset = load(written(tmp_path, [*SHAREGPT * 10, row], ".jsonl"))
    assert dataset.column("unreadable") == [None] * 20 + [reason]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"instruction": "", "output": None, "id": 7}, "'instruction', 'output'"),
        ({"messages": []}, "'messages'"),
        ({"prompt": "", "response": None}, "'prompt', 'response'"),
    ],
)
def test_columns_with_nothing_in_them_are_named(row: dict[str, object], named: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"nothing is in {named} of any row"):
        load(written(tmp_path, [row] * 10, ".jsonl"))


def test_a_label_that_is_no_yes_or_no_means_a_classifier(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"text number {i}", "response": "x y", "label": str(i % 2)} for i in range(10)]
    dataset = load(written(tmp_path, rows, ".jsonl"))
    assert dataset.modality == "text"
    assert dataset.class_names == ["0", "1"]


def test_what_the_user_names_counts(tmp_path: Path) -> None:
    path = written(tmp_path, KTO * 3, ".jsonl")
    assert load(path, label="label").modality == "text"
    rows: list[dict[str, object]] = [{**row, "who": f"team {i}"} for i, row in enumerate(ALPACA)]
    assert load(written(tmp_path, rows, ".json"), source="who").column("source") == ["team 0", "team 1"]


def test_elements_of_an_array_are_found_whatever_is_in_them(tmp_path: Path) -> None:
    odd = '\ufeff [ {"prompt": "a ] } , [ \\" {", "response": "b\\\\"} ,\n 7, {"prompt": "c", "response": "d"}, {"prompt" ]'
    (tmp_path / "data.json").write_text(odd, "utf-8")
    dataset = load(tmp_path / "data.json")
    reasons = dataset.column("unreadable")
    assert [instruction_of(dataset.read([row])[0]) for row in (0, 2)] == [
        Instruction(None, 'a ] } , [ " {', "b\\"),
        Instruction(None, "c", "d"),
    ]
    assert [reason is None for reason in reasons] == [True, False, True, False]
    assert str(reasons[1]).endswith("expected a JSON object, got int")


@pytest.mark.parametrize("ending", ['"never closed', "", "{", "]]]"])
def test_a_truncated_array_loses_no_element_before(ending: str, tmp_path: Path) -> None:
    whole = ",".join(json.dumps(row) for row in ALPACA * 3)
    (tmp_path / "data.json").write_text(f"[{whole},{ending}", "utf-8")
    dataset = load(tmp_path / "data.json")
    assert dataset.column("unreadable")[:6] == [None] * 6


def test_an_empty_array_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("[ ]")
    with pytest.raises(BadInput, match="is empty"):
        load(tmp_path / "data.json")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_rows_are_written_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{**row, "note": i} for i, row in enumerate(ALPACA * 3)]
    source = written(tmp_path, rows, suffix)
    dataset = load(source)
    out = tmp_path / "out"
    out.mkdir()
    copy = load(writer_for(dataset).copy(source, dataset, np.array([1, 4]), out))
    assert copy.read([0, 1]) == dataset.read([1, 4])
    if suffix == ".json":
        assert json.loads((out / "data.json").read_text("utf-8")) == [rows[1], rows[4]]


@pytest.mark.parametrize("case", CASES)
def test_what_is_in_memory_is_written_and_read_again(case: str, tmp_path: Path) -> None:
    rows, expected = CASES[case]
    dataset = from_python(pa.Table.from_pylist(rows))
    assert records(load(write_dataset(dataset, np.arange(len(dataset)), tmp_path / "out"))) == expected


def test_a_payload_is_canonical() -> None:
    record = Instruction("s", "ü", None, "\u200b")
    assert instruction_of(payload_of(record)) == record
    for broken in ("{}", "x", b"", '{"prompt": "a"}', "[1]"):
        with pytest.raises(BadInput):
            instruction_of(broken)
