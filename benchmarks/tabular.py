"""What an audit of tables finds: every attack of untaint.bench.table_suite, on several tables, sizes, sources and seeds.

    make data                                                          fetch the tables first (three ship with scikit-learn)
    python benchmarks/tabular.py                                       up to 5,000 rows of each table, with and without sources
    python benchmarks/tabular.py --corpora spam credit --attacks common leverage --seeds 0 1 2 3 4 --sources 0 20
    python benchmarks/tabular.py --victim                              ASR and accuracy poisoned, cleaned, never poisoned
    python benchmarks/tabular.py --clean 300                           how often clean tables are called poisoned

Each cell is a table x size x attack x sources x seed; the seed draws rows, sources, target, trigger and victims. Sources are
contributors as busy as Zipf's law says; 0 = no column of sources.
Results are written after every cell: OUTPUT/tabular.jsonl holds one line per cell, tabular.md the tables, tabular.json the cells
behind them; for --clean tabular_clean.*. A run that was stopped goes on where it was, if neither code nor options have changed.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"  # one cell per core: CPU seconds must not hold threads that wait for each other
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from untaint.attacks.base import Attack, Poisoned
from untaint.audit.settings import AuditSettings
from untaint.bench import resume
from untaint.bench.clean_tables import drawn
from untaint.bench.corpora import DATA, with_sources
from untaint.bench.detection import Audited, audited, naming, review_rates
from untaint.bench.table_corpora import CORPORA
from untaint.bench.table_suite import chosen, poisoned
from untaint.bench.table_truth import conjunctions, tpr_at
from untaint.bench.table_victim import VICTIMS, measure_tables
from untaint.bench.tables import markdown, mean, percent
from untaint.bench.text_truth import senders, shown
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.detectors.label_consensus import LabelConsensus
from untaint.errors import UntaintError
from untaint.evidence.evidence import Evidence
from untaint.features.settings import BUDGETS
from untaint.registry import spec

RESULTS = Path(__file__).parent / "results"
TESTED = 2000
"""Test rows at most, of those left over."""
LEAST_TESTED = 100
Record: TypeAlias = dict[str, Any]


class Cell(NamedTuple):
    """One audit."""

    corpus: str
    size: int
    attack: str
    sources: int
    seed: int


class How(NamedTuple):
    """What all cells share."""

    folder: Path
    budget: Any
    victim: bool
    code: str

    @property
    def facts(self) -> Record:
        """What must be the same for an earlier run's cell to count as done."""
        return {"budget": self.budget, "victim_asked": self.victim, "code": self.code}


@cache
def corpus(name: str, folder: Path) -> Dataset:
    """All of one corpus, once per process."""
    return CORPORA[name](folder)


def split(how: How, cell: Cell) -> tuple[Dataset, Dataset]:
    """The rows of a cell, sent by its sources, and those its victim is tried on."""
    whole, rng = corpus(cell.corpus, how.folder), np.random.default_rng([cell.seed, cell.size])
    order = rng.permutation(len(whole))
    train = whole.select(np.sort(order[: cell.size]))
    return with_sources(train, cell.sources, rng) if cell.sources > 0 else train, whole.select(order[cell.size :][:TESTED])


def run(how: How, cell: Cell) -> Record:
    """A cell's line."""
    return resume.safely(partial(measured, how), {**cell._asdict(), **how.facts}, cell)


def measured(how: How, cell: Cell) -> Record:
    """Poison, audit, compare with the truth."""
    clean, test = split(how, cell)
    attack, made = poisoned(cell.attack, clean, cell.seed)
    done = audited(made.dataset, AuditSettings(budget=how.budget, seed=cell.seed))
    record = found(attack, made, done)
    if how.victim and len(test) >= LEAST_TESTED:
        record["victim"] = victims(clean, made, done, test)
    return record


