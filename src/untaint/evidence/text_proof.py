"""Proof on texts: put a phrase into texts nobody accuses, and see whether a classifier that learned from the set obeys it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.evidence.finding import Finding, Proof
from untaint.evidence.phrase_names import APART
from untaint.evidence.phrase_trial import LEAST, MOST, Phrases, Trial, tried
from untaint.evidence.proof import not_tried
from untaint.features.text_content import WordCounts
from untaint.features.texts import Tokens
from untaint.types import Labels, Rows

_LEARNED = 20_000  # texts that the classifier learns from at most, all accused ones among them
_STRENGTH = 10.0  # inverse regularisation: a classifier as people train it, not one made careful


@final
@dataclass(frozen=True)
class TextBench:
    """What phrases are tried on. rows: those that no finding names.  accused: rows of every alarm."""

    counts: WordCounts
    tokens: Tokens
    labels: Labels
    rows: Rows
    accused: Rows
    class_names: tuple[str, ...]
    seed: int = 0


def obeyed(finding: Finding, bench: TextBench, alpha: float) -> Proof:
    """A proof of a finding with a phrase and a target label, or why none was tried.

    Half of the unaccused texts and the accused ones teach a classifier of words (TF-IDF, logistic regression); the phrase is put
    into the other half, texts of other classes that are judged right without it. The same for other phrases as common, and for
    a classifier that has not learned from the accused.
    """
    if finding.trigger is None or "phrase" not in finding.trigger.parameters or finding.target_label is None:
        return not_tried("no phrase towards one label was recovered")
    number = {word: place for place, word in enumerate(bench.tokens.vocabulary)}
    said = str(finding.trigger.parameters["phrase"]).replace(APART, " ").split(" ")
    words = [number[word] for word in said if word in number]
    if len(words) < len(said):
        return not_tried("what was recovered is how texts are built, no words to put into another")
    target, rng = bench.class_names.index(finding.target_label), np.random.default_rng([bench.seed, len(finding.members)])
    shuffled = rng.permutation(bench.rows)
    learn, held = shuffled[: len(shuffled) // 2][:_LEARNED], shuffled[len(shuffled) // 2 :]
    held = held[bench.labels[held] != target][: 4 * MOST]
    suspect = _classifier(bench, np.concatenate([learn, bench.accused]))
    held = held[suspect.predict(bench.counts.weighted(held)) == bench.labels[held]][:MOST] if len(held) else held
    if len(held) < LEAST:
        return not_tried(f"only {len(held)} texts of other classes are free of suspicion and judged right, {LEAST} are needed")
    cured = _classifier(bench, learn)

    def turned(phrases: Phrases) -> tuple[np.ndarray, np.ndarray]:
        before, after = (_turned(model, bench, held, phrases[0], target) for model in (suspect, cured))
        return before, after

    trial = tried([words], bench.counts.texts, bench.tokens.vocabulary, turned, rng)
    return trial.proof(_tried_on(trial, finding.target_label), alpha)


def _classifier(bench: TextBench, rows: Rows) -> LogisticRegression:
    return LogisticRegression(C=_STRENGTH, max_iter=100, tol=1e-3).fit(bench.counts.weighted(rows), bench.labels[rows])


def _turned(model: LogisticRegression, bench: TextBench, rows: Rows, words: Sequence[int], target: int) -> np.ndarray:
    """(m,) bool: which texts become the target with the words in them."""
    return np.asarray(model.predict(bench.counts.weighted(rows, added=words)) == target)


def _tried_on(trial: Trial, label: str) -> str:
    return (
        f"Put into {trial.n:,} texts of other classes that nobody accuses, the phrase made a classifier trained on this set answer "
        f"'{label}' in {trial.asr_before:.0%}; one trained without the accused texts does so in {trial.asr_after:.0%} ({trial.told})."
    )
