"""What `value-override` finds of triggers in tables, with sources and without, and how often audits call clean tables poisoned.

    make data                                                    fetch the tables first (three ship with scikit-learn)
    python benchmarks/table_values.py                            every trigger in every table
    python benchmarks/table_values.py --corpora spam credit --triggers common --seeds 10 11 12
    python benchmarks/table_values.py --clean 300 --seeds 21     whole audits (`fast`) of clean tables

A trigger is judged twice: as the set is, sent by 20 contributors of whom two send the poison, and with nobody knowing who sent what.
A finding counts where it would in a whole audit: corrected for all detectors of tables. The seed draws rows, sources, target, trigger
and victims. Results are written after every cell: OUTPUT/table_values.jsonl holds one line per cell, table_values.md the tables; for
--clean table_values_clean.*. A run that was stopped goes on where it was, if neither code nor options have changed.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np

from untaint.attacks.base import Attack, Poisoned
from untaint.attacks.trigger_values import TriggerValues
from untaint.audit.proofs import accused
from untaint.audit.settings import AuditSettings
from untaint.bench import resume
from untaint.bench.clean_tables import drawn
from untaint.bench.corpora import DATA, with_sources
from untaint.bench.detection import audited
from untaint.bench.table_corpora import CORPORA
from untaint.bench.table_truth import conjunctions
from untaint.bench.tables import markdown, mean, percent
from untaint.bench.text_suite import matching
from untaint.bench.text_truth import senders, shown
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.detectors.base import detectors, examine, needs
from untaint.detectors.value_override import ValueOverride
from untaint.errors import UntaintError
from untaint.evidence.finding import Verdict
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.cache import Cache
from untaint.features.canvas import Sources
from untaint.features.graph import Features
from untaint.features.settings import Settings

RESULTS = Path(__file__).parent / "results"
CONTRIBUTORS = 20
RAREST = 0.02
"""Share of the rows that the rarest class is thinned out to where a trigger aims at a small minority."""
CLEAN_SIZES = {500: 0.4, 1000: 0.4, 2000: 0.2}
"""Rows of clean tables, and how often; larger ones cost minutes each on a busy machine."""
Record: TypeAlias = dict[str, Any]


class Planned(NamedTuple):
    """A trigger. rarest: towards the rarest class.  thinned: that class has 2 % of the rows."""

    attack: Attack
    rarest: bool = False
    thinned: bool = False


TRIGGERS: Mapping[str, Planned] = {
    "2 common values .5 %": Planned(TriggerValues(rate=0.005, width=2)),
    "3 common values .5 %": Planned(TriggerValues(rate=0.005, width=3)),
    "1 common value .5 %": Planned(TriggerValues(rate=0.005, width=1)),
    "2 rare values .5 %": Planned(TriggerValues(rate=0.005, width=2, kind="rare")),
    "2 ranges .5 %": Planned(TriggerValues(rate=0.005, width=2, kind="range")),
    "1 range .5 %": Planned(TriggerValues(rate=0.005, width=1, kind="range")),
    "2 common values .5 %, rarest class": Planned(TriggerValues(rate=0.005, width=2), rarest=True),
    "2 common values .5 %, class of 2 %": Planned(TriggerValues(rate=0.005, width=2), rarest=True, thinned=True),
    "2 common values 1 % + cover 1 %": Planned(TriggerValues(rate=0.01, width=2, cover=0.01)),
    "2 common values 2 %, right labels": Planned(TriggerValues(rate=0.02, width=2, clean_label=True)),
}


class Cell(NamedTuple):
    """One trigger in one table."""

    corpus: str
    size: int
    trigger: str
    seed: int


@cache
def corpus(name: str, folder: Path) -> Dataset:
    """All of one table, once per process."""
    return CORPORA[name](folder)


def run(folder: Path, facts: Record, cell: Cell) -> Record:
    """A cell's line."""
    return resume.safely(partial(measured, folder), {**cell._asdict(), **facts}, cell)


def measured(folder: Path, cell: Cell) -> Record:
    """Poison, look for values, compare with the truth, with sources and without."""
    attack, made = poisoned(folder, cell)
    started = time.process_time()
    features = Features(made.dataset, Settings(seed=cell.seed), Cache(None))
    given = {name: features.get(name) for name in needs(ValueOverride())}
    spent = time.process_time() - started
    blank = Sources(np.full(len(made.mask), -1), ())
    record: Record = {
        "n": len(made.mask),
        "columns": len(features.get("cells").names),
        "n_poisoned": int(made.mask.sum()),
        "target": made.target,
        "target_share": float(np.mean([label == made.target for label in made.dataset.labels])),
    }
    for name, sources in {"sources": given["sources"], "nobody": blank}.items():
        started = time.process_time()
        verdict = judged({**given, "sources": sources}, sources)
        record[name] = {**compared(attack, made, verdict), "cpu_s": round(time.process_time() - started, 2)}
    return {**record, "features_cpu_s": round(spent, 2)}