def found(attack: Attack, made: Poisoned, done: Audited) -> Record:
    """What the audit says, against the truth."""
    verdict, n = done.verdict, len(made.mask)
    alarms = [each for each in verdict.findings if each.alarm]
    consensus = done.first.evidence.get(LabelConsensus.id)
    named = consensus is not None and made.trigger is None
    return {
        "spec": spec(attack),
        "n": n,
        "n_poisoned": int(made.mask.sum()),
        "target": made.target,
        "verdict": verdict.answer,
        "p_value": verdict.p_value,
        **detection_rates(made.mask, done.flagged, made.covers)._asdict(),
        "shown": detection_rates(made.mask, shown(verdict, n), made.covers)._asdict(),
        "covers_flagged": float(done.flagged[made.covers].mean()) if made.covers.any() else None,
        **naming(made, verdict)._asdict(),
        "trigger": conjunctions(made, verdict)._asdict(),
        "senders": senders(attack, made, verdict)._asdict(),
        "kinds": sorted({each.kind for each in alarms}),
        "detectors": sorted({name for each in alarms for name in each.detectors}),
        "failed_checks": [f"{check.detector}: {check.reason}" for check in done.first.checks if check.status == "failed"],
        "cpu_s": round(done.cpu_s, 2),
        "review": review(made, consensus) if named and consensus is not None else None,
    }


def review(made: Poisoned, consensus: Evidence) -> Record:
    """How the list of doubtful labels ranks the flips."""
    return {**review_rates(made.mask, consensus)._asdict(), "tpr_1": tpr_at(made.mask, consensus.scores, 0.01)}


def victims(clean: Dataset, made: Poisoned, done: Audited, test: Dataset) -> Record:
    """Accuracy and ASR of two classifiers trained on the poisoned, the cleaned and the never poisoned set."""
    sets = {"poisoned": made.dataset, "cleaned": made.dataset.select(np.flatnonzero(~done.flagged)), "never": clean}
    measured_on = {name: measure_tables(part, test, made.stamp, made.target) for name, part in sets.items()}
    return {victim: {name: found[victim]._asdict() for name, found in measured_on.items()} for victim in VICTIMS}


def clean_run(how: How, seed: int, number: int) -> Record:
    """One clean set, audited."""
    sets = {name: partial(corpus, name, how.folder) for name in CORPORA}

    def measured_clean(which: int) -> Record:
        facts, dataset = drawn(sets, np.random.default_rng([seed, which]))
        done = audited(dataset, AuditSettings(budget=how.budget, seed=which))
        alarms = [each for each in done.verdict.findings if each.alarm]
        blamed = {share.name for each in alarms for share in each.sources if share.p_value <= done.verdict.alpha}
        return {
            **facts,
            "verdict": done.verdict.answer,
            "flagged": float(done.flagged.mean()),
            "alarms": [f"{each.kind} {'+'.join(each.detectors)} {len(each.members)}: {each.explanation}" for each in alarms],
            "shortcuts": sum(each.kind in {"shortcut", "flood"} and not each.alarm for each in done.verdict.findings),
            "blamed": len(blamed),
            "failed_checks": [f"{check.detector}: {check.reason}" for check in done.first.checks if check.status == "failed"],
            "cpu_s": round(done.cpu_s, 2),
        }

    return resume.safely(measured_clean, {"run": number, "seed": seed, **how.facts}, number)


def grouped(records: Sequence[Record]) -> dict[tuple[str, str, int, int], list[Record]]:
    """Cells that differ only in their seed."""
    groups: dict[tuple[str, str, int, int], list[Record]] = defaultdict(list)
    for record in records:
        groups[record["corpus"], record["attack"], record["size"], record["sources"]].append(record)
    return groups


def summary(cells: list[Record]) -> Record:
    """The line of one attack on one corpus."""
    planted = [cell["senders"] for cell in cells]
    asked = sum(len(each["planted"]) for each in planted)
    return {
        "cells": len(cells),
        "called poisoned": sum(cell["verdict"] == "poisoned" for cell in cells),
        "TPR mean": percent(mean(cell["tpr"] for cell in cells)),
        "worst": percent(min((cell["tpr"] for cell in cells if cell["tpr"] is not None), default=None)),
        "FPR mean": percent(mean(cell["fpr"] for cell in cells)),
        "shown": percent(mean(cell["shown"]["tpr"] for cell in cells)),
        "right target": percent(mean(cell["right"] for cell in cells)),
        "trigger exact": percent(mean(cell["trigger"]["exact"] for cell in cells)),
        "in part": percent(mean(cell["trigger"]["part"] for cell in cells)),
        "senders named": f"{sum(len(each['named']) for each in planted)}/{asked}" if asked else "–",
        "honest accused": sum(len(each["accused"]) for each in planted),
        "CPU s": f"{mean(cell['cpu_s'] for cell in cells):.1f}",
    }


