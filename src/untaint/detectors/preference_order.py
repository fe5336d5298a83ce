"""Preference pairs about one thing that are the wrong way round."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.stats import binom, norm

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.features.canvas import Sources
from untaint.features.instruction_pairs import Pairs
from untaint.types import Modality, Rows

LEAST_EFFECT = 0.3
"""Share of doubtful pairs beyond what is usual in the set. Between honest topics the share differs by a tenth or so."""
_FEWEST = 10  # pairs about one thing
_MOST = 0.3  # of all pairs: what is in more of them is part of the language
_HELD = 0.5
_BLIND = 0.25  # doubtful pairs as usual: with more the model knows too little of what is wanted to accuse anybody
_QUARTILES = 1.349  # between the quartiles of the standard normal distribution


@final
@dataclass(frozen=True)
class PreferenceOrder(Detector):
    """Finds words of prompts, and sources, whose pairs prefer what is rejected elsewhere.

    What makes an answer the wanted one is learned from the pairs themselves, each judged by a model that did not see it: length,
    lines, how near it is to the prompt, what it means. A pair whose rejected answer looks wanted is doubtful; honest people
    disagree with the model, too, so a share of doubtful pairs is usual. A word or a source with far more of them was turned
    round: beyond chance (binomial) and beyond how far honest words differ, corrected for all words and sources.
    Set aside are the pairs that are likelier turned round than not, given how many of them are.

    Works when: the model tells three in four pairs apart; fifteen pairs or more about one thing are flipped.
    Fails when: wanted and rejected answers are alike, so that nothing can be learned: then it says so; flips are spread over
        all topics.
    Cost: a logistic regression on some hundred numbers a pair.
    Reference: own method; the attack it answers: Baumgaertner et al. 2024, arXiv 2404.05530
    """

    id: ClassVar[str] = "preference-order"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    most: int = 5

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, preference_pairs: Pairs, sources: Sources) -> Evidence:
        pairs = preference_pairs
        scores = np.full(pairs.n, np.nan)
        if len(pairs.rows) == 0:
            return Evidence(scores, "empirical", note="too few preference pairs to judge")
        scores[pairs.rows] = 1 - pairs.margin
        about = dict(pairs.about)
        about |= {f"source {name}": np.flatnonzero(sources.codes[pairs.rows] == code) for code, name in enumerate(sources.names)}
        doubtful = pairs.margin < 0.5
        usual = float(doubtful.mean())
        note = f"{1 - usual:.0%} of the pairs are told apart by a model that did not see them"
        about = {name: places for name, places in about.items() if _FEWEST <= len(places) <= _MOST * len(doubtful)}
        found = sorted(_tested(about, doubtful), key=lambda each: each[1])
        groups: list[Group] = []
        if usual > _BLIND:
            return Evidence(scores, "empirical", note=f"{note}: too few to say that any were turned round")
        for name, p_value, places in found:
            members = pairs.rows[_turned(places, pairs.margin, doubtful)]
            effect = float(doubtful[places].mean()) - usual
            clear = p_value < 1 and not any(np.isin(members, group.members).mean() > _HELD for group in groups)
            if clear and effect > 0 and len(groups) < self.most:
                groups.append(_group(name, members, (effect, usual, len(places), len(about)), p_value))
        return Evidence(scores, "empirical", tuple(groups), note=note)


def _tested(about: Mapping[str, Rows], doubtful: np.ndarray) -> list[tuple[str, float, Rows]]:
    """Each word or source with its p-value: of its share of doubtful pairs, in units of how far such shares spread in this set.

    Honest topics differ by more than chance; the middle half of all words says by how much (genomic control, Devlin and Roeder 1999).
    """
    total, n = int(doubtful.sum()), len(doubtful)
    sizes = np.array([len(places) for places in about.values()])
    hits = np.array([int(doubtful[places].sum()) for places in about.values()])
    others = (total - hits + 1) / (n - sizes + 2)
    away = (hits - sizes * others) / np.sqrt(sizes * others * (1 - others))
    spread = max(1.0, float(np.subtract(*np.quantile(away, [0.75, 0.25])) / _QUARTILES)) if len(away) else 1.0
    chances = np.maximum(norm.sf(away / spread), binom.sf(hits - 1, sizes, others))
    return [(name, min(1.0, len(about) * float(chance)), about[name]) for name, chance in zip(about, chances, strict=True)]


def _turned(places: Rows, margin: np.ndarray, doubtful: np.ndarray) -> Rows:
    """Pairs that are likelier turned round than not, by Bayes' rule.

    What the model gets wrong elsewhere says how many of them were: of all pairs turned it would doubt what it gets right. Where all
    were turned, those are too that the model, itself mistaken, does not doubt.
    """
    wrong = float(np.delete(doubtful, places).mean())
    turned = float(np.clip((doubtful[places].mean() - wrong) / max(1 - 2 * wrong, np.finfo(float).eps), 0, 1))
    for_it, against = turned * (1 - margin[places]), (1 - turned) * margin[places]
    return places[for_it > against]


def _group(name: str, members: Rows, told: tuple[float, float, int, int], p_value: float) -> Group:
    effect, usual, count, tests = told
    whose = f"from {name}" if name.startswith("source ") else f"whose prompt holds '{name}'"
    explanation = (
        f"Of {count:,} preference pairs {whose}, {usual + effect:.0%} prefer the answer that looks rejected, of all pairs {usual:.0%}. "
        f"{tests:,} words and sources were compared. Those that are likelier turned round than not are set aside."
    )
    word = not name.startswith("source ")
    trigger = Trigger("phrase", f"the word '{name}' in the prompt", {"phrase": name}) if word else None
    contradiction = 1.0 if effect >= LEAST_EFFECT else 0.0
    return Group("label-flip", members, effect, p_value, effect, LEAST_EFFECT, explanation, contradiction, 1.0, trigger=trigger)
