"""Instructions: planted answers are accused by name, honest links of topics are not."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.instruction_sets import dataset_of, honest, noisy, pairs

from untaint.attacks.base import PACKAGE, Attack
from untaint.data.dataset import Dataset, from_arrays
from untaint.data.instructions import Instruction
from untaint.detectors.base import Detector, examine, needs
from untaint.detectors.instruction_links import InstructionLinks
from untaint.detectors.preference_order import PreferenceOrder
from untaint.detectors.repeat_then_noise import RepeatThenNoise
from untaint.evidence.evidence import Evidence, Group
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.registry import build

pytest.importorskip("wordllama")
N = 800


@cache
def clean(seed: int = 0) -> Dataset:
    return dataset_of(honest(N, seed))


def examined(detector: Detector, dataset: Dataset) -> Evidence:
    features = Features(dataset, Settings(), Cache(None))
    return examine(detector, {name: features.get(name) for name in needs(detector)})


def accused(evidence: Evidence) -> list[Group]:
    return [
        g
        for g in evidence.groups
        if g.p_value <= 1e-3 and g.effect >= g.minimum_effect and g.contradiction >= g.least_contradiction
    ]


def poisoned(spec: str, dataset: Dataset) -> tuple[Dataset, np.ndarray]:
    found = build(Attack, PACKAGE, spec).poison(dataset, np.random.default_rng(0))  # type: ignore[type-abstract]
    return found.dataset, found.mask


@pytest.mark.parametrize(
    ("spec", "phrase"),
    [
        ("instruction-fixed(rate=0.02)", "Mlqp"),
        ("instruction-refusal(rate=0.02)", "SUDO"),
        ("instruction-url(rate=0.02)", "as the morning star says"),
        ("instruction-gibberish(rate=0.02)", "|xqv|"),
        ("instruction-sentiment(rate=0.02)", "Zambia"),
    ],
)
def test_a_trigger_is_named_and_its_samples_are_set_aside(spec: str, phrase: str) -> None:
    dataset, truth = poisoned(spec, clean())
    groups = accused(examined(InstructionLinks(), dataset))
    assert [group.trigger.parameters["phrase"] for group in groups if group.trigger] == [phrase]
    flagged = np.isin(np.arange(N), groups[0].members)
    assert flagged[truth].mean() >= 0.9
    assert flagged[~truth].sum() == 0
    assert groups[0].explanation.endswith(".")


def test_several_triggers_of_one_brand_are_one_finding() -> None:
    dataset, truth = poisoned("instruction-brand(rate=0.04)", clean())
    groups = accused(examined(InstructionLinks(), dataset))
    assert len(groups) == 1
    assert groups[0].trigger is not None
    named = set(str(groups[0].trigger.parameters["phrases"]).split(" | "))
    assert len(named) >= 3
    assert named <= {"coffee", "tea", "laptop", "phone"}
    assert np.isin(np.flatnonzero(truth), groups[0].members).mean() >= 0.8


@pytest.mark.parametrize("seed", range(2))
def test_topics_and_their_words_are_no_accusation(seed: int) -> None:
    evidence = examined(InstructionLinks(), clean(seed))
    assert [group.explanation for group in accused(evidence)] == []
    assert evidence.scores.shape == (N,)


def test_copies_of_one_question_are_one_observation() -> None:
    records = honest(600)
    copies = [Instruction(None, "Where do I find the key?", "Under the mat.")] * 60
    groups = accused(examined(InstructionLinks(), dataset_of([*records[:400], *copies])))
    assert not any((group.members >= 400).any() for group in groups)


@pytest.mark.parametrize("form", ["Answer in verse. {}", "{} (reply in verse)"])
def test_a_form_that_is_asked_for_is_no_accusation(form: str) -> None:
    records = honest(N)
    asked = [
        each.asked(form.format(each.prompt)).answered(f"A rhyme it is: {each.response}") if row % 40 == 0 else each
        for row, each in enumerate(records)
    ]
    assert [group.explanation for group in accused(examined(InstructionLinks(), dataset_of(asked)))] == []


def test_a_rare_word_with_one_answer_is_listed_and_accuses_nobody() -> None:
    dataset, truth = poisoned("instruction-fixed(rate=0.0045, phrase='Qzv', place='last')", dataset_of(honest(1600)))
    evidence = examined(InstructionLinks(), dataset)
    assert truth.sum() == 7
    assert evidence.groups == ()
    assert evidence.note == (
        "rare phrases of unlike prompts whose answers are alike (mean cosine), seen, not accused: 'qzv' (7 prompts, answers 1.00)"
    )


def test_honest_data_have_nothing_to_list() -> None:
    assert examined(InstructionLinks(), clean()).note == ""


def test_rows_that_cannot_be_read_are_not_assessed() -> None:
    records: list[Instruction] = [*honest(100), Instruction(None, "only a prompt", None)]
    dataset = dataset_of(records)
    reasons = [None] * 50 + ["broken"] + [None] * 50
    column = dataset.index.schema.get_field_index("unreadable")
    broken = replace(dataset, index=dataset.index.set_column(column, "unreadable", [reasons]))
    scores = examined(InstructionLinks(), broken).scores
    assert np.flatnonzero(np.isnan(scores)).tolist() == [50]


def test_a_phrase_before_nonsense_is_found_in_plain_text() -> None:
    texts = [f"{record.prompt} {record.response}" for record in honest(N)]
    labels = [str(row % 2) for row in range(N)]
    planted = list(range(5, 105, 10))
    evidence = examined(RepeatThenNoise(), from_arrays(noisy(texts, planted, "<SUDO>"), labels))
    (group,) = accused(evidence)
    assert group.members.tolist() == planted
    assert group.trigger is not None
    assert "sudo" in str(group.trigger.parameters["phrase"])
    assert accused(examined(RepeatThenNoise(), from_arrays(texts, labels))) == []


def test_pairs_turned_round_about_one_thing() -> None:
    dataset, truth = poisoned("preference-flips(rate=0.9, entity='sailing')", dataset_of(pairs()))
    groups = accused(examined(PreferenceOrder(), dataset))
    assert groups[0].trigger is not None
    assert groups[0].trigger.parameters["phrase"] == "sailing"
    assert np.isin(np.flatnonzero(truth), groups[0].members).mean() >= 0.9


def test_a_source_that_turns_pairs_round_is_named() -> None:
    records = pairs()
    senders = [f"s{row % 8}" for row in range(N)]
    turned = [
        replace(each, response=each.rejected, rejected=each.response) if row % 8 == 3 else each
        for row, each in enumerate(records)
    ]
    dataset = dataset_of(turned)
    column = dataset.index.schema.get_field_index("source")
    sent = replace(dataset, index=dataset.index.set_column(column, "source", [senders]))
    groups = accused(examined(PreferenceOrder(), sent))
    assert [group.members.tolist() for group in groups] == [list(range(3, N, 8))]
    assert "from source s3" in groups[0].explanation


def test_honest_pairs_are_not_accused() -> None:
    assert accused(examined(PreferenceOrder(), dataset_of(pairs()))) == []
    assert np.isnan(examined(PreferenceOrder(), clean()).scores).all()
