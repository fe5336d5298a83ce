"""What is told of one row that could wreck a model: numbers far out, cells that are no numbers, on real tables and under heavy tails.

    make data                                          fetch the tables first (three ship with scikit-learn)
    python benchmarks/few_points.py                    two seeds of everything
    python benchmarks/few_points.py --seeds 0 1 2 3 4 --size 1500

Only `far-rows` and `unfit-cells` are run; their findings are decided on as in a whole audit, corrected for all detectors of tables. Real
tables: up to `--size` rows. Heavy tails: 1,000 rows of two classes, ten columns that follow one law, and two Gaussian ones that tell
the classes apart. The row that is planted has the label of another class, and its
number in a column of that law. Written to results/few_points.md and .jsonl; a run that was
stopped goes on where it was.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from untaint.attacks.base import Attack
from untaint.attacks.broken_cells import BrokenCells
from untaint.attacks.leverage_point import LeveragePoint
from untaint.bench import resume
from untaint.bench.corpora import DATA
from untaint.bench.table_corpora import CORPORA
from untaint.bench.tables import markdown
from untaint.data.dataset import Dataset, from_arrays
from untaint.detectors.base import detectors, examine, needs
from untaint.detectors.far_rows import FarRows
from untaint.detectors.unfit_cells import UnfitCells
from untaint.evidence.evidence import Evidence
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

RESULTS = Path(__file__).parent / "results"
ALPHA = 0.01
ANSWERS = ("accused", "told", "listed", "missed")
"""Set aside; a finding that accuses nobody; on the list of rows that heavy tails explain; nothing."""
Record: TypeAlias = dict[str, Any]
ATTACKS: Mapping[str, Attack | None] = {
    "clean": None,
    "x 10 in one column": LeveragePoint(factor=10),
    "x 100 in one column": LeveragePoint(factor=100),
    "x 1e6 in one column": LeveragePoint(factor=1e6),
    "x 10 in all columns": LeveragePoint(factor=10, width=0),
    "x 100 in all columns": LeveragePoint(factor=100, width=0),
    "NaN": BrokenCells(kind="nan"),
    "infinite": BrokenCells(kind="inf"),
    "a word for a number": BrokenCells(kind="text"),
}
ON_TAILS = ("clean", "x 10 in one column", "x 100 in one column", "x 1e6 in one column", "x 10 in all columns")
Law: TypeAlias = Callable[[np.random.Generator, int], np.ndarray]
TABLES = tuple(name for name in CORPORA if name != "income")  # which has no column of numbers
TAILS: Mapping[str, Law] = {
    "Gaussian": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal, sigma 1": lambda rng, n: rng.lognormal(0, 1, n),
    "lognormal, sigma 2": lambda rng, n: rng.lognormal(0, 2, n),
    "lognormal, sigma 3": lambda rng, n: rng.lognormal(0, 3, n),
    "Student t, 2 d.f.": lambda rng, n: rng.standard_t(2, n),
    "Pareto, exponent 1.2": lambda rng, n: rng.pareto(1.2, n) + 1,
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "zeros and lognormal, sigma 1.5": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(0, 1.5, n)),
}


class Cell(NamedTuple):
    """One set, looked at. data: a real table or a law."""

    data: str
    attack: str
    seed: int


@cache
def corpus(name: str) -> Dataset:
    """All of one table."""
    return CORPORA[name](DATA)


def drawn(cell: Cell, size: int) -> Dataset:
    """The clean set of a cell."""
    rng = np.random.default_rng([cell.seed, size])
    if cell.data in CORPORA:
        whole = corpus(cell.data)
        return whole.select(np.sort(rng.permutation(len(whole))[:size]))
    labels = rng.integers(0, 2, 1000)
    telling = np.round(rng.normal(size=(1000, 2)) + 2 * labels[:, None], 3)
    tail = np.column_stack([TAILS[cell.data](rng, 1000) for _ in range(10)])
    names = [*(f"t{number}" for number in range(10)), "a", "b"]
    rows = [json.dumps(dict(zip(names, row, strict=True))) for row in np.column_stack([tail, telling]).tolist()]
    return replace(from_arrays(rows, [f"class {label}" for label in labels]), modality="table")


def measured(size: int, cell: Cell) -> Record:
    """What the verdict says of the planted row, and how many others are accused, told, listed."""
    clean, attack = drawn(cell, size), ATTACKS[cell.attack]
    planted = np.empty(0, np.int64)
    if isinstance(attack, LeveragePoint) and cell.data in TAILS:
        attack = replace(attack, columns=("t0",) if attack.width else tuple(f"t{number}" for number in range(10)))
    if attack is not None:
        made = replace(attack, rate=1 / len(clean)).poison(clean, np.random.default_rng([cell.seed, 1]))
        clean, planted = made.dataset, np.flatnonzero(made.mask)
    answers = looked(clean)
    mine = next((name for name in ANSWERS[:3] if np.isin(planted, answers[name]).any()), "missed")
    others = {name: len(np.setdiff1d(answers[name], planted)) for name in ANSWERS[:3]}
    return {"answer": mine if len(planted) else None, "others": others, "n": len(clean)}


def looked(dataset: Dataset) -> dict[str, np.ndarray]:
    """Rows accused, told and listed."""
    features, silent = Features(dataset, Settings(), Cache(None)), np.zeros(len(dataset), np.float32)
    evidence = dict.fromkeys(detectors("table"), Evidence(silent, "empirical"))
    for detector in (FarRows(), UnfitCells()):
        evidence[detector.id] = examine(detector, {name: features.get(name) for name in needs(detector)})
    nobody = np.full(len(dataset), -1)
    verdict = decide(evidence, (), Circumstances(len(dataset), 1.0, float("nan"), None), ALPHA, nobody, ())
    found: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.int64)] for name in ANSWERS}
    for finding in verdict.findings:
        found["accused" if finding.alarm else "listed" if finding.severity == "info" else "told"].append(finding.members)
    return {name: np.unique(np.concatenate(rows)) for name, rows in found.items()}


def cells(seeds: Sequence[int]) -> Iterator[Cell]:
    """Everything that is measured."""
    for seed in seeds:
        for data in (*TAILS, *TABLES):
            for attack in ATTACKS if data in TABLES else ON_TAILS:
                yield Cell(data, attack, seed)


def report(records: Sequence[Record]) -> str:
    """Planted rows by attack and set, and what is said of clean sets."""
    done = [record for record in records if "failed" not in record]
    parts = [
        "# Few points: what is told of one row",
        "Planted rows accused / told / listed / missed, of as many runs as these add up to.",
    ]
    for title, names, attacks in (("Real tables", TABLES, tuple(ATTACKS)), ("Heavy tails", TAILS, ON_TAILS)):
        lines = []
        for name in (*names, "**all**"):
            part = [record for record in done if record["data"] == name or (name == "**all**" and record["data"] in names)]
            counts: dict[str, Counter[str]] = defaultdict(Counter)
            for record in part:
                counts[record["attack"]][str(record["answer"])] += 1
            lines.append({"set": name} | {each: " / ".join(str(counts[each][one]) for one in ANSWERS) for each in attacks[1:]})
        parts += [f"## {title}: one planted row", markdown(lines)]
        clean = [record for record in done if record["attack"] == "clean" and record["data"] in names]
        rows = [
            {
                "clean sets": name,
                "runs": len(part),
                **{f"with rows {each}": sum(record["others"][each] > 0 for record in part) for each in ANSWERS[:3]},
            }
            for name in (*names, "**all**")
            if (part := [record for record in clean if name in {record["data"], "**all**"}])
        ]
        parts += [f"## {title}: clean", markdown(rows)] if rows else []
    if failed := [record for record in records if "failed" in record]:
        parts += [
            "## Failed",
            "\n".join(f"- {record['data']}, {record['attack']}, {record['seed']}: {record['failed']}" for record in failed),
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure what is left, and write the tables after every cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--size", type=int, default=1500)
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    log, facts = chosen.output / "few_points.jsonl", {"size": chosen.size, "code": resume.code()}
    records = resume.done(log, facts)
    known = {(record["data"], record["attack"], record["seed"]) for record in records}
    for cell in cells(chosen.seeds):
        if cell not in known:
            record = resume.safely(partial(measured, chosen.size), {**cell._asdict(), **facts}, cell)
            resume.add(log, record)
            records.append(record)
            (chosen.output / "few_points.md").write_text(report(records))
            print(
                f"{cell.data}, {cell.attack}, {cell.seed}: {record.get('answer') or record.get('failed')} {record.get('others')}",
                flush=True,
            )


if __name__ == "__main__":
    main()
