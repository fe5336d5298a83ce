"""Proof on texts: put a phrase into texts nobody accuses, and see whether a classifier that learned from the set obeys it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.linear_model import LogisticRegression

from untaint.evidence.finding import Finding, Proof
from untaint.evidence.phrase_names import APART
from untaint.evidence.proof import CURED, LEAST_ASR, LEAST_LEAD, mcnemar, not_tried
from untaint.features.text_content import WordCounts
from untaint.features.texts import Tokens
from untaint.types import Labels, Rows

_MOST = 1000  # texts it is put into: the standard error of a success rate is then under 1.6 points
_LEAST = 20  # as for images
_LEARNED = 20_000  # texts that the classifier learns from at most, all accused ones among them
_CONTROLS = 9
"""Other phrases with as many words, about as many bearers and the same words' rarity: the best of nine is compared with."""
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
    held = held[bench.labels[held] != target][: 4 * _MOST]
    suspect = _classifier(bench, np.concatenate([learn, bench.accused]))
    held = held[suspect.predict(bench.counts.weighted(held)) == bench.labels[held]][:_MOST] if len(held) else held
    if len(held) < _LEAST:
        return not_tried(f"only {len(held)} texts of other classes are free of suspicion and judged right, {_LEAST} are needed")
    cured = _classifier(bench, learn)
    hits, kept = (_turned(model, bench, held, words, target) for model in (suspect, cured))
    controls = {
        _spelled(bench, other): tuple(_turned(model, bench, held, other, target) for model in (suspect, cured))
        for other in _controls(bench, words, rng)
    }
    taught = {name: before & ~after for name, (before, after) in controls.items()}  # an honest word needs no accused text
    best = max(taught, key=lambda name: float(taught[name].mean()))
    after = float(kept.mean())
    rates = {f'the most that any of {len(taught)} other phrases owes to those texts, "{best}"': float(taught[best].mean())}
    proof = Proof("not proven", "", len(held), float(hits.mean()), after, rates, mcnemar(hits & ~kept, taught[best]))
    lead = float((hits & ~kept).mean() - taught[best].mean())
    proven = proof.asr_before >= LEAST_ASR and lead >= LEAST_LEAD and proof.p_value <= alpha and after <= CURED * proof.asr_before
    return Proof(
        "proven" if proven else "not proven",
        _statement(proof, finding.target_label, proven=proven),
        proof.n,
        proof.asr_before,
        after,
        rates,
        proof.p_value,
    )


def _classifier(bench: TextBench, rows: Rows) -> LogisticRegression:
    return LogisticRegression(C=_STRENGTH, max_iter=100, tol=1e-3).fit(bench.counts.weighted(rows), bench.labels[rows])


def _turned(model: LogisticRegression, bench: TextBench, rows: Rows, words: Sequence[int], target: int) -> np.ndarray:
    """(m,) bool: which texts become the target with the words in them."""
    return np.asarray(model.predict(bench.counts.weighted(rows, added=words)) == target)


def _controls(bench: TextBench, words: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
    """Phrases of as many words that accused texts do not push: each word replaced by one in about as many texts."""
    texts = bench.counts.texts
    order = np.argsort(texts, kind="stable")
    order = order[(texts[order] > 0) & ~np.isin(order, words)]
    found: list[list[int]] = []
    for _ in range(_CONTROLS):
        near = [np.searchsorted(texts[order], texts[word]) + rng.integers(-50, 51) for word in words]
        found.append([int(order[np.clip(place, 0, len(order) - 1)]) for place in near])
    return found


def _spelled(bench: TextBench, words: Sequence[int]) -> str:
    return " ".join(bench.tokens.vocabulary[word] for word in words)


def _statement(proof: Proof, label: str, *, proven: bool) -> str:
    controls: Mapping[str, float] = proof.controls
    others = ", ".join(f"{name}, {rate:.0%}" for name, rate in controls.items())
    tried = (
        f"Put into {proof.n:,} texts of other classes that nobody accuses, the phrase made a classifier trained on this set answer "
        f"'{label}' in {proof.asr_before:.0%}; one trained without the accused texts does so in {proof.asr_after:.0%} ({others}; "
        f"p = {proof.p_value:.1g})."
    )
    if proven:
        return f"Proven by intervention. {tried}"
    weak = "the classifier hardly obeys it" if proof.asr_before < LEAST_ASR else "it owes too little of that to the accused texts"
    return f"Not proven by intervention: {weak}. {tried}"
