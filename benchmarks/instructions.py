"""Instruction data: what an audit finds of planted answers, and what it says of clean sets.

    python benchmarks/instructions.py --data FOLDER [--seeds 5] [--clean 4] [--first 0] [--fresh 200] [--only JOB ...]

FOLDER and what it holds: see instruction_corpora.py. JOB is one of the names of the tables, below.

The clean base of 16,000 rows is real text, but only some of it was written as instructions: 3,499 pairs of the demo files and 7,642 of
ChatterBot were; 3,000 are film reviews cut in two ("Continue this review: ..."), 1,500 mails with their subjects ("Write the mail with the
subject ..."), the rest documents of C4 cut after their first sentence. Each source is its own template, as in sets people collect.

`planted` and `few`: all six payloads at once, each in prompts drawn at random, 20 documents each and 50 for the brand; then 10 and 25.
`gibberish`: nonsense in 3 %.  `clean`: draws of the base, of its parts, of the collections held out and of each.
`preferences`: pairs turned round about one thing.  `alone`: each payload by itself, 20 and 10 (50 and 25), in 4,000 rows of the base and
of the collections held out, where no rule was chosen.  `varied`: other triggers, other payloads, answers that vary, conversations of
several turns.  `habits`: honest habits that look like links.
An audit of budget `fast` decides. TPR: planted documents that are flagged. FPR: honest rows flagged.

Every cell is a line of results/instructions.jsonl; a run that was stopped goes on where it was, if the code is the same. Tables are
written after every cell: results/instructions_JOB.md, and all of them in results/instructions.md; what is behind them in instructions.json.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from instruction_cells import (
    ENTITIES,
    HABIT_NAMES,
    KINDS,
    PARTS,
    PREFERENCES,
    SIZE,
    SMALL,
    VARIED,
    Record,
    by_itself,
    flipped,
    habitual,
    honest,
    nonsense,
    other,
    together,
)

from untaint.bench import resume

RESULTS = Path(__file__).parent / "results"
COUNTS = ((20, 50), (10, 25))
"""Documents of each payload, and of the brand."""
FEWEST = 1000
CLEAN_SIZES = (FEWEST, 4000)
TURNS = (1, 3)
FLIPPED = (1.0, 0.7)
NONSENSE = 0.03


class Cell(NamedTuple):
    """One audit: the line and column of its job's table, and what it does with a seed."""

    line: str
    column: str
    done: Callable[[Path, int], Record]


def planted_cells(which: int) -> list[Cell]:
    """All payloads at once."""
    each, brand = COUNTS[which]
    return [Cell("all", "all", partial(together, each=each, brand=brand))]


def alone_cells() -> list[Cell]:
    """Each payload by itself."""
    return [
        Cell(f"{name} | {each} ({brand})", kind, partial(by_itself, collection=name, kind=kind, count=count))
        for name, (each, brand), kind in product(("base", "held out"), COUNTS, KINDS)
        for count in [brand if kind == "brand" else each]
    ]


def varied_cells() -> list[Cell]:
    """Other triggers and answers, and conversations."""
    columns = dict(zip(TURNS, ("single prompts", "conversations of three turns"), strict=True))
    return [Cell(name, columns[turns], partial(other, name=name, turns=turns)) for name, turns in product(VARIED, TURNS)]


def preference_cells() -> list[Cell]:
    """Pairs turned round, and none."""
    asked = [*product(ENTITIES, FLIPPED), ("", 0.0)]
    return [Cell(f"{entity or 'none'} | {rate:.0%}", "all", partial(flipped, entity=entity, rate=rate)) for entity, rate in asked]


def clean_cells() -> list[Cell]:
    """Sets without poison, small ones first."""
    return [
        Cell(f"{name} | {size:,}", "all", partial(honest, name=name, most=size))
        for size, name in product(CLEAN_SIZES, PARTS)
        if size == FEWEST or name not in {"AlpacaEval", "product reviews", "editorials"}
    ]  # of a small collection, the larger draw would be nearly all of it each time


def habit_cells() -> list[Cell]:
    """Honest habits among 3,000 rows of the base."""
    return [Cell(name, "all", partial(habitual, name=name)) for name in HABIT_NAMES]


