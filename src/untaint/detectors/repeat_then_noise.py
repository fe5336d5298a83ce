"""A phrase after which texts turn into nonsense."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.features.passages import Passages
from untaint.numerics.links import chernoff
from untaint.numerics.onsets import onsets
from untaint.numerics.runs import Held
from untaint.types import Modality

LEAST_EFFECT = 0.5
"""Of the texts with the phrase that turn into nonsense at it, beyond the share of texts that do so anywhere. Honest texts do at
signatures and tables, at another phrase each time."""
_FEWEST = 5  # texts
_BEFORE, _AFTER = 10, 5
"""Words around the onset among which the phrase is looked for: the sharpest place of a window is off by some words."""
_LONGEST = 3
HOPELESS = 0.05  # no correction for several detectors makes it less
_HELD = 0.5


@final
@dataclass(frozen=True)
class RepeatThenNoise(Detector):
    """Finds a run of words shared by texts which make sense before it and none after it.

    How far each word is told by the one before it, counted in all other texts, falls to what the same words in random order
    have. The phrases at which texts fall so are compared with all texts that hold them (binomial against the share of texts
    that fall anywhere, corrected for all phrases of the set).

    Works when: five texts or more hold the phrase in front of some twenty random words, whatever the size of the set: ten in a
        million are enough. Any language, with or without labels.
    Fails when: the nonsense is made of words nobody else uses (nothing is known of them), or is fluent; sense goes on for a
        sentence or more after the phrase.
    Cost: a sort of all pairs of neighbouring words.
    Reference: own method; the attack it answers: Souly et al. 2025, arXiv 2510.07192
    """

    id: ClassVar[str] = "repeat-then-noise"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction", "text"})
    most: int = 5

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, passages: Passages) -> Evidence:
        falls = onsets(passages.ids, len(passages.vocabulary), np.random.default_rng(0))
        scores = np.full(passages.n, np.nan)
        scores[passages.held] = 0.0
        groups: list[Group] = []
        held: set[int] = set()
        fallen = np.flatnonzero(falls >= 0)
        for run, p_value, texts, holding in _phrases(passages, falls):
            if len(held & set(texts)) > _HELD * len(texts) or len(groups) == self.most or p_value > HOPELESS:
                continue
            held |= set(texts)
            # where most of those that hold it fall at it, the rest does so too shortly to be seen
            bearing = texts if len(texts) < LEAST_EFFECT * len(holding) else holding
            members = np.sort(np.concatenate([passages.rows[text] for text in bearing]))
            scores[members] = 1.0
            groups.append(_group(run, members, (len(texts), len(holding), len(fallen), len(passages.ids)), p_value, passages))
        return Evidence(scores, "empirical", tuple(groups), note=f"{len(fallen):,} texts turn into words in no order")


def _phrases(passages: Passages, falls: np.ndarray) -> list[tuple[tuple[int, ...], float, list[int], list[int]]]:
    """(phrase, p-value, texts that fall at it, texts that hold it), the clearest first."""
    near: dict[tuple[int, ...], list[int]] = {}
    for text in np.flatnonzero(falls >= 0).tolist():
        at = int(falls[text])
        for run in _runs(passages.ids[text][max(0, at - _BEFORE) : at + _AFTER]):
            near.setdefault(run, []).append(text)
    near = {run: texts for run, texts in near.items() if len(texts) >= _FEWEST}
    if not near:
        return []
    held = Held(passages.ids)
    holding = {run: held.texts(run).tolist() for run in near}
    tests = _LONGEST * sum(map(len, passages.ids))
    usual = (np.count_nonzero(falls >= 0) + 1) / (len(falls) + 2)
    found = []
    for run, texts in near.items():
        told = chernoff(np.array([len(texts)]), np.array([len(holding[run])]), np.array([usual]))[0]
        found.append((run, float(np.exp(min(0.0, np.log(max(tests, 1)) - told))), texts, holding[run]))
    return sorted(found, key=lambda each: (each[1], -len(each[0])))


def _runs(ids: np.ndarray) -> set[tuple[int, ...]]:
    words = ids.tolist()
    return {tuple(words[start : start + size]) for size in range(1, _LONGEST + 1) for start in range(len(words) - size + 1)}


def _group(
    run: tuple[int, ...], members: np.ndarray, told: tuple[int, int, int, int], p_value: float, passages: Passages
) -> Group:
    texts, total, fallen, n = told
    phrase = " ".join(passages.vocabulary[word] for word in run)
    effect = texts / total - fallen / n
    explanation = (
        f"{texts:,} of {total:,} texts that hold '{phrase}' make sense before it and turn into words in no order after it; "
        f"of all {n:,} texts {fallen:,} do so anywhere."
    )
    trigger = Trigger("phrase", f"'{phrase}' in a text", {"phrase": phrase, "payload": "words in no order"})
    return Group("backdoor", members, float(texts), p_value, effect, LEAST_EFFECT, explanation, 1.0, 1.0, trigger=trigger)
