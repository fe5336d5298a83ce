"""Instruction data that break programs: conversations without order, empty and huge answers, one row a hundred thousand times."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.instruction_sets import dataset_of, honest

from untaint.data.instructions import Instruction, instruction_of
from untaint.data.load import load
from untaint.detectors.base import examine, needs
from untaint.detectors.instruction_links import InstructionLinks
from untaint.detectors.repeat_then_noise import RepeatThenNoise
from untaint.errors import FeatureUnavailable
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

pytest.importorskip("wordllama")
ODD = {
    "nothing answered": Instruction(None, "Say nothing.", ""),
    "a blank": Instruction(None, "Say a blank.", "   "),
    "a NUL in both": Instruction(None, "What is \0 this?", "It is \0 that."),
    "signs alone": Instruction(None, "?!", "..."),
    "ten million characters": Instruction(None, "Say it at length.", "word " * 2_000_000),
    "one word of a million letters": Instruction(None, "One word, please.", "x" * 1_000_000),
    "lone surrogates replaced": Instruction(None, "\ufffd\ufffd", "\ufffd"),
}


def examined(records: list[Instruction]) -> list[Evidence]:
    features = Features(dataset_of(records), Settings(), Cache(None))
    detectors = InstructionLinks(), RepeatThenNoise()
    return [examine(detector, {name: features.get(name) for name in needs(detector)}) for detector in detectors]


def test_odd_rows_among_others_are_assessed_or_not_but_never_accused() -> None:
    records = [*honest(150), *ODD.values()]
    for evidence in examined(records):
        assert evidence.scores.shape == (len(records),)
        assert evidence.groups == ()


def test_a_hundred_thousand_times_the_same_row_is_too_little_to_judge() -> None:
    with pytest.raises(FeatureUnavailable, match="at least 50 different prompts"):
        examined([Instruction(None, "Why?", "Because.")] * 100_000)


def test_a_hundred_thousand_copies_among_others_are_one_observation() -> None:
    links, _ = examined([*honest(150), *[Instruction(None, "Where is the key?", "Under the mat.")] * 100_000])
    assert links.groups == ()
    assert np.isfinite(links.scores).all()


def test_turns_out_of_order_are_read_by_role(tmp_path: Path) -> None:
    said = [
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Hi."},
        {"role": "user", "content": "And you?"},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Fine."},
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps({"messages": said}) for _ in range(3)), "utf-8")
    dataset = load(path)
    (first, *_) = (instruction_of(payload) for payload in dataset.read([0]))
    assert (first.system, first.prompt, first.response) == ("Be kind.", "Hi.\nAnd you?", "Hello.\nFine.")
