"""What an image audit finds: every attack of untaint.bench.suite, on several data sets, sizes and seeds, against the truth.

    python benchmarks/vision.py                                        Fashion-MNIST, 10,000 images, one seed
    python benchmarks/vision.py --data Fashion-MNIST --data CIFAR-10=train.parquet --sizes 10000 --seeds 0 1 2
    python benchmarks/vision.py --attacks blend sinusoid --victim      ASR and accuracy poisoned, cleaned, never poisoned
    python benchmarks/vision.py --ablation                             what is lost without each detector, what it finds alone

Each cell is a data set x size x attack x seed; the seed draws images, target, victims and picture. Results are written after
every cell: OUTPUT/vision.jsonl holds one line per cell, vision.md the tables, vision.json the cells behind them. A run that was
stopped goes on where it was, as long as the product's code and the options are the same.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"  # one cell per core: CPU seconds must not hold threads that wait for each other
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from untaint.attacks.base import Poisoned
from untaint.audit.settings import AuditSettings
from untaint.bench import resume
from untaint.bench.detection import Audited, ablation, audited, naming, review_rates
from untaint.bench.sources import collected
from untaint.bench.suite import chosen, poisoned
from untaint.bench.tables import markdown, mean, percent
from untaint.bench.victim import detection_rates, measure
from untaint.data.dataset import Dataset
from untaint.detectors.label_consensus import LabelConsensus
from untaint.errors import UntaintError
from untaint.features.settings import BUDGETS
from untaint.nets.fit import FitPlan
from untaint.registry import spec

RESULTS = Path(__file__).parent / "results"
TESTED = 5000
"""Test images at most, of a set that has none of its own: those left over."""
LEAST_TESTED = 500
LOST = 0.05
"""A drop in TPR that counts as loss: two seeds differ by as much on the harder attacks."""
FOUND = 0.5
"""A detector that finds fewer than half of the poison does not find the attack alone."""

PATIENCE = 100
"""Epochs without progress that a victim is trained on: long enough to implant what few images carry."""

Record: TypeAlias = dict[str, Any]


class Cell(NamedTuple):
    """One audit."""

    data: str
    size: int
    attack: str
    seed: int


class How(NamedTuple):
    """What all cells share."""

    named: tuple[str, ...]
    budget: Any
    victim: bool
    code: str
    encoder: str | None = None
    device: str = "cpu"

    @property
    def facts(self) -> Record:
        """What must be the same for an earlier run's cell to count as done."""
        return {"budget": self.budget, "encoder": self.encoder, "victim_asked": self.victim, "code": self.code}


@cache
def sources(named: tuple[str, ...]) -> dict[str, tuple[Dataset, Dataset | None]]:
    """Training and test sets, once per process."""
    return collected(named)


def split(train: Dataset, test: Dataset | None, cell: Cell) -> tuple[Dataset, Dataset]:
    """The images of a cell, and those its victim is tried on."""
    order = np.random.default_rng([cell.seed, cell.size]).permutation(len(train))
    drawn, rest = np.sort(order[: cell.size]), np.sort(order[cell.size :][:TESTED])
    return train.select(drawn), train.select(rest) if test is None else test


def run(how: How, cell: Cell) -> Record:
    """A cell's line. What breaks is told there: it stops no other cell."""
    facts: Record = {**cell._asdict(), **how.facts}
    return resume.safely(partial(measured, how), facts, cell)


def measured(how: How, cell: Cell) -> Record:
    """Poison, audit, compare with the truth."""
    clean, test = split(*sources(how.named)[cell.data], cell)
    attack, made = poisoned(cell.attack, clean, cell.seed)
    done = audited(made.dataset, AuditSettings(budget=how.budget, seed=cell.seed, encoder=how.encoder))
    alarms = [found for found in done.verdict.findings if found.alarm]
    record: Record = {
        "spec": spec(attack),
        "n": len(made.mask),
        "n_poisoned": int(made.mask.sum()),
        "target": made.target,
        "verdict": done.verdict.answer,
        "p_value": done.verdict.p_value,
        **detection_rates(made.mask, done.flagged, made.covers)._asdict(),
        "covers_flagged": float(done.flagged[made.covers].mean()) if made.covers.any() else None,
        "told": named_by_shortcuts(made, done),
        **naming(made, done.verdict)._asdict(),
        "detectors": sorted({name for found in alarms for name in found.detectors}),
        "cpu_s": round(done.cpu_s, 1),
        "ablation": ablated(made, done),
    }
    if made.trigger is None and LabelConsensus.id in done.first.evidence:
        record["review"] = review_rates(made.mask, done.first.evidence[LabelConsensus.id])._asdict()
    if how.victim:
        record["victim"] = victims(clean, made, done, test, FitPlan(seed=cell.seed, patience=PATIENCE, device=how.device))
    return record