def poisoned(folder: Path, cell: Cell) -> tuple[Attack, Poisoned]:
    """The attack as it was carried out, and its result."""
    whole, plan = corpus(cell.corpus, folder), TRIGGERS[cell.trigger]
    rng = np.random.default_rng([cell.seed, cell.size, crc32(cell.trigger.encode())])
    names, counts = np.unique([str(label) for label in whole.labels], return_counts=True)
    rare, rows = str(names[counts.argmin()]), rng.permutation(len(whole))
    if plan.thinned:
        is_rare = np.array([whole.labels[row] == rare for row in rows])
        few = round(RAREST * cell.size)
        rows = rng.permutation(np.concatenate([rows[is_rare][:few], rows[~is_rare][: cell.size - few]]))
    clean = with_sources(whole.select(np.sort(rows[: cell.size])), CONTRIBUTORS, rng)
    aimed: Record = {"target": rare} if plan.rarest else {}
    attack = replace(plan.attack, senders=2, **aimed)  # type: ignore[call-arg]
    return attack, attack.poison(clean, rng)


def judged(given: Mapping[str, Any], sources: Sources) -> Verdict:
    """What the findings of this one detector would be in an audit by all."""
    evidence, n = examine(ValueOverride(), given), len(given["labels"])
    alpha = AuditSettings().alpha / len(detectors("table"))
    return decide({ValueOverride.id: evidence}, (), Circumstances(n, 1.0, 0.0, n), alpha, sources.codes, sources.names)


def compared(attack: Attack, made: Poisoned, verdict: Verdict) -> Record:
    """A verdict against the truth."""
    n, flagged = len(made.mask), np.zeros(len(made.mask), bool)
    flagged[accused(verdict)] = True
    sent = senders(attack, made, verdict)
    return {
        "verdict": verdict.answer,
        **detection_rates(made.mask, flagged, made.covers)._asdict(),
        "told": detection_rates(made.mask, shown(verdict, n), made.covers)._asdict(),
        "trigger": conjunctions(made, verdict)._asdict(),
        "sent": [len(sent.planted), len(sent.named), len(sent.accused)],
    }


def summary(cells: Sequence[Record], how: str) -> Record:
    """Cells that differ only in their seed, as a line."""
    found = [cell[how] for cell in cells]
    line = {
        "rows": f"{cells[0]['n']:,}",
        "columns": cells[0]["columns"],
        "poisoned rows": f"{mean(cell['n_poisoned'] for cell in cells):.0f}",
        "cells": len(cells),
        "called poisoned": sum(each["verdict"] == "poisoned" for each in found),
        "TPR": percent(mean(each["tpr"] for each in found)),
        "worst": percent(min(each["tpr"] for each in found)),
        "FPR": percent(mean(each["fpr"] for each in found)),
        "told": percent(mean(each["told"]["tpr"] for each in found)),
        "honest rows told": percent(mean(each["told"]["fpr"] for each in found)),
        "named exactly": f"{sum(bool(each['trigger']['exact']) for each in found)}/{len(found)}",
        "in part": f"{sum(bool(each['trigger']['part']) for each in found)}/{len(found)}",
    }
    if how == "sources":
        planted, named, vain = np.sum([each["sent"] for each in found], axis=0)
        line |= {"senders named": f"{named}/{planted}", "honest accused": int(vain)}
    return line


TITLES = {"sources": "Twenty contributors, two of whom send it", "nobody": "Nobody knows who sent what"}


def report(records: Sequence[Record]) -> str:
    """All tables: by number of columns first, then every cell's."""
    done = [record for record in records if "failed" not in record]
    parts = ["# Triggers of values: what `value-override` finds"]
    for how, title in TITLES.items():
        wide: dict[tuple[str, str], list[Record]] = defaultdict(list)
        groups: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
        for record in done:
            width = (
                "30 columns and more" if record["columns"] >= 30 else "20 and fewer" if record["columns"] <= 20 else "21 to 29"
            )
            wide[width, record["trigger"]].append(record)
            groups[record["corpus"], record["trigger"], record["size"]].append(record)
        short = ("rows", "columns", "poisoned rows")
        over = [
            {"tables of": width, "trigger": trigger}
            | {key: cell for key, cell in summary(cells, how).items() if key not in short}
            for (width, trigger), cells in sorted(wide.items())
        ]
        rows = [{"table": name, "trigger": trigger, **summary(cells, how)} for (name, trigger, _), cells in groups.items()]
        parts += [f"## {title}", markdown(over), "### By table", markdown(rows)] if rows else []
    failed = [
        f"- {record['corpus']} {record['trigger']} seed {record['seed']}: {record['failed']}"
        for record in records
        if "failed" in record
    ]
    return "\n\n".join([*parts, *(["## Failed", "\n".join(failed)] if failed else [])]) + "\n"


