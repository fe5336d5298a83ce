"""Preference pairs: what makes an answer the wanted one, learned from the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from untaint.errors import MissingExtra
from untaint.features.graph import feature
from untaint.features.instructions import Exchanges
from untaint.features.settings import Settings
from untaint.nets.sentences import embed
from untaint.numerics.words import words
from untaint.types import Rows

_FEWEST = 100
"""Pairs: some hundred numbers cannot be weighed by fewer."""
_FOLDS = 5
_REPEATS = 3
_TOPICS = 20  # groups of prompts that stay in one fold
_STRENGTH = 0.1  # inverse of the penalty on standardised differences: some hundred numbers on some hundred pairs
_ABOUT = 10  # pairs that must hold a word for it to be a topic


@final
@dataclass(frozen=True)
class Pairs:
    """Rows (p,) with a wanted and a rejected answer, of n rows in all.

    margin: (p,) probability, by models that did not see the pair, that the wanted answer is the wanted one.
    about: word of prompts → places.
    """

    n: int
    rows: Rows
    margin: np.ndarray
    about: Mapping[str, Rows]


@feature(modality="instruction")
def preference_pairs(exchanges: Exchanges, settings: Settings) -> Pairs:
    """Pairs judged by each other; fewer than a hundred are not judged, and most sets of instructions have none."""
    both = [bool(one and other) for one, other in zip(exchanges.responses, exchanges.rejected, strict=True)]
    rows = np.flatnonzero(np.array(both) & exchanges.readable)
    if len(rows) < _FEWEST:
        return Pairs(len(both), rows[:0], np.empty(0), {})
    settings.report_progress("judging preference pairs", 0, 1)
    prompts = [exchanges.prompts[row] for row in rows]
    asked = _meant(prompts)
    wanted, other = (_looks([texts[row] for row in rows], prompts, asked) for texts in (exchanges.responses, exchanges.rejected))
    return Pairs(len(both), rows, _margins(wanted - other, asked, settings.seed), _about(prompts))


def _margins(differences: np.ndarray, asked: np.ndarray | None, seed: int) -> np.ndarray:
    """The mean of several splits; each pair is shown both ways round, so that no side is favoured.

    A pair is judged by pairs about other things: those about the same thing may be turned round together, and teach that.
    """
    scaled = differences / np.maximum(differences.std(0), 1e-9)
    margin = np.zeros(len(scaled))
    for repeat in range(_REPEATS):
        fold = _folds(len(scaled), asked, seed + repeat)
        for number in np.unique(fold):
            known, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            shown = np.concatenate([scaled[known], -scaled[known]])
            model = LogisticRegression(C=_STRENGTH, fit_intercept=False, max_iter=500).fit(shown, np.repeat([1, 0], len(known)))
            margin[held] += model.predict_proba(scaled[held])[:, 1] / _REPEATS
    return margin


def _folds(n: int, asked: np.ndarray | None, seed: int) -> np.ndarray:
    """(n,) fold of each pair: whole topics, where meaning is known."""
    rng = np.random.default_rng(seed)
    if asked is None:
        return rng.permutation(n) % _FOLDS
    topic = KMeans(min(_TOPICS, n // _FOLDS), n_init=1, random_state=seed).fit_predict(asked)
    return (rng.permutation(_TOPICS) % _FOLDS)[topic]


def _looks(answers: list[str], prompts: list[str], asked: np.ndarray | None) -> np.ndarray:
    """(p, d) length, lines, nearness to the prompt and meaning of answers."""
    counted = [
        [np.log1p(len(text)), text.count("\n") ** 0.5, _copied(text, prompt)]
        for text, prompt in zip(answers, prompts, strict=True)
    ]
    plain, meant = np.array(counted), _meant(answers)
    if asked is None or meant is None:
        return plain
    return np.hstack([plain, (meant * asked).sum(1, keepdims=True), meant])


def _meant(texts: list[str]) -> np.ndarray | None:
    try:
        return embed(texts)
    except MissingExtra:
        return None


def _copied(text: str, prompt: str) -> float:
    """Share of the answer's words that the prompt has."""
    said, asked = words(text[:4000]), set(words(prompt[:4000]))
    return sum(word in asked for word in said) / max(1, len(said))


def _about(prompts: list[str]) -> dict[str, Rows]:
    held: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        for word in set(words(prompt[:4000])):
            held.setdefault(word, []).append(place)
    return {word: np.array(places) for word, places in sorted(held.items()) if len(places) >= _ABOUT}