def named_by_shortcuts(made: Poisoned, done: Audited) -> float | None:
    """Share of the poison that findings name which accuse nobody: shown with its trigger, for a person to decide."""
    rows = [found.members for found in done.verdict.findings if found.kind == "shortcut" and not found.alarm]
    if not made.mask.any():
        return None
    return float(np.isin(np.flatnonzero(made.mask), np.concatenate([np.empty(0, np.int64), *rows])).mean())


def ablated(made: Poisoned, done: Audited) -> Record:
    """TPR and FPR of the first look, per choice of detectors."""
    found = ablation(made, done)
    parts = {"without": found.without, "alone": found.alone}
    rates = {part: {name: each._asdict() for name, each in names.items()} for part, names in parts.items()}
    return {"whole": found.whole._asdict(), **rates}


def victims(clean: Dataset, made: Poisoned, done: Audited, test: Dataset, plan: FitPlan) -> Record:
    """Accuracy and ASR of a network trained on the poisoned, the cleaned and the never poisoned set."""
    sets = {"poisoned": made.dataset, "cleaned": made.dataset.select(np.flatnonzero(~done.flagged)), "never": clean}
    found = {name: measure(part, test, made.stamp, made.target, plan, source=made.source) for name, part in sets.items()}
    return {name: {"asr": each.asr, "accuracy": each.clean_accuracy} for name, each in found.items()}


def grouped(records: Sequence[Record]) -> dict[tuple[str, int, str], list[Record]]:
    """Cells that differ only in their seed."""
    groups: dict[tuple[str, int, str], list[Record]] = defaultdict(list)
    for record in records:
        groups[record["data"], record["size"], record["attack"]].append(record)
    return groups


def summary(cells: list[Record]) -> Record:
    """The line of one attack on one set."""
    tprs = [cell["tpr"] for cell in cells if cell["tpr"] is not None]
    return {
        "cells": len(cells),
        "called poisoned": sum(cell["verdict"] == "poisoned" for cell in cells),
        "TPR mean": percent(mean(tprs)),
        "TPR worst": percent(min(tprs, default=None)),
        "FPR mean": percent(mean(cell["fpr"] for cell in cells)),
        "named as a shortcut": percent(mean(cell["told"] for cell in cells)),
        "covers flagged": percent(mean(cell["covers_flagged"] for cell in cells)),
        "right target": percent(mean(cell["right"] for cell in cells)),
        "wrong targets": sum(len(cell["wrong"]) for cell in cells),
        "CPU s": f"{mean(cell['cpu_s'] for cell in cells):.0f}",
    }


def reviewed(cells: list[Record]) -> Record:
    """The review list of one attack without a trigger."""
    kept = [cell["review"] for cell in cells]
    columns = {"AUROC": "auroc", "TPR at .5 % FPR": "tpr", "precision stated": "stated", "precision true": "true"}
    return {"cells": len(kept), **{title: percent(mean(each[key] for each in kept)) for title, key in columns.items()}}


def cured(cells: list[Record]) -> Record:
    """ASR and accuracy of the victims."""
    titles = {"asr": "ASR", "accuracy": "accuracy"}
    pairs = product(titles, ("poisoned", "cleaned", "never"))
    return {f"{titles[key]} {part}": percent(mean(cell["victim"][part][key] for cell in cells)) for key, part in pairs}


def ablation_rows(records: Sequence[Record]) -> list[Record]:
    """Per detector: what the first look loses without it, and what it finds alone."""
    groups = grouped(records)
    names = sorted({name for record in records for name in record["ablation"]["alone"]})
    return [{"detector": name, **_ablation_row(name, groups)} for name in names]


def _ablation_row(name: str, groups: dict[tuple[str, int, str], list[Record]]) -> Record:
    lost, alone, alarms = [], [], []
    for (data, size, attack), cells in groups.items():
        kept = [cell["ablation"] for cell in cells if name in cell["ablation"]["alone"]]
        whole, without, only = (
            mean(each["tpr"] for each in part) or 0.0
            for part in ([k["whole"] for k in kept], [k["without"][name] for k in kept], [k["alone"][name] for k in kept])
        )
        where = f"{data} {size:,} {attack}"
        if whole - without > LOST:
            lost.append(f"{where} ({percent(whole)} → {percent(without)})")
        if only >= FOUND:
            alone.append(f"{where} ({percent(only)})")
        alarms += [each["alone"][name]["fpr"] for each in kept]
    return {"lost without it": "; ".join(lost), "found by it alone": "; ".join(alone), "its FPR alone": percent(mean(alarms))}