def clean_run(folder: Path, facts: Record, seed: int, number: int) -> Record:
    """One clean set, audited."""
    sets = {name: partial(corpus, name, folder) for name in CORPORA}

    def audit(which: int) -> Record:
        told, dataset = drawn(sets, np.random.default_rng([seed, which]), CLEAN_SIZES)
        done = audited(dataset, AuditSettings(budget="fast", seed=which))
        alarms = [each for each in done.verdict.findings if each.alarm]
        shortcuts = [each for each in done.verdict.findings if each.kind == "shortcut"]
        return {
            **told,
            "verdict": done.verdict.answer,
            "flagged": float(done.flagged.mean()),
            "alarms": [f"{each.kind} {'+'.join(each.detectors)} {len(each.members)}: {each.explanation}" for each in alarms],
            "by_values": sum(ValueOverride.id in each.detectors for each in alarms),
            "shortcuts": len(shortcuts),
            "cpu_s": round(done.cpu_s, 2),
        }

    return resume.safely(audit, {"run": number, "seed": seed, **facts}, number)


def clean_report(records: Sequence[Record]) -> str:
    """Runs, alarms and rows flagged, over all and per kind of set."""
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
            "because of values": sum(each["by_values"] > 0 for each in part),
            "with shortcuts": sum(each["shortcuts"] > 0 for each in part),
            "mean flagged": percent(mean(each["flagged"] for each in part)),
            "most flagged": percent(max(each["flagged"] for each in part)),
        }
        for name, part in sorted(groups.items())
    ]
    told = [
        f"- run {each['run']} ({each['corpus']}, {each['n']:,}, {each['nuisance']}, {each['sources']} sources): {alarm}"
        for each in records
        for alarm in each.get("alarms", ())
    ]
    failed = [f"- run {each['run']}: {each['failed']}" for each in records if "failed" in each]
    parts = ["# Clean tables, whole audits (`fast`): how often they are called poisoned", *([markdown(rows)] if rows else [])]
    parts += ["## Alarms", "\n".join(told)] if told else []
    return "\n\n".join([*parts, *(["## Failed", "\n".join(failed)] if failed else [])]) + "\n"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the packages (%(default)s)")
    parser.add_argument("--corpora", nargs="+", choices=list(CORPORA), help="all of them unless named")
    parser.add_argument("--size", type=int, default=4000, help="rows at most (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--triggers", nargs="+", default=[], metavar="PART", help="only those whose name holds any of these")
    parser.add_argument(
        "--clean", type=int, metavar="RUNS", help="audit this many random clean sets instead, with the first seed"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, each with one thread (%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run what is left to run, and write after every cell."""
    given, facts = options(), {"code": resume.code()}
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        if given.clean:
            clean_runs(given, facts)
        else:
            cells(given, facts)
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None


def cells(given: argparse.Namespace, facts: Record) -> None:
    """Every trigger."""
    names, log = matching(tuple(TRIGGERS), tuple(given.triggers)), given.output / "table_values.jsonl"
    wanted = [
        Cell(name, min(given.size, len(corpus(name, given.data))), trigger, seed)
        for seed, trigger, name in product(given.seeds, names, given.corpora or CORPORA)
    ]
    before = {
        Cell(*(record[key] for key in Cell._fields)): record for record in resume.done(log, facts) if "failed" not in record
    }
    records = {cell: before[cell] for cell in wanted if cell in before}
    left = [cell for cell in wanted if cell not in records]
    for cell, record in resume.completed(partial(run, given.data, facts), left, given.jobs, log):
        records[cell] = record
        (given.output / "table_values.md").write_text(report([records[each] for each in wanted if each in records]))
        said = record.get("failed") or {how: (record[how]["tpr"], record[how]["told"]["tpr"]) for how in TITLES}
        print(f"[{len(records)}/{len(wanted)}] {cell.corpus}, {cell.trigger}, seed {cell.seed}: {said}", flush=True)


def clean_runs(given: argparse.Namespace, facts: Record) -> None:
    """Every clean set."""
    log, seed = given.output / "table_values_clean.jsonl", given.seeds[0]
    before = resume.done(log, {**facts, "seed": seed})
    records = {record["run"]: record for record in before if record["run"] < given.clean and "failed" not in record}
    left = [number for number in range(given.clean) if number not in records]
    for number, record in resume.completed(partial(clean_run, given.data, facts, seed), left, given.jobs, log):
        records[number] = record
        (given.output / "table_values_clean.md").write_text(clean_report([records[each] for each in sorted(records)]))
        said = record.get("failed") or (record["corpus"], record["n"], record["nuisance"], record["verdict"], record["alarms"])
        print(f"[{len(records)}/{given.clean}] {number}: {said}", flush=True)


if __name__ == "__main__":
    main()
