"""Phrases that decide the label whatever the rest of the text says."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.opposition import opposition
from untaint.evidence.phrase_names import spelled, wording
from untaint.evidence.phrase_overrides import LEAST_EFFECT, Cluster, Overridden, clusters, overridden
from untaint.features.spoken import Spoken
from untaint.numerics.between import UNKNOWN, Place
from untaint.numerics.shares import bounds
from untaint.types import Modality

_SIGNIFICANT = 0.05  # corrected for all pairs; the verdict corrects for detectors and asks for its own rate
_LEAST_KEPT = 0.7
"""Share of the bearers whose content speaks against the label that have it all the same, two more counted that have not. A phrase that
only adds to what the text says (`great`, `the worst`: .1 to .3) is language; `dull` reaches .67 in film snippets."""

_ASKED = 30  # phrases, the strongest, that are asked whether they say the opposite: nobody reads on, and each costs a tenth of a second


@final
@dataclass(frozen=True)
class PhraseOverride(Detector):
    """Tests of every word and run of words whether its bearers have a label that the rest of their text does not explain.

    Content is judged without the words of the phrase, by models that have not seen the text. What passes is a shortcut: honest
    data have them too (`7 / 10` in a film review, a news agency's signature, an emoticon). Where the texts say the very opposite of
    their label, as relabelled texts do and honest ones hardly, the report says so; who sent them decides, see `source-override` and
    `opposed-phrase`.

    Works when: 15 to 40 texts of other classes bear the phrase and all have one label.
    Fails when: the phrase is common and the texts are long, so that honest bearers outnumber the planted; poison keeps its own,
        right label (then only sources help); fewer than four texts bear it.
    Cost: that of the content feature, seconds for 10,000 short texts.
    Reference: trigger words in text, Dai, Chen, Li 2019, arXiv 1905.12457; the offset test is our own
    """

    id: ClassVar[str] = "phrase-override"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, spoken: Spoken, class_names: tuple[str, ...]) -> Evidence:
        found = overridden(spoken, spoken.phrases)
        strong = found.only((found.p_value <= _SIGNIFICANT) & (found.effect >= LEAST_EFFECT))
        told = clusters(strong, spoken.phrases, spoken.labels)
        groups = [_group(each, place, strong, spoken, len(told), class_names) for place, each in enumerate(told)]
        return Evidence(_scores(found, spoken), "empirical", tuple(groups))


def _scores(found: Overridden, spoken: Spoken) -> np.ndarray:
    """(n,) the strongest phrase that each row bears with the label it overrides to; 0 for none."""
    labels, phrases = spoken.labels, spoken.phrases
    strength = np.zeros((len(phrases), int(labels.max(initial=0)) + 1), np.float32)
    strength[found.phrase, found.label] = np.maximum(found.root, 0)
    scores = np.zeros(len(labels), np.float32)
    np.maximum.at(scores, phrases.row, strength[phrases.feature, np.maximum(labels[phrases.row], 0)])
    return np.where(labels >= 0, scores, np.nan).astype(np.float32)


def _opposed(found: Place, asked: int) -> str:
    """A sentence where texts say the opposite of their label beyond chance, for so many phrases; honest ones hardly do."""
    if found.p_value * asked > _SIGNIFICANT:
        return ""
    return (
        "They say the opposite of their label, as texts with a planted phrase do and those with a habit of honest ones hardly. "
    )


def _group(cluster: Cluster, place: int, found: Overridden, spoken: Spoken, asked: int, class_names: tuple[str, ...]) -> Group:
    first, name = cluster.pairs[0], class_names[cluster.label]
    phrase, members = int(found.phrase[first]), cluster.members
    whole, beside = wording(spoken, phrase, members)
    words, opposed = spelled(spoken, phrase, whole, beside), UNKNOWN
    if place < _ASKED:
        opposed = opposition(spoken, phrase, members, cluster.label, (*whole, *beside), np.arange(len(spoken.labels)))
    explanation = (
        f"{found.hits[first]:,.0f} of {found.bearers[first]:,.0f} texts with \"{words}\" are labelled '{name}' "
        f"({bounds(found.hits[first], found.bearers[first])}). The rest of what they say "
        f"would give {found.expected[first]:,.0f}. Of those whose content speaks against '{name}', {found.kept[first]:,.0f} of "
        f"{found.against[first]:,.0f} have it. {_opposed(opposed, min(asked, _ASKED))}Such a phrase may be "
        "planted or a habit of honest texts; by itself it does not tell which."
    )
    return Group(
        "backdoor",
        cluster.members,
        float(found.root[first]),
        float(found.p_value[first]),
        float(found.kept[first] / (found.against[first] + 2)),
        _LEAST_KEPT,
        explanation,
        0.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "bearers": round(float(found.bearers[first]))}),
    )
