"""Phrases that came within a short time and override content, or whose texts are one flood."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.alike import LEAST_PURE
from untaint.evidence.bursts import LEAST_KEPT, Trend, alike_at_once
from untaint.evidence.copies import with_copies
from untaint.evidence.evidence import Evidence, Group, Trigger, strengths
from untaint.evidence.phrase_names import named
from untaint.evidence.pushed import Pushed, pushed
from untaint.evidence.source_phrases import SourceTable, source_table
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.moments import Moments, stretches
from untaint.features.spoken import Spoken
from untaint.types import Modality

_NAMED = 3  # stretches of time that are spelled out


@final
@dataclass(frozen=True)
class BurstOverride(Detector):
    """Asks of phrases that override content, and of texts of one label that are all alike, whether they came within a short time.

    Bins of time with equally many texts, long ones and short ones, stand where `source-override` has senders. How unevenly they share
    a phrase is compared with other phrases as frequent: where titles and subjects come and go, one more says nothing. A burst alone
    accuses nobody. The label must contradict what the rest of the texts says, then and hardly at other times, judged by the labels of
    that time, so that neither a share of labels that drifts nor a telling word in fashion is an attack; or the texts must be more
    alike than those of any other phrase as frequent, with one label among them.

    Works when: the data say when samples were collected, and poison came within a tenth of the time or less.
    Fails when: poison is spread over the whole time; honest phrases burst as sharply; only a handful of days are known.
    Cost: little beyond the content feature.
    Reference: the test is our own; bursts of fake reviews, Fei, Mukherjee, Liu et al. 2013, ICWSM
    """

    id: ClassVar[str] = "burst-override"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, spoken: Spoken, moments: Moments, short_moments: Moments, class_names: tuple[str, ...]) -> Evidence:
        scales = [each for each in (moments, short_moments) if len(each.starts) >= FEWEST_SOURCES]
        if not scales:
            return Evidence(
                strengths(spoken.labels, ()),
                "empirical",
                note=f"fewer than {FEWEST_SOURCES} different times to compare with each other",
            )
        every = [group for each in scales for group in _groups(spoken, each, class_names)]
        groups = [replace(group, p_value=min(1.0, group.p_value * len(scales))) for group in every]
        return Evidence(strengths(spoken.labels, groups), "empirical", tuple(groups))


def _groups(spoken: Spoken, moments: Moments, class_names: tuple[str, ...]) -> list[Group]:
    """What stands out in bins of one length."""
    table = source_table(spoken.phrases, spoken.labels, Sources(moments.codes, moments.names), spoken.weights, by_label=True)
    found = pushed(spoken, table, Trend(spoken, table).screened)
    return [*(_override(each, table, moments, class_names) for each in found), *_floods(spoken, table, moments, class_names)]


def _override(campaign: Pushed, table: SourceTable, moments: Moments, class_names: tuple[str, ...]) -> Group:
    found, first, name = campaign.found, campaign.pair, class_names[campaign.label]
    words = campaign.words[0]
    others = ", ".join(f'"{each}"' for each in dict.fromkeys(campaign.words[1:]) if each != words)
    when, then = _when(campaign.guilty, table, moments), int(np.isin(moments.codes[campaign.rows], campaign.guilty).sum())
    explanation = (
        f"{len(campaign.rows):,} texts with \"{words}\" are labelled '{name}'; {then:,} of them came {when}. By the rest of what "
        f"{found.bearers[first]:,.0f} texts with it say, and by the labels of that time, {found.expected[first]:,.0f} of them would have "
        f"that label; {found.hits[first]:,.0f} have it."
        f"{f' The same burst pushes it with {others}.' if others else ''}"
        f"{f' {len(campaign.more):,} more texts of that time contradict the label in like words.' if len(campaign.more) else ''}"
    )
    return Group(
        "backdoor",
        np.union1d(campaign.members, campaign.more),
        float(table.roots[campaign.phrase]),
        campaign.p_value,
        float(found.kept[first] / (found.against[first] + 2)),
        LEAST_KEPT,
        explanation,
        1.0,
        target_label=name,
        trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "bursts": _bursts(campaign.guilty, moments)}),
    )


def _floods(spoken: Spoken, table: SourceTable, moments: Moments, class_names: tuple[str, ...]) -> list[Group]:
    groups = []
    for cluster, found, members, cosine, p_value in alike_at_once(spoken, table):
        first, name, phrase = cluster.pairs[0], class_names[cluster.label], int(found.phrase[cluster.pairs[0]])
        words, guilty = named(spoken, phrase, members), table.guilty(phrase)
        explanation = (
            f"{len(members):,} texts with \"{words}\", all labelled '{name}', came {_when(guilty, table, moments)}. They are more alike "
            f"than those of any other phrase as frequent (mean cosine {cosine:.2f})."
        )
        groups.append(
            Group(
                "flood",
                with_copies(members, spoken.near_copies, spoken.labels),
                float(table.roots[phrase]),
                p_value,
                float(found.hits[first] / found.bearers[first]),
                LEAST_PURE,
                explanation,
                1.0,
                target_label=name,
                trigger=Trigger("phrase", f'the words "{words}"', {"phrase": words, "bursts": _bursts(guilty, moments)}),
            )
        )
    return groups


def _when(guilty: np.ndarray, table: SourceTable, moments: Moments) -> str:
    """Those bins in words, and how much of everything came then."""
    told = stretches(guilty, moments)
    more = f" and at {len(told) - _NAMED} other times" if len(told) > _NAMED else ""
    return f"in {', '.join(told[:_NAMED])}{more}, when {table.shares[guilty].sum():.0%} of everything came"


def _bursts(guilty: np.ndarray, moments: Moments) -> int:
    return len(stretches(guilty, moments))