def cured(cells: list[Record]) -> Record:
    """ASR and accuracy of the victims."""
    titles = {"asr": "ASR", "accuracy": "accuracy"}
    columns = product(VICTIMS, titles, ("poisoned", "cleaned", "never"))
    return {
        f"{victim}: {titles[key]} {part}": percent(mean(cell["victim"][victim][part][key] for cell in cells))
        for victim, key, part in columns
    }


def reviewed(cells: list[Record]) -> Record:
    """The review list of one attack without a trigger."""
    kept = [cell["review"] for cell in cells]
    columns = {
        "AUROC": "auroc",
        "TPR at .5 % FPR": "tpr",
        "at 1 %": "tpr_1",
        "precision stated": "stated",
        "precision true": "true",
    }
    return {"cells": len(kept), **{title: percent(mean(each[key] for each in kept)) for title, key in columns.items()}}


def report(records: Sequence[Record]) -> str:
    """All tables."""
    done = [record for record in records if "failed" not in record]
    sections: list[tuple[str, Callable[[list[Record]], Record], list[Record]]] = [
        ("Detection", summary, done),
        ("Victims", cured, [r for r in done if "victim" in r]),
        ("Review lists", reviewed, [r for r in done if r["review"]]),
    ]
    parts = ["# Tables: what an audit finds"]
    for title, line, part in sections:
        for name in sorted({record["corpus"] for record in part}):
            groups = grouped([record for record in part if record["corpus"] == name])
            rows = [
                {"attack": attack, "rows": f"{size:,}", "sources": str(sources or "none"), **line(cells)}
                for (_, attack, size, sources), cells in groups.items()
            ]
            parts += [f"## {title}: {name}", markdown(rows)]
    if failed := [record for record in records if "failed" in record]:
        parts += ["## Failed", "\n".join(f"- {_title(record)}: {record['failed']}" for record in failed)]
    return "\n\n".join(parts) + "\n"


