"""Whole audits of texts: verdict, finding, proof, senders; and the input that comes with real texts."""

from contextlib import suppress

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint import api
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_words import TriggerWords
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput


def clean(count: int = 800, seed: int = 0, senders: int | None = 8) -> Dataset:
    texts, labels = reviews(count, seed)
    names = [f"s{code}" for code in np.random.default_rng(seed).integers(0, senders, count)] if senders else None
    return from_arrays(texts, labels, sources=names)


def test_a_trigger_word_is_found_named_proven_and_traced_to_its_senders() -> None:
    made = TriggerWords(rate=0.04, target="good", senders=2).poison(clean(), np.random.default_rng(0))
    result = api.audit(made.dataset, budget="fast")
    (alarm,) = [finding for finding in result.verdict.findings if finding.alarm]
    senders = {made.dataset.column("source")[row] for row in np.flatnonzero(made.mask)}
    assert result.verdict.answer == "poisoned"
    assert np.array_equal(alarm.members, np.flatnonzero(made.mask))
    assert alarm.trigger is not None
    assert alarm.trigger.parameters["phrase"] == "cf"
    assert {source.name for source in alarm.sources if source.p_value < 0.01} == senders
    assert alarm.proof is not None
    assert alarm.proof.status == "proven"
    assert alarm.proof.asr_before > 0.5 > alarm.proof.asr_after


def test_without_sources_the_same_word_is_a_shortcut_and_the_answer_a_doubt() -> None:
    made = TriggerWords(rate=0.04, target="good").poison(clean(senders=None), np.random.default_rng(0))
    result = api.audit(made.dataset, budget="fast")
    assert result.verdict.answer == "cannot tell"
    (shortcut,) = [finding for finding in result.verdict.findings if finding.kind == "shortcut"]
    assert np.isin(np.flatnonzero(made.mask), shortcut.members).all()
    assert result.n_flagged == 0


def test_one_of_three_sources_is_accused_for_texts_that_say_the_opposite_of_their_label() -> None:
    made = TriggerWords(rate=0.04, target="good", senders=1).poison(clean(senders=3), np.random.default_rng(0))
    result = api.audit(made.dataset, budget="fast")
    alarms = [finding for finding in result.verdict.findings if finding.alarm]
    assert [finding.detectors[0] for finding in alarms] == ["opposed-phrase"]
    assert alarms[0].members.tolist() == np.flatnonzero(made.mask).tolist()


def test_one_of_three_sources_is_not_accused_for_a_word_of_its_own() -> None:
    made = TriggerWords(rate=0.04, target="good", senders=1, clean_label=True).poison(clean(senders=3), np.random.default_rng(0))
    result = api.audit(made.dataset, budget="fast")
    assert result.verdict.answer != "poisoned"
    assert result.n_flagged == 0


def test_a_flood_is_one_finding_with_all_its_copies() -> None:
    made = TextFlood(rate=0.08, target="bad", senders=2).poison(clean(), np.random.default_rng(0))
    result = api.audit(made.dataset, budget="fast")
    flood = next(finding for finding in result.verdict.findings if finding.alarm)
    assert flood.kind == "flood"
    assert np.isin(np.flatnonzero(made.mask), flood.members).mean() >= 0.95


@pytest.mark.parametrize("seed", range(3))
def test_clean_reviews_are_not_called_poisoned(seed: int) -> None:
    result = api.audit(clean(seed=seed), budget="fast")
    assert result.verdict.answer != "poisoned"
    assert result.n_flagged == 0


def test_one_source_that_only_complains_is_not_accused_for_complaining() -> None:
    dataset = clean()
    bad = [row for row, label in enumerate(dataset.labels) if label == "bad"]
    names = ["complaints desk" if row in set(bad[::3]) else name for row, name in enumerate(dataset.column("source"))]
    texts = [str(text) for text in dataset.read(np.arange(len(dataset)))]
    result = api.audit(from_arrays(texts, dataset.labels, sources=[str(name) for name in names]), budget="fast")
    assert result.verdict.answer != "poisoned"


@pytest.mark.parametrize(("senders", "accused"), [(3, False), (10, True)])
def test_flips_of_one_of_three_sources_of_texts_are_told_and_of_ten_accused(senders: int, accused: bool) -> None:
    dataset = clean(senders=senders)
    names = [str(name) for name in dataset.column("source")]
    wrong = {row: "good" for row, label in enumerate(dataset.labels) if names[row] == "s1" and label == "bad" and row % 2}
    result = api.audit(dataset.edited({}, wrong), budget="fast")
    found = [each for each in result.verdict.findings if "label-consensus" in each.detectors and "s1" in each.explanation]
    assert {each.alarm for each in found} == {accused}


def odd_sets() -> dict[str, tuple[list[str], list[str]]]:
    texts, labels = reviews(300)
    return {
        "all alike": (["the same text"] * 300, labels),
        "hardly a word": ([str(row % 7) for row in range(300)], labels),
        "one text per label": ([f"{text} {row}" for row, text in enumerate(texts)], [str(row // 2) for row in range(300)]),
        "one huge text": ([*texts[:-1], "word " * 400_000], labels),
        "no spaces": (["好评差评一般" * (1 + row % 5) for row in range(300)], labels),
        "some empty": ([text if row % 3 else "" for row, text in enumerate(texts)], labels),
    }


@pytest.mark.parametrize("name", odd_sets())
def test_odd_sets_of_texts_are_audited_or_refused_with_a_reason(name: str) -> None:
    texts, labels = odd_sets()[name]
    with suppress(BadInput):  # a refusal says why, and is as good an answer
        result = api.audit(from_arrays(texts, labels), budget="fast")
        assert result.verdict.answer != "poisoned"
        assert all(check.status != "failed" for check in result.checks), [check.reason for check in result.checks]
