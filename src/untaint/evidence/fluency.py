"""How much more fluent texts are without a trigger: what was put into a text by somebody else does not fit what stands around it.

It explains a trigger that another test has found, and decides nothing: names, slang and foreign words fit no better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.evidence.phrase_names import APART
from untaint.nets.language import Perplexity
from untaint.numerics.words import spans, words

TEXTS = 16
"""Of a finding: a pass of a small model takes .2 to .5 s, and one trigger is in all texts, so that few say as much as many."""
_AROUND = 30  # words kept on either side: what stands further away hardly changes, and costs as much
_CONTROLS = 2  # other spans of each text
_FEWEST = 5  # texts, under which a mean says little

Span = tuple[int, int]
"""First word and the one after the last."""


@final
@dataclass(frozen=True)
class Fluency:
    """n: texts compared.  gain: perplexity with the trigger over that without, geometric mean; control: the same of other spans.

    more: texts in which leaving out the trigger helps more than leaving out others.
    """

    n: int
    gain: float
    control: float
    more: int

    @property
    def statement(self) -> str:
        """In words."""
        return (
            f"To a language model that never saw this set, {self.n} of these texts are {self.gain:.2g} times as fluent without it, against "
            f"{self.control:.2g} times without as many other words of theirs, in {self.more} of {self.n} by more."
        )


def fluency(phrase: str, texts: Sequence[str], perplexity: Perplexity, rng: np.random.Generator) -> Fluency | str:
    """Compare up to `TEXTS` texts that hold the phrase, around it, with and without, or the reason why not.

    phrase: as in `Trigger.parameters`; parts that stand apart are all left out. Other spans are as many and as long, drawn from
    the same words.
    """
    parts = [words(part) for part in phrase.split(APART.strip())]
    cuts = [cut for text in texts if (cut := _variants(text, parts, rng)) is not None][:TEXTS]
    if len(cuts) < _FEWEST:
        return f"{len(cuts)} texts hold it as it stands here and enough other words, {_FEWEST} are needed"
    found = np.log(perplexity([text for cut in cuts for text in cut])).reshape(len(cuts), 2 + _CONTROLS)
    found = found[np.isfinite(found).all(axis=1)]
    if len(found) < _FEWEST:
        return f"the model reads only {len(found)} of these texts, {_FEWEST} are needed"
    gain, control = found[:, 0] - found[:, 1], found[:, 0] - found[:, 2:].mean(1)
    return Fluency(len(found), float(np.exp(gain.mean())), float(np.exp(control.mean())), int((gain > control).sum()))


def _variants(text: str, parts: Sequence[Sequence[str]], rng: np.random.Generator) -> list[str] | None:
    """What stands around the phrase: with it, without it, and without as many other words, a few times; None where that cannot be."""
    said, places = words(text), spans(text)
    found = _found(said, parts)
    if not found:
        return None
    low, high = max(0, min(found)[0] - _AROUND), min(len(said), max(span[1] for span in found) + _AROUND)
    others = [_elsewhere(found, low, high, rng) for _ in range(_CONTROLS)]
    if any(len(other) < len(found) for other in others):
        return None
    return [_without(text, places, (low, high), cut) for cut in ([], found, *others)]


def _found(said: Sequence[str], parts: Sequence[Sequence[str]]) -> list[Span]:
    """Where each part first stands, where no earlier one does; empty unless all do."""
    found: list[Span] = []
    for part in parts:
        starts = range(len(said) - len(part) + 1) if part else ()
        spots = ((start, start + len(part)) for start in starts if list(said[start : start + len(part)]) == list(part))
        free = next((spot for spot in spots if _apart(spot, found)), None)
        if free is None:
            return []
        found.append(free)
    return found


def _elsewhere(found: Sequence[Span], low: int, high: int, rng: np.random.Generator) -> list[Span]:
    """As many spans of the same lengths at other places, fewer where there is no room."""
    taken, drawn = list(found), []
    for first, after in found:
        spots = [(start, start + after - first) for start in range(low, high - (after - first) + 1)]
        free = [spot for spot in spots if _apart(spot, taken)]
        if not free:
            break
        drawn.append(free[int(rng.integers(len(free)))])
        taken.append(drawn[-1])
    return drawn


def _apart(spot: Span, others: Sequence[Span]) -> bool:
    return all(spot[1] <= first or spot[0] >= after for first, after in others)


def _without(text: str, places: Sequence[Span], window: Span, cut: Sequence[Span]) -> str:
    """The text from the first to the last word of a window, some of its words left out, and one of the spaces beside them."""
    begin, end = places[window[0]][0], places[window[1] - 1][1]
    kept, at = "", begin
    for first, after in sorted(cut):
        kept += text[at : places[first][0]]
        at = places[after - 1][1]
        if kept[-1:].isspace() or not kept:
            at += len(text[at:end]) - len(text[at:end].lstrip())
    return (kept + text[at:end]).rstrip()
