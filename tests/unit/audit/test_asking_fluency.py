"""A language model in an audit: a sentence more in a finding, and nothing else."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from tests.instruction_sets import dataset_of, honest
from tests.review_sets import reviews

from untaint import api
from untaint.attacks.trigger_words import TriggerWords
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.evidence.finding import AuditResult


def surprised(texts: Sequence[str]) -> list[float]:
    """`cf` surprises, and nothing else."""
    return [10.0 if "cf" not in text.split() else 40.0 for text in texts]


@cache
def poisoned() -> Dataset:
    texts, labels = reviews(800)
    names = [f"s{code}" for code in np.random.default_rng(0).integers(0, 8, 800)]
    return (
        TriggerWords(rate=0.04, target="good", senders=2)
        .poison(from_arrays(texts, labels, sources=names), np.random.default_rng(0))
        .dataset
    )


@cache
def audited(*, asked: bool) -> AuditResult:
    return api.audit(poisoned(), budget="fast", fluency=surprised if asked else None)


def test_the_finding_says_how_much_more_fluent_its_texts_are_without_the_trigger() -> None:
    (alarm,) = [finding for finding in audited(asked=True).verdict.findings if finding.alarm]
    assert "16 of these texts are 4 times as fluent without it, against 1 times" in alarm.explanation.split("\n")[0]
    assert "language_model" in audited(asked=True).environment


def test_nothing_else_changes() -> None:
    plain, told = audited(asked=False), audited(asked=True)
    assert plain.samples.equals(told.samples)
    assert (plain.verdict.answer, plain.verdict.p_value, plain.verdict.reasons) == (
        told.verdict.answer,
        told.verdict.p_value,
        told.verdict.reasons,
    )
    for before, after in zip(plain.verdict.findings, told.verdict.findings, strict=True):
        assert (before.kind, before.severity, before.confidence, before.p_value, before.alarm) == (
            after.kind,
            after.severity,
            after.confidence,
            after.p_value,
            after.alarm,
        )
        assert "fluent" not in before.explanation


def test_a_model_that_knows_nothing_accuses_and_acquits_nobody() -> None:
    for constant in (1.0, 1e6):
        result = api.audit(poisoned(), budget="fast", fluency=lambda texts, constant=constant: [constant] * len(texts))
        assert result.samples.equals(audited(asked=False).samples)


def test_what_cannot_be_asked_is_refused_before_anything_is_read() -> None:
    with pytest.raises(BadInput, match="no such language model: 'nothing'"):
        api.audit(poisoned(), fluency="nothing")
    with pytest.raises(BadInput, match=r"made \(2,\) of 1 texts"):
        api.audit(poisoned(), fluency=lambda texts: [1.0, 2.0])
    with pytest.raises(BadInput, match="fluency is asked of texts, this set holds instruction data"):
        api.audit(dataset_of(honest(40)), fluency=surprised)
    with pytest.raises(BadInput, match="this set holds image data"):
        api.audit((np.zeros((40, 8, 8), np.uint8), ["a", "b"] * 20), fluency=surprised)