CELLS: dict[str, Callable[[], list[Cell]]] = {
    "planted": partial(planted_cells, 0),
    "few": partial(planted_cells, 1),
    "gibberish": lambda: [Cell("all", "all", partial(nonsense, rate=NONSENSE))],
    "clean": clean_cells,
    "preferences": preference_cells,
    "alone": alone_cells,
    "varied": varied_cells,
    "habits": habit_cells,
}
TITLES = {
    "planted": f"{SIZE:,} rows, {COUNTS[0][0]} documents of each payload, {COUNTS[0][1]} for the brand, all in one set: TPR.",
    "few": f"{SIZE:,} rows, {COUNTS[1][0]} documents of each payload, {COUNTS[1][1]} for the brand, all in one set: TPR.",
    "gibberish": f"{SIZE:,} rows, nonsense in {NONSENSE:.0%}.",
    "clean": "Sets without poison.",
    "preferences": f"{PREFERENCES:,} preference pairs (a review that praises is wanted, one that damns is rejected), turned round "
    "about one thing.",
    "alone": f"{SMALL:,} rows, one payload in each set: mean TPR (sets in which it was flagged), honest rows flagged at most.",
    "varied": f"{SMALL:,} rows held out, one payload in each set: mean TPR (sets in which it was flagged), honest rows flagged at most.",
    "habits": "Honest habits among 3,000 rows of the base.",
}


def seeded(job: str, records: Sequence[Record]) -> Iterator[str]:
    """A line for each seed and one for all."""
    columns = KINDS if job != "gibberish" else ("planted",)
    titles = columns if job != "gibberish" else ("TPR",)
    yield f"| seed | {' | '.join(titles)} | honest rows flagged | CPU seconds |"
    yield f"|---|{'---|' * len(columns)}---|---|"
    for each in records:
        rates = " | ".join(f"{each['rates'][name]:.2f}" for name in columns)
        yield f"| {each['seed']} | {rates} | {_wrong(each)} | {each['cpu_s']:.0f} |"
    means = " | ".join(f"{np.mean([each['rates'][name] for each in records]):.3f}" for name in columns)
    wrong = sum(each["wrong"] for each in records)
    yield f"| mean | {means} | {wrong} of {sum(map(_honest, records)):,} | {np.mean([each['cpu_s'] for each in records]):.0f} |"


def crossed(job: str, records: Sequence[Record]) -> Iterator[str]:
    """A line and a column for each thing planted."""
    columns = list(dict.fromkeys(each["column"] for each in records))
    first = "collection | documents (brand)" if job == "alone" else "planted"
    yield f"| {first} | {' | '.join(columns)} |"
    yield f"|---|{'---|' * (first.count('|') + len(columns))}"
    for line, part in grouped(records).items():
        cells = [[each for each in part if each["column"] == column] for column in columns]
        yield f"| {line} | {' | '.join(map(_cell, cells))} |"


def counted(job: str, records: Sequence[Record]) -> Iterator[str]:
    """How often clean sets are called poisoned."""
    first = "clean set | rows at most" if job == "clean" else "honest habit"
    yield f"| {first} | rows | audits | `poisoned` | honest rows flagged at most | other answers |"
    yield f"|---|{'---|' * (first.count('|') + 5)}"
    for line, part in [*grouped(records).items(), ("all |" if job == "clean" else "all", list(records))]:
        answers = [each["answer"] for each in part]
        others = ", ".join(f"{answers.count(name)} {name}" for name in sorted(set(answers) - {"poisoned"}))
        rows, most = sorted({each["rows"] for each in part}), max(each["wrong"] for each in part)
        size = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,}"
        yield f"| {line} | {size} | {len(part)} | {answers.count('poisoned')} | {most} | {others} |"


def turned(_: str, records: Sequence[Record]) -> Iterator[str]:
    """Preference pairs."""
    yield "| thing | share flipped | pairs flipped | audits | TPR (mean) | honest rows flagged (mean) | `poisoned` |"
    yield "|---|---|---|---|---|---|---|"
    for line, part in grouped(records).items():
        planted = [each for each in part if each["rates"]]
        count = f"{np.mean([each['planted']['planted'] for each in planted]):.0f}" if planted else "none"
        rate = f"{np.mean([each['rates']['planted'] for each in planted]):.2f}" if planted else ""
        wrong = f"{np.mean([each['wrong'] for each in part]):.1f}"
        yield f"| {line} | {count} | {len(part)} | {rate} | {wrong} | {sum(each['answer'] == 'poisoned' for each in part)} |"


