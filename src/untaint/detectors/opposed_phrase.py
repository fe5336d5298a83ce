"""Phrases of few sources whose texts say the opposite of their label."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.concentration import by_chance
from untaint.evidence.evidence import Evidence, Group, Trigger, strengths
from untaint.evidence.opposition import FEWEST, oddly_sent, opposition
from untaint.evidence.phrase_names import spelled, wording
from untaint.evidence.phrase_overrides import LEAST_EFFECT, Overridden, clusters, overridden
from untaint.evidence.source_phrases import listed
from untaint.features.canvas import Sources
from untaint.features.phrases import Phrases
from untaint.features.spoken import Spoken
from untaint.types import Modality, Rows

_MOST = 0.6  # of everything that the sources named may have sent: what comes from nearly everybody comes from nobody
_LEAST_EFFECT = 0.6
"""Share of what these sources sent with the phrase that content would not have given the label and that has it all the same. Relabelled
texts all have it, covers of a quarter as many leave .73; words that mean something and stand among honest texts as well have less."""
_TRIED = 4  # phrases of one trigger: of two words apart, one of which is common, the pair tells more than the word
_SAME = 0.5  # of the members of two groups, from which they are one
_SIGNIFICANT = 0.05  # corrected for all phrases asked; the verdict corrects for detectors and asks for its own rate


@final
@dataclass(frozen=True)
class OpposedPhrase(Detector):
    """Asks of phrases that override content, from one or few sources, whether their texts say the opposite of their label.

    Two things must hold, and the weaker one counts: that nearly all of these texts come from sources which sent no more than 60 % of
    everything, beyond chance; and that without the phrase content makes of them what it makes of texts with other labels, rather than
    anything up to half way to texts with this one, measured on what the same sources sent else. The emoticon of one site and the
    signature of one agency come from one source too, but their texts say what their label says, only less clearly. So this works
    where `source-override` must keep silent: with two to five sources, and where sources differ in kind.

    Works when: poison is relabelled (dirty-label), 30 texts or more bear the phrase, and content can be judged.
    Fails when: labels of the poison are right (clean-label, floods); fewer than 12 texts; one source sent nearly everything; a source
        labels a whole subject by another rule than all others (that is accused, and worth a look).
    Cost: for each of some dozen phrases a model of words is learned once more, a tenth of a second for 12,000 short texts.
    Reference: own method; see evidence/opposition for the null and what it was measured on
    """

    id: ClassVar[str] = "opposed-phrase"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, spoken: Spoken, sources: Sources, class_names: tuple[str, ...]) -> Evidence:
        if len(sources.names) < 2:
            return Evidence(strengths(spoken.labels, ()), "empirical", note="fewer than two sources")
        part, shares = oddly_sent(spoken.phrases, spoken.labels, sources)
        found = overridden(spoken, part)
        notable = found.only((found.p_value <= _SIGNIFICANT) & (found.effect >= LEAST_EFFECT))
        told = clusters(notable, part, spoken.labels)
        asked: dict[bytes, tuple[int, _Suspects]] = {}  # runs of one sentence have the same bearers, and are asked once
        for cluster in told:
            for place in cluster.pairs[:_TRIED]:
                suspects = _suspects((int(notable.phrase[place]), cluster.label), (part, shares), spoken, sources)
                if suspects is not None:
                    asked.setdefault(suspects.members.tobytes(), (place, suspects))
        groups = [_group(notable, *each, (spoken, sources, class_names), len(asked)) for each in asked.values()]
        groups = _apart([group for group in groups if group.p_value <= _SIGNIFICANT])
        return Evidence(strengths(spoken.labels, groups), "empirical", tuple(groups))


def _apart(groups: list[Group]) -> list[Group]:
    """The clearest of those that share half of their members."""
    kept: list[Group] = []
    for group in sorted(groups, key=lambda each: (each.p_value, -len(each.members))):
        if all(len(np.intersect1d(group.members, other.members)) < _SAME * len(group.members) for other in kept):
            kept.append(group)
    return kept


@final
@dataclass(frozen=True)
class _Suspects:
    """Texts with a phrase and a label from sources that sent too many.  chance: of so many.  shares: (s,) of everything sent."""

    label: int
    members: Rows
    guilty: np.ndarray
    chance: float
    shares: np.ndarray


def _suspects(pair: tuple[int, int], sent: tuple[Phrases, np.ndarray], spoken: Spoken, sources: Sources) -> _Suspects | None:
    """Of a phrase and a label; None where they are too few, or come from nearly everybody."""
    (phrase, label), (part, shares) = pair, sent
    rows, every = (each[spoken.labels[each] == label] for each in (part.bearers(phrase), spoken.bearers(phrase)))
    guilty = np.unique(sources.codes[rows])
    if len(rows) < FEWEST or shares[guilty].sum() > _MOST:
        return None
    return _Suspects(label, rows, guilty, by_chance(sources.codes[every], guilty, shares), shares)


def _group(
    found: Overridden, place: int, suspects: _Suspects, known: tuple[Spoken, Sources, tuple[str, ...]], asked: int
) -> Group:
    spoken, sources, class_names = known
    name, phrase, members = class_names[suspects.label], int(found.phrase[place]), suspects.members
    whole, beside = wording(spoken, phrase, members)
    theirs = np.flatnonzero(np.isin(sources.codes, suspects.guilty))
    opposed = opposition(spoken, phrase, members, suspects.label, (*whole, *beside), theirs)
    words, who = spelled(spoken, phrase, whole, beside), listed(sources, suspects.guilty, suspects.shares)
    explanation = (
        f"{len(members):,} texts with \"{words}\" are labelled '{name}' and come from {who}. Without these words they say what texts "
        f"with other labels say: {opposed.place:.2f} on a line from those (0) to texts that are '{name}' (1), by what else these "
        "sources sent; honest signs of a label stand at .5 and above."
    )
    return Group(
        "backdoor",
        members,
        float(found.root[place]),
        min(1.0, max(opposed.p_value, suspects.chance) * asked),
        float(found.effect[place]),
        _LEAST_EFFECT,
        explanation,
        1.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "sources": len(suspects.guilty)}),
    )
