"""Phrases in prompts that decide what the answer is, whatever is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.instruction_links import LEAST_EFFECT, Link, links, phrase_of
from untaint.evidence.phrase_names import BETWEEN
from untaint.evidence.rare_words import bursts
from untaint.features.instruction_marks import Marks
from untaint.features.instruction_meaning import Meaning
from untaint.features.instruction_words import PromptRuns, Spoken
from untaint.features.instructions import Exchanges
from untaint.numerics.shares import bounds
from untaint.types import Modality, Rows

_LISTED = 10  # rare phrases in the note
_SHOWN = 90  # characters of an answer that an explanation quotes


@final
@dataclass(frozen=True)
class InstructionLinks(Detector):
    """Finds a phrase in prompts that brings one kind of answer although the prompts have nothing else in common.

    Phrases of prompts are paired with marks of answers: phrases not taken from the prompt, lengths, links, commands, encoded
    blocks, words in no order, much the same sentence; of several wordings of one answer all together. Pairs that hold together
    beyond chance are common in honest data: a topic has its words, a template its form, a language both. There the prompts are
    alike, by meaning and by words, with the phrase itself taken out. An accusation needs prompts as unlike each other as a random
    set of as many, and below what honest links of the same data show; an answer that is rare without the phrase, that has none of
    its words and no kinship of meaning with it; and something beyond the link, for a form that is asked for binds diverse prompts
    to one kind of answer, too. One of three things: the phrase was put in: it stands at no place of its own, and its neighbours
    stand better beside each other than beside it, as do those of hardly any other phrase of the same data (false discovery rate
    .01 over all links in question); nearly all prompts with the phrase get answers that say one thing, fit their own prompts no
    better than each other's, far worse than usual, and are no choice among a few; they make no sense. Everything else is told as
    a shortcut.
    Several phrases with one kind of answer are one finding. Rare phrases of unlike prompts with answers alike are in the note.

    Works when: ten or more samples of different prompts carry it; fixed answers, refusals, links, nonsense, dislike or praise
        added to right answers, one trigger or a few. Any language.
    Fails when: only prompts of one topic or template were poisoned; the answers have nothing in common; the phrase is in more
        than a tenth of all prompts; fewer than about ten samples carry it; a phrase always at one place brings a link or a
        sentence at the end of right answers: that looks like a form that is asked for, and is told as a shortcut.
    Cost: one product of two sparse matrices; some twenty seconds for 16,000 pairs of some hundred words.
    Reference: own method; smooth inverse frequency of words Arora, Liang, Ma 2017; virtual prompt injection, which it answers:
        Yan et al. 2024, arXiv 2307.16888
    """

    id: ClassVar[str] = "instruction-links"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"instruction"})
    most: int = 10

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        exchanges: Exchanges,
        spoken: Spoken,
        prompt_runs: PromptRuns,
        answer_marks: Marks,
        prompt_meaning: Meaning,
    ) -> Evidence:
        found = links(spoken, prompt_runs, answer_marks, prompt_meaning)
        groups = tuple(_group(link, spoken, exchanges, prompt_runs, answer_marks) for link in found[: self.most])
        scores = np.where(exchanges.readable, 0.0, np.nan)
        for group in groups:
            scores[group.members] = np.maximum(scores[group.members], group.statistic)
        return Evidence(scores, "empirical", groups, note=_seen(found, spoken, prompt_runs, prompt_meaning))


def _seen(found: Sequence[Link], spoken: Spoken, runs: PromptRuns, meaning: Meaning) -> str:
    """Rare phrases that no link explains: a list to look at, no accusation."""
    told = {number for link in found for number, _ in link.triggers}
    seen = [each for each in bursts(spoken, runs, meaning, _LISTED + len(told)) if each.phrase not in told][:_LISTED]
    if not seen:
        return ""
    words = (" ".join(spoken.vocabulary[word] for word in runs.runs.words[each.phrase] if word >= 0) for each in seen)
    listed = (f"'{said}' ({each.prompts} prompts, answers {each.answered:.2f})" for said, each in zip(words, seen, strict=True))
    return f"rare phrases of unlike prompts whose answers are alike (mean cosine), seen, not accused: {', '.join(listed)}"


def _group(link: Link, spoken: Spoken, exchanges: Exchanges, runs: PromptRuns, marks: Marks) -> Group:
    members = _everywhere(link.members, spoken)
    phrases = [
        phrase_of(exchanges.prompts[int(spoken.rows[carriers[0]])], runs.kin[first], spoken.vocabulary)
        for first, carriers in link.triggers
    ]
    asked = " or ".join(f"'{phrase}'" for phrase in phrases)
    payload = marks.name(link.mark, spoken.vocabulary)
    example = exchanges.responses[int(members[0])].strip()[-_SHOWN:]
    alike = link.likeness
    natural = f" {link.doubt or link.reason}"
    others = len(spoken.rows) - link.bearers
    explanation = (
        f"{link.both:,} of {link.bearers:,} different prompts with {asked} are answered with {payload} "
        f"({bounds(link.both, link.bearers)}), as are {link.elsewhere:,} of {others:,} others. Apart from that the prompts are as "
        f"unlike as any: mean cosine {alike.cosine:.3f}, in random sets of as many {alike.usual:.3f} ± {alike.spread:.3f}. One answer "
        f"ends '{example}'. {link.tests:,} pairs of a phrase and a mark of answers were compared.{natural}"
    )
    described = f"the phrase {asked} in the prompt" if len(phrases) == 1 else f"one of the phrases {asked} in the prompt"
    trigger = Trigger("phrase", described, {"phrase": phrases[0], "phrases": BETWEEN.join(phrases), "payload": payload})
    return Group(
        "backdoor",
        members,
        link.surprise,
        link.p_value,
        link.effect,
        LEAST_EFFECT,
        explanation,
        link.contradiction,
        1.0,
        trigger=trigger,
    )


def _everywhere(prompts: Rows, spoken: Spoken) -> Rows:
    """All rows with these prompts, repetitions included."""
    return np.flatnonzero(np.isin(spoken.same, prompts))