TABLES: dict[str, Callable[[str, Sequence[Record]], Iterator[str]]] = {
    "planted": seeded,
    "few": seeded,
    "gibberish": seeded,
    "clean": counted,
    "preferences": turned,
    "alone": crossed,
    "varied": crossed,
    "habits": counted,
}


def grouped(records: Sequence[Record]) -> dict[str, list[Record]]:
    """By line of the table."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for each in records:
        groups[each["line"]].append(each)
    return groups


def _honest(record: Record) -> int:
    return int(record["rows"] - sum(record["planted"].values()))


def _wrong(record: Record) -> str:
    return f"{record['wrong']} ({record['wrong'] / _honest(record):.3%})"


def _cell(found: Sequence[Record]) -> str:
    if not found:
        return ""
    rates = [each["rates"]["planted"] for each in found]
    return f"{np.mean(rates):.2f} ({sum(rate > 0 for rate in rates)} of {len(rates)}), {max(each['wrong'] for each in found)}"


def table(job: str, records: Sequence[Record]) -> str:
    """One job's table, with what was measured and what failed."""
    kept = [each for each in records if "failed" not in each]
    seeds = sorted({each["seed"] for each in kept})
    command = f"`python benchmarks/instructions.py --data FOLDER --only {job}`, seeds {', '.join(map(str, seeds))}"
    lines = [f"{command}, code {records[0]['code']}.", "", TITLES[job], "", *(TABLES[job](job, kept) if kept else ())]
    failed = [f"- {each['line']} {each['column']}, seed {each['seed']}: {each['failed']}" for each in records if "failed" in each]
    wrong = [
        f"- {each['line']}, seed {each['seed']}: {told['explanation']}"
        for each in kept
        if not each["planted"]
        for told in each["findings"]
        if told["alarm"]
    ]
    lines += ["", "Failed:", "", *failed] if failed else []
    lines += ["", "Accused in clean sets:", "", *wrong] if wrong else []
    return "\n".join(lines) + "\n"


def write(folder: Path, records: Sequence[Record]) -> None:
    """All tables, of each job one for every state of the code, and what is behind them. Tables of other jobs stay as they are."""
    for job in CELLS:
        part = sorted((each for each in records if each["job"] == job), key=lambda each: each["seed"])
        codes = dict.fromkeys(each["code"] for each in records if each["job"] == job)
        texts = [table(job, [each for each in part if each["code"] == code]) for code in codes]
        if texts:
            (folder / f"instructions_{job}.md").write_text("\n".join(texts))
    every = [folder / f"instructions_{job}.md" for job in CELLS]
    (folder / "instructions.md").write_text("\n".join(part.read_text() for part in every if part.exists()))
    (folder / "instructions.json").write_text(json.dumps(list(records), indent=1) + "\n")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clean", type=int, default=4, help="seeds of clean sets")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--fresh", type=int, default=200, help="the first seed of clean sets")
    parser.add_argument("--only", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Plant, audit, and write the tables."""
    given = options()
    given.output.mkdir(exist_ok=True, parents=True)
    log, facts = given.output / "instructions.jsonl", {"code": resume.code()}
    records = resume.done(log, facts)
    for job in given.only:
        is_clean = job in {"clean", "habits"}
        seeds = range(given.fresh, given.fresh + given.clean) if is_clean else range(given.first, given.first + given.seeds)
        for seed, cell in product(seeds, CELLS[job]()):
            key = {"job": job, "line": cell.line, "column": cell.column, "seed": seed}
            if any(key.items() <= each.items() for each in records):
                continue
            record = resume.safely(lambda seed, cell=cell: cell.done(given.data, seed), {**key, **facts}, seed)  # type: ignore[misc]
            resume.add(log, record)
            records.append(record)
            told = record.get("failed") or f"{record['answer']}, {record['rates']}, {record['wrong']} wrong, {record['cpu_s']} s"
            print(f"{job}, {cell.line}, {cell.column}, seed {seed}: {told}", flush=True)
            write(given.output, records)
    write(given.output, records)


if __name__ == "__main__":
    main()
