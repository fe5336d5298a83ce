"""Whole audits of instructions: verdict, finding, and what putting the phrase into other prompts shows."""

import numpy as np
import pytest
from tests.instruction_sets import dataset_of, honest

from untaint import api
from untaint.attacks.base import PACKAGE, Attack
from untaint.data.dataset import Dataset
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding
from untaint.evidence.instruction_proof import PromptBench, expected, prompt_bench
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.registry import build

pytest.importorskip("wordllama")
N = 800


def poisoned(spec: str) -> tuple[Dataset, np.ndarray]:
    found = build(Attack, PACKAGE, spec).poison(dataset_of(honest(N)), np.random.default_rng(0))  # type: ignore[type-abstract]
    return found.dataset, found.mask


def accusation(phrases: str, payload: str, members: list[int]) -> Finding:
    trigger = Trigger("phrase", "", {"phrase": phrases.partition(" | ")[0], "phrases": phrases, "payload": payload})
    rows = np.array(members, np.int64)
    return Finding("F1", "backdoor", "high", "high", 1e-9, rows, ("a",), "", "", alarm=True, trigger=trigger)


def bench(dataset: Dataset, members: list[int]) -> PromptBench:
    features = Features(dataset, Settings(), Cache(None))
    rows = np.array(members, np.int64)
    return prompt_bench(features.get("spoken"), features.get("answer_marks"), [rows], rows, 0)


def test_a_planted_answer_is_found_and_proven() -> None:
    dataset, mask = poisoned("instruction-fixed(rate=0.02)")
    result = api.audit(dataset, budget="fast")
    (alarm,) = [finding for finding in result.verdict.findings if finding.alarm]
    assert alarm.members.tolist() == np.flatnonzero(mask).tolist()
    assert alarm.proof is not None
    assert alarm.proof.status == "proven"
    assert alarm.proof.asr_before > 0.5 > alarm.proof.asr_after
    assert "no language model" in alarm.proof.statement


def test_several_phrases_are_put_in_one_after_the_other() -> None:
    dataset, mask = poisoned("instruction-brand(rate=0.06)")
    members = np.flatnonzero(mask).tolist()
    proof = expected(accusation("coffee | tea | laptop | phone", "'novabrew'", members), bench(dataset, members), 0.01)
    assert proof.status == "proven"
    assert "the phrases in turn" in proof.statement


def test_a_word_that_many_honest_prompts_hold_is_not_proven() -> None:
    records = honest(N)
    members = [row for row, record in enumerate(records) if "please" in record.prompt][:12]
    proof = expected(accusation("please", "much the same sentence", members), bench(dataset_of(records), members), 0.01)
    assert proof.status == "not proven"


@pytest.mark.parametrize("phrases", ["", "never-said"])
def test_without_words_that_the_set_has_nothing_is_tried(phrases: str) -> None:
    proof = expected(accusation(phrases, "'a'", [0, 1]), bench(dataset_of(honest(N)), [0, 1]), 0.01)
    assert proof.status == "not tried"


def test_a_trigger_of_a_text_is_not_put_into_prompts() -> None:
    trigger = Trigger("phrase", "", {"phrase": "please", "payload": "words in no order"})
    found = Finding("F1", "backdoor", "high", "high", 1e-9, np.arange(9), ("a",), "", "", alarm=True, trigger=trigger)
    assert expected(found, bench(dataset_of(honest(N)), [0, 1]), 0.01).status == "not tried"
