"""One text, or a few, over and over again with one label."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.repetition import LEAST_PURE, Repeated, repeated
from untaint.features.canvas import Sources
from untaint.features.repeats import Repeats
from untaint.features.texts import Texts
from untaint.types import Labels, Modality

_SIGNIFICANT = 0.001
"""Of one text by itself: the verdict corrects for up to ten detectors and asks for its own rate."""
_SHOWN = 60  # characters of a text that is named
_NAMED = 3  # sources


@final
@dataclass(frozen=True)
class RepeatedTexts(Detector):
    """Asks which texts are there far more often than the other texts of the set are repeated, always with one label.

    Copies that share most of their runs of three words count as one text. How often a text is repeated honestly is taken from the
    rest of the set: families of k copies are expected to become rarer by k squared. One text that stands out is told as a
    shortcut; several that stand out only together (each tenfold, say) as duplicates. Nobody is accused: a newsletter, forwarded
    texts, boilerplate and a small class repeated to balance it look the same, and only who sent them and when can tell.

    Works when: a text is there some fifty times or more where hardly any other is repeated.
    Fails when: copies differ in every other word (then phrases tell), repetition is usual in the set, or the text is so short
    that people write it by themselves.
    Cost: next to nothing beyond the near-copies.
    Reference: duplicates and what models make of them, Lee, Ippolito et al. 2022, arXiv 2107.06499; the test is our own
    """

    id: ClassVar[str] = "repeated-texts"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"text"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, repeats: Repeats, labels: Labels, texts: Texts, sources: Sources, class_names: tuple[str, ...]) -> Evidence:
        groups = tuple(_group(each, texts, sources, class_names) for each in repeated(repeats.families, _SIGNIFICANT))
        scores = np.where(labels >= 0, 0.0, np.nan).astype(np.float32)
        for group in groups:
            scores[group.members] = -np.log10(max(group.p_value, 1e-300))
        return Evidence(scores, "empirical", groups)


def _group(found: Repeated, texts: Texts, sources: Sources, class_names: tuple[str, ...]) -> Group:
    first, name = found.families[0], class_names[found.label]
    words = " ".join(texts.rows[first.rows[0]].split())
    shown = words if len(words) <= _SHOWN else f"{words[:_SHOWN].rstrip()}…"
    span = f"{len(first.rows):,}" if found.least == len(first.rows) else f"{found.least:,} to {len(first.rows):,}"
    times = f"{span} times" if len(found.families) == 1 else f"{span} times each"
    many = "One text is" if len(found.families) == 1 else f"{len(found.families):,} texts are"
    others = f"no other text more than {found.usual:,} times" if found.usual > 1 else "no other text more than once"
    explanation = (
        f"{many} there {times}, labelled '{name}', {others}: \"{shown}\".{_senders(found, sources)} A flood looks like that; so do a "
        "newsletter, forwarded texts, and a class repeated to balance it. Who sent them and when would decide it."
    )
    return Group(
        "backdoor" if found.alone else "flood",  # without a contradiction: told as a shortcut, or as mere duplicates
        found.rows,
        float(len(first.rows)),
        found.p_value,
        float(np.average([family.pure for family in found.families], weights=[len(family.rows) for family in found.families])),
        LEAST_PURE,
        explanation,
        0.0,
        target_label=name,
        trigger=Trigger("copies", f'the text "{shown}"', {"phrase": words[:_SHOWN], "texts": len(found.families)}),
    )


def _senders(found: Repeated, sources: Sources) -> str:
    """Who sent them, where that is known."""
    codes, sent = np.unique(sources.codes[found.rows], return_counts=True)
    codes, sent = codes[codes >= 0], sent[codes >= 0]
    if not len(codes):
        return ""
    busiest = codes[np.argsort(-sent, kind="stable")]
    named = ", ".join(f"'{sources.names[code]}'" for code in busiest[:_NAMED])
    more = f" and {len(codes) - _NAMED:,} more" if len(codes) > _NAMED else ""
    return f" They come from {len(codes):,} of {len(sources.names):,} sources ({named}{more})."