def clean_report(records: Sequence[Record]) -> str:
    """Runs, alarms and the worst share flagged, over all and per kind of set."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "failed" not in record:
            for name in ("**all**", *(f"{key}: {record[key]}" for key in ("corpus", "sources", "nuisance", "rarest"))):
                groups[name].append(record)
    rows = [
        {
            "clean sets": name,
            "runs": len(part),
            "called poisoned": sum(each["verdict"] == "poisoned" for each in part),
            "cannot tell": sum(each["verdict"] == "cannot tell" for each in part),
            "with shortcuts": sum(each["shortcuts"] > 0 for each in part),
            "mean flagged": percent(mean(each["flagged"] for each in part)),
            "most flagged": percent(max(each["flagged"] for each in part)),
            "sources accused": sum(each["blamed"] for each in part),
        }
        for name, part in sorted(groups.items())
    ]
    told = [
        f"- run {each['run']} ({each['corpus']}, {each['n']:,}): {alarm}" for each in records for alarm in each.get("alarms", ())
    ]
    failed = [f"- run {each['run']}: {each['failed']}" for each in records if "failed" in each]
    parts = ["# Clean tables: how often they are called poisoned", markdown(rows)] if rows else []
    parts += ["## Alarms", "\n".join(told)] if told else []
    return "\n\n".join([*parts, *(["## Failed", "\n".join(failed)] if failed else [])]) + "\n"


def _title(record: Record) -> str:
    return f"{record['corpus']} {record['size']:,} {record['attack']}, sources {record['sources']}, seed {record['seed']}"


def told_cell(record: Record) -> str:
    """A line of progress."""
    if "failed" in record:
        return f"{_title(record)}: failed, {record['failed']}"
    rates = f"TPR {percent(record['tpr'])}, FPR {percent(record['fpr'])}, shown {percent(record['shown']['tpr'])}"
    trigger, sent = record["trigger"], record["senders"]
    how = "exact" if trigger["exact"] else "in part" if trigger["part"] else "not named"
    said = f"{trigger['planted']} {how}" if trigger["planted"] else ""
    who = f"senders {len(sent['named'])}/{len(sent['planted'])}, {len(sent['accused'])} in vain"
    return (
        f"{_title(record)}: {record['verdict']}, {rates}, {said}, {who}, {record['cpu_s']:.1f} s, {'+'.join(record['detectors'])}"
    )


def told_clean(record: Record) -> str:
    """The same of a clean set."""
    if "failed" in record:
        return f"clean {record['run']}: failed, {record['failed']}"
    facts = ", ".join(str(record[key]) for key in ("corpus", "n", "sources", "nuisance", "rarest"))
    return f"clean {record['run']} ({facts}): {record['verdict']}, {percent(record['flagged'])} flagged, {record['alarms']}"


def planned(given: argparse.Namespace) -> list[Cell]:
    """The cells asked for; sizes over what a table has become what leaves enough for a test. Raises BadInput for unknown ones."""
    cells = []
    for name in given.corpora or CORPORA:
        sizes = sorted({min(size, len(corpus(name, given.data)) - LEAST_TESTED) for size in given.sizes})
        cells += [Cell(name, *rest) for rest in product(sizes, chosen(tuple(given.attacks)), given.sources, given.seeds)]
    return cells


def write(path: Path, records: Iterable[Record], tables: Callable[[Sequence[Record]], str]) -> None:
    """Tables and what is behind them."""
    ordered = list(records)
    path.with_suffix(".json").write_text(json.dumps(ordered, indent=1) + "\n")
    path.with_suffix(".md").write_text(tables(ordered))


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the packages (%(default)s)")
    parser.add_argument("--corpora", nargs="+", choices=list(CORPORA), help="all of them unless named")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000])
    parser.add_argument("--sources", type=int, nargs="+", default=[0, 20], help="how many send the rows; 0 = nobody knows")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--attacks", nargs="+", default=[], metavar="PART", help="only those whose name holds any of these")
    parser.add_argument("--budget", choices=BUDGETS, default="standard")
    parser.add_argument("--victim", action="store_true", help="train classifiers before and after removal")
    parser.add_argument("--clean", type=int, metavar="RUNS", help="audit this many random clean sets instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, each with one thread (%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run what is left to run, and write after every cell."""
    given = options()
    how = How(given.data, given.budget, given.victim, resume.code())
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        if given.clean:
            clean_runs(how, given)
        else:
            cells(how, given)
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None


def cells(how: How, given: argparse.Namespace) -> None:
    """Every attack."""
    wanted, log = planned(given), given.output / "tabular.jsonl"
    before = {
        Cell(*(record[key] for key in Cell._fields)): record for record in resume.done(log, how.facts) if "failed" not in record
    }
    records = {cell: before[cell] for cell in wanted if cell in before}
    print(f"{len(wanted)} cells, {len(records)} done before", flush=True)
    for cell, record in resume.completed(partial(run, how), [cell for cell in wanted if cell not in records], given.jobs, log):
        records[cell] = record
        write(given.output / "tabular", (records[each] for each in wanted if each in records), report)
        print(f"[{len(records)}/{len(wanted)}] {told_cell(record)}", flush=True)
    print(f"\n{report([records[each] for each in wanted])}")


def clean_runs(how: How, given: argparse.Namespace) -> None:
    """Every clean set."""
    log, seed = given.output / "tabular_clean.jsonl", given.seeds[0]
    before = resume.done(log, {**how.facts, "seed": seed})
    records = {record["run"]: record for record in before if record["run"] < given.clean and "failed" not in record}
    left = [number for number in range(given.clean) if number not in records]
    for number, record in resume.completed(partial(clean_run, how, seed), left, given.jobs, log):
        records[number] = record
        write(given.output / "tabular_clean", (records[each] for each in sorted(records)), clean_report)
        print(f"[{len(records)}/{given.clean}] {told_clean(record)}", flush=True)
    print(f"\n{clean_report([records[each] for each in sorted(records)])}")


if __name__ == "__main__":
    main()