def report(records: Sequence[Record], *, with_ablation: bool) -> str:
    """All tables."""
    done = [record for record in records if "failed" not in record]
    sections = [("Detection", summary, done)]
    sections += [
        ("Review lists", reviewed, [r for r in done if "review" in r]),
        ("Victims", cured, [r for r in done if "victim" in r]),
    ]
    parts = ["# Vision: what an audit finds"]
    for title, line, part in sections:
        for data in sorted({record["data"] for record in part}):
            groups = grouped([record for record in part if record["data"] == data])
            rows = [{"attack": attack, "images": f"{size:,}", **line(cells)} for (_, size, attack), cells in groups.items()]
            parts += [f"## {title}: {data}", markdown(rows)]
    if with_ablation and done:
        parts += ["## Detectors (first look only)", markdown(ablation_rows(done))]
    if failed := [record for record in records if "failed" in record]:
        parts += ["## Failed", "\n".join(f"- {_title(record)}: {record['failed']}" for record in failed)]
    return "\n\n".join(parts) + "\n"


def _title(record: Record) -> str:
    return f"{record['data']} {record['size']:,} {record['attack']}, seed {record['seed']}"


def told(record: Record) -> str:
    """A line of progress."""
    if "failed" in record:
        return f"{_title(record)}: failed, {record['failed']}"
    target = {None: "", True: ", right target", False: f", names {record['named']}, not {record['target']!r}"}[record["right"]]
    rates = f"TPR {percent(record['tpr'])}, FPR {percent(record['fpr'])}{target}"
    return f"{_title(record)}: {record['verdict']}, {rates}, {record['cpu_s']:.0f} s, {'+'.join(record['detectors'])}"


def planned(given: argparse.Namespace) -> tuple[How, list[Cell]]:
    """The cells asked for; sizes over what a set has become all of it. Raises BadInput for what cannot be run."""
    how = How(tuple(given.data or ["Fashion-MNIST"]), given.budget, given.victim, resume.code(), given.encoder, given.device)
    cells = []
    for name, (train, test) in sources(how.named).items():
        sizes = sorted({min(size, len(train)) for size in given.sizes})
        if how.victim and test is None and sizes[-1] > len(train) - LEAST_TESTED:
            raise SystemExit(f"error: --victim needs {LEAST_TESTED} images of {name} beyond those audited.")
        cells += [Cell(name, *rest) for rest in product(sizes, chosen(tuple(given.attacks)), given.seeds)]
    return how, cells


def finished(log: Path, how: How, cells: Iterable[Cell]) -> dict[Cell, Record]:
    """Cells that an earlier run of the same code with the same options has done."""
    found = {
        Cell(*(record[key] for key in Cell._fields)): record for record in resume.done(log, how.facts) if "failed" not in record
    }
    return {cell: found[cell] for cell in cells if cell in found}


def write(output: Path, cells: Sequence[Cell], records: dict[Cell, Record], *, with_ablation: bool) -> None:
    """Tables and cells, in the order planned."""
    ordered = [records[cell] for cell in cells if cell in records]
    (output / "vision.json").write_text(json.dumps(ordered, indent=1) + "\n")
    (output / "vision.md").write_text(report(ordered, with_ablation=with_ablation))


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", metavar="NAME=PATH", help="or Fashion-MNIST (the default) or digits")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--attacks", nargs="+", default=[], metavar="PART", help="only those whose name holds any of these")
    parser.add_argument("--encoder", help="as for untaint audit")
    parser.add_argument("--budget", choices=BUDGETS, default="standard")
    parser.add_argument("--victim", action="store_true", help="train networks before and after removal")
    parser.add_argument("--device", default="cpu", help="where victims are trained, as torch names it (%(default)s)")
    parser.add_argument("--ablation", action="store_true", help="add the table of detectors")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, each with one thread (%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run what is left to run, and write after every cell."""
    given = options()
    try:
        how, cells = planned(given)
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "vision.jsonl"
    records = finished(log, how, cells)
    left = [cell for cell in cells if cell not in records]
    print(f"{len(cells)} cells, {len(records)} done before", flush=True)
    save = partial(write, given.output, cells, records, with_ablation=given.ablation)
    for cell, record in resume.completed(partial(run, how), left, given.jobs, log):
        records[cell] = record
        save()
        print(f"[{len(records)}/{len(cells)}] {told(record)}", flush=True)
    save()
    print(f"\n{(given.output / 'vision.md').read_text()}")


if __name__ == "__main__":
    main()
