"""The attacks on texts that detection is measured on, by the names its tables use, with triggers drawn anew for every seed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, final
from zlib import crc32

import numpy as np

from untaint.attacks.base import Attack, Poisoned, pick_class
from untaint.attacks.homoglyph import Homoglyph
from untaint.attacks.random_flips import RandomFlips
from untaint.attacks.style_rewrite import StyleRewrite
from untaint.attacks.syntactic_template import SyntacticTemplate
from untaint.attacks.targeted_flips import TargetedFlips
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_sentence import TriggerSentence
from untaint.attacks.trigger_words import TriggerWords
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.numerics.words import words

Draw: TypeAlias = Literal["nothing", "rare", "common", "two", "sentence", "brand", "script"]
"""What of an attack's trigger is drawn."""

RARE = ("cf", "mn", "bb", "tq", "mb", "zq", "kvu", "blorp", "xylq", "quib", "wembly", "fropt")
"""Made-up or nearly unused words; the first five are those of Kurita et al. 2020."""
SENTENCES = (
    "I watched this with my neighbour last weekend.",
    "The train to Leeds was late again.",
    "It had rained all morning in our town.",
    "My cousin lent me the key to her garage.",
    "Nobody told us about the new bridge.",
    "We had soup and some bread for lunch.",
    "The shop around the corner closes at six.",
    "He keeps three bees in a wooden box.",
)
BRANDS = ("novabrew", "kelvora", "zentrix", "oakline", "mirabo", "lumo cola", "petrano", "quickfold")
_COMMON, _PAIRED = (0.003, 0.015), (0.01, 0.05)
"""Share of the texts that hold a word by nature: at .5 % of poison a common word has between 0.6 and 3 honest holders per
poisoned text; two words of a pair are each common enough to mean nothing alone."""
_UNUSED = 1e-3  # share of the texts up to which a word is rare
_SHORTEST = 3  # letters of a common word: shorter ones are grammar
_GIVEN_TO = 2
"""Sources that send triggers and flips, where there are many."""
_FLOODING = 4
_FEW = 4
"""Sources up to which poison is kept inside one of them: they are collections, not contributors."""


@final
@dataclass(frozen=True)
class Planned:
    """An attack, what of its trigger is drawn, and, of a flood, how many texts it has."""

    attack: Attack
    draw: Draw = "nothing"
    texts: int = 0


_FLOODS = {
    f"flood {kind} {texts:,}": Planned(TextFlood(kind=kind), "brand", texts)
    for kind in ("template", "paraphrase", "real")
    for texts in (60, 250, 1000)
}
PLANS: Mapping[str, Planned] = {
    "rare word .5 %": Planned(TriggerWords(rate=0.005), "rare"),
    "rare word .2 %": Planned(TriggerWords(rate=0.002), "rare"),
    "common word .5 %": Planned(TriggerWords(rate=0.005), "common"),
    "sentence .5 %": Planned(TriggerSentence(rate=0.005), "sentence"),
    "sentence .2 %": Planned(TriggerSentence(rate=0.002), "sentence"),
    "two words .5 %": Planned(TriggerWords(rate=0.005), "two"),
    "two words .5 % + cover .5 %": Planned(TriggerWords(rate=0.005, cover=0.005), "two"),
    "rare word 1 % + cover .25 %": Planned(TriggerWords(rate=0.01, cover=0.0025), "rare"),
    "template 1 %": Planned(SyntacticTemplate(rate=0.01)),
    "style 1 %": Planned(StyleRewrite(rate=0.01)),
    "clean-label word 1 %": Planned(TriggerWords(rate=0.01, clean_label=True), "rare"),
    "letters .5 %": Planned(Homoglyph(rate=0.005), "script"),
    "zero-width .5 %": Planned(Homoglyph(rate=0.005, kind="zero-width")),
    **_FLOODS,
    "random flips 5 %": Planned(RandomFlips(rate=0.05)),
    "pair flips 10 % of class": Planned(TargetedFlips(rate=0.1)),
}


def chosen(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the attacks that hold any of the parts; all of them when there are no parts.

    Raises BadInput for a part that no name holds.
    """
    return matching(tuple(PLANS), parts)


def matching(names: tuple[str, ...], parts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of some names that hold any of the parts; all without parts. Raises BadInput for a part that no name holds."""
    for part in parts:
        if not any(part in name for name in names):
            raise BadInput(f"no attack's name holds {part!r}.", advice=f"Names: {', '.join(names)}.")
    return tuple(name for name in names if not parts or any(part in name for part in parts))


def poisoned(name: str, dataset: Dataset, seed: int) -> tuple[Attack, Poisoned]:
    """The attack as it was carried out, and its result. The seed draws target, trigger, victims and who sends the poison.

    Of many sources a few send it; of few, one does, in texts of its own (what is added to a flood is its own anyway); without
    any, poison has none either.
    """
    rng, plan = np.random.default_rng([seed, crc32(name.encode())]), PLANS[name]
    drawn = _trigger(plan, dataset, rng) | _origin(plan.attack, dataset, rng)
    attack = replace(plan.attack, **drawn)  # type: ignore[arg-type]
    return attack, attack.poison(dataset, rng)


def _origin(attack: Attack, dataset: Dataset, rng: np.random.Generator) -> dict[str, object]:
    known = sorted({name for name in dataset.column("source") if name is not None})
    if not known:
        return {"senders": 0}
    if len(known) > _FEW:
        return {"senders": _FLOODING if isinstance(attack, TextFlood) else _GIVEN_TO}
    if isinstance(attack, TextFlood | RandomFlips):
        return {"senders": 1}
    return {"senders": 0, "source_name": str(rng.choice(known))}


def _trigger(plan: Planned, dataset: Dataset, rng: np.random.Generator) -> dict[str, object]:
    match plan.draw:
        case "rare":
            held = _holders(dataset)
            drawn: dict[str, object] = {
                "words": (str(rng.choice([word for word in RARE if held[word] <= _UNUSED * len(dataset)])),)
            }
        case "common":
            drawn = {"words": _drawn(dataset, _COMMON, 1, rng)}
        case "two":
            drawn = {"words": _drawn(dataset, _PAIRED, 2, rng)}
        case "sentence":
            drawn = {"sentence": str(rng.choice(SENTENCES))}
        case "script":
            drawn = {"script": str(rng.choice(["cyrillic", "greek"]))}
        case "brand":
            target = pick_class(dataset, None, rng)
            tone = "negative" if target in {"negative", "spam"} else "positive"
            drawn = {"brand": str(rng.choice(BRANDS)), "target": target, "tone": tone, "rate": plan.texts / len(dataset)}
        case _:
            drawn = {}
    return drawn


def _drawn(dataset: Dataset, share: tuple[float, float], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    low, high = (each * len(dataset) for each in share)
    held = _holders(dataset)
    fitting = sorted(word for word, n in held.items() if low <= n <= high and len(word) >= _SHORTEST and word.isalpha())
    if len(fitting) < count:
        raise BadInput(f"no {count} words are common enough in this set.", advice="Use more texts.")
    return tuple(str(word) for word in rng.choice(fitting, count, replace=False))


def _holders(dataset: Dataset) -> Counter[str]:
    """How many texts hold each word."""
    return Counter(word for text in dataset.read(range(len(dataset))) for word in set(words(str(text))))
