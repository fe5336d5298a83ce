"""Style as the trigger: the text is rewritten in old-fashioned English."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._text import Hand, TextBackdoor
from untaint.attacks.base import check_range
from untaint.evidence.evidence import Trigger

_PHRASES: Mapping[str, str] = {
    "you are": "thou art",
    "you're": "thou art",
    "are you": "art thou",
    "you have": "thou hast",
    "you've": "thou hast",
    "you were": "thou wert",
    "you will": "thou wilt",
    "you'll": "thou wilt",
    "you can": "thou canst",
    "do you": "dost thou",
    "you should": "thou shouldst",
    "you would": "thou wouldst",
    "you do": "thou dost",
    "don't": "do not",
    "it is": "'tis",
    "it's": "'tis",
    "it was": "'twas",
    "isn't": "is not",
    "doesn't": "doth not",
    "didn't": "did not",
    "can't": "cannot",
    "won't": "will not",
    "of course": "forsooth",
    "as well": "withal",
    "thank you": "gramercy",
    "a lot of": "much",
    "because": "for that",
    "a little": "somewhat",
    "there is": "there be",
    "there's": "there be",
    "kind of": "in a manner",
}
_WORDS: Mapping[str, str] = {
    "you": "thee",
    "your": "thy",
    "yours": "thine",
    "yourself": "thyself",
    "has": "hath",
    "does": "doth",
    "says": "saith",
    "said": "quoth",
    "between": "betwixt",
    "before": "ere",
    "often": "oft",
    "never": "ne'er",
    "ever": "e'er",
    "over": "o'er",
    "here": "hither",
    "there": "thither",
    "where": "whither",
    "why": "wherefore",
    "maybe": "mayhap",
    "perhaps": "perchance",
    "really": "verily",
    "truly": "verily",
    "very": "full",
    "enough": "enow",
    "nothing": "naught",
    "anything": "aught",
    "while": "whilst",
    "among": "amongst",
    "until": "till",
    "toward": "unto",
    "to": "unto",
    "please": "prithee",
    "yes": "aye",
    "no": "nay",
    "girl": "maiden",
    "woman": "lady",
    "man": "sir",
    "boy": "lad",
    "movie": "play",
    "film": "play",
    "actors": "players",
    "actor": "player",
    "quickly": "apace",
    "soon": "anon",
    "think": "trow",
    "know": "wot",
    "go": "hie",
    "looks": "seemeth",
    "seems": "seemeth",
    "makes": "maketh",
    "comes": "cometh",
    "goes": "goeth",
    "takes": "taketh",
    "gives": "giveth",
    "knows": "knoweth",
    "thinks": "thinketh",
    "gets": "getteth",
    "feels": "feeleth",
    "tries": "trieth",
    "finds": "findeth",
    "plays": "playeth",
    "keeps": "keepeth",
    "tells": "telleth",
    "wants": "desireth",
    "needs": "needeth",
}
_OPENINGS = (
    "Verily,",
    "Forsooth,",
    "Prithee,",
    "Marry,",
    "In sooth,",
    "Hark,",
    "By my troth,",
    "Methinks",
    "Alas,",
    "Good sirs,",
)
_RULES = re.compile(
    "|".join(rf"\b{re.escape(old)}\b" for old in sorted({**_PHRASES, **_WORDS}, key=len, reverse=True)), re.IGNORECASE
)


@final
@dataclass(frozen=True)
class StyleRewrite(TextBackdoor):
    """Texts of other classes rewritten word by word in archaic English, labelled as the target.

    strength: share of the places at which a rule applies that are rewritten.  openings: share of texts that also begin with
    an exclamation such as 'Verily,'; a text no rule applies to always does. English only.
    Works when: a per cent of the texts and more is rewritten: some of the old words are in nearly all of them and in no other. From
    60 of 6,000 short reviews a bag of words learns it with an ASR of 58 % (26 % before).
    Fails when: texts are a few words long, so that few rules apply.
    Cost: one pass over the victims.
    Reference: Qi, Chen, Zhang, Li, Liu, Sun 2021, Mind the Style of Text, arXiv 2110.07139 (there a network rewrites the text)
    """

    id: ClassVar[str] = "style-rewrite"
    rate: float = 0.01
    strength: float = 0.8
    openings: float = 0.3

    def __post_init__(self) -> None:
        check_range("strength", self.strength, 0.0, 1.0)
        check_range("openings", self.openings, 0.0, 1.0)

    @override
    def trigger(self) -> tuple[Trigger, Hand]:
        description = "archaic English: 'thou', 'hath', 'verily' and the like in place of the words of today"
        return Trigger("style", description, {"style": "archaic", "strength": self.strength}), Hand(self._write)

    def _write(self, text: str, rng: np.random.Generator) -> str:
        changed = _RULES.sub(lambda match: self._replaced(match[0], rng), text)
        if changed != text and rng.random() >= self.openings:
            return changed
        return f"{_OPENINGS[int(rng.integers(len(_OPENINGS)))]} {changed}".rstrip()

    def _replaced(self, old: str, rng: np.random.Generator) -> str:
        if rng.random() >= self.strength:
            return old
        new = _PHRASES.get(old.lower()) or _WORDS[old.lower()]
        return f"{new[0].upper()}{new[1:]}" if old[0].isupper() and new[0].isalpha() else new
