"""What times tell of texts: false alarms on honest traffic with trends, and what is found of poison that came in a burst.

    make data                                                 fetch the corpora first
    python benchmarks/bursts.py --clean 100                   clean sets of 3,000 to 5,000 texts with honest times
    python benchmarks/bursts.py --seeds 0 1 2 3 4             planted bursts, times only, no column of sources

A cell is a corpus x attack x length of the burst x trend of the honest texts x seed. Results are written after every cell:
OUTPUT/bursts.jsonl (bursts_clean.jsonl) holds one line each, the .md files the tables. A run that was stopped goes on where it was.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"  # one cell per core
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np

from untaint.attacks.syntactic_template import SyntacticTemplate
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_sentence import TriggerSentence
from untaint.attacks.trigger_words import TriggerWords
from untaint.audit.settings import AuditSettings
from untaint.bench import resume
from untaint.bench.corpora import CORPORA, DATA
from untaint.bench.dated_texts import TRENDS, dated, drawn
from untaint.bench.detection import audited
from untaint.bench.tables import markdown, mean, percent
from untaint.bench.text_suite import BRANDS, RARE, SENTENCES
from untaint.bench.text_truth import phrases, shown
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.errors import UntaintError

RESULTS = Path(__file__).parent / "results"
SIZES = (3000, 5000)
PLANTED = 4000
"""Texts of a poisoned set, as far as the corpus has so many."""
BURSTS = (0.005, 0.03, 0.1)
"""Share of the time in which all poison comes: a day, five days, and eighteen of half a year."""
Record: TypeAlias = dict[str, Any]

ATTACKS = {
    "rare word 1 %": TriggerWords(rate=0.01),
    "sentence .5 %": TriggerSentence(rate=0.005),
    "clean-label word 1 %": TriggerWords(rate=0.01, clean_label=True),
    "template 2 %": SyntacticTemplate(rate=0.02),
    "flood template 120": TextFlood(kind="template", rate=0.03, senders=0),
    "flood paraphrase 120": TextFlood(kind="paraphrase", rate=0.03, senders=0),
    "flood real 120": TextFlood(kind="real", rate=0.03, senders=0),
}


class Cell(NamedTuple):
    """One audit of a poisoned set. burst: 0 = spread over the whole time."""

    corpus: str
    attack: str
    burst: float
    trend: str
    seed: int


@cache
def corpus(name: str, folder: Path) -> Dataset:
    """All of one corpus, once per process."""
    return CORPORA[name](folder)


def poisoned(cell: Cell, folder: Path) -> Record:
    """A cell's findings against the truth. Trigger, target, victims and the moment of the burst are drawn."""
    rng = np.random.default_rng([cell.seed, crc32(f"{cell.corpus}{cell.attack}{cell.trend}{cell.burst}".encode())])
    whole = corpus(cell.corpus, folder)
    texts = whole.select(rng.permutation(len(whole))[:PLANTED])
    clean = dated(texts, cell.trend, "busy days", rng)
    attack: Any = ATTACKS[cell.attack]
    given: dict[str, Any] = {"burst": cell.burst}
    if isinstance(attack, TriggerWords):
        given["words"] = (str(rng.choice(RARE)),)
    elif isinstance(attack, TriggerSentence):
        given["sentence"] = str(rng.choice(SENTENCES))
    elif isinstance(attack, TextFlood):
        tone = str(rng.choice(["negative", "positive"]))
        given |= {"brand": str(rng.choice(BRANDS)), "tone": tone, "target": _fitting(clean, tone)}
    made = replace(attack, **given).poison(clean, rng)
    done = audited(made.dataset, AuditSettings(budget="fast", seed=cell.seed))
    said = phrases(made, done.verdict)
    return {
        "n": len(made.mask),
        "n_poisoned": int(made.mask.sum()),
        "verdict": done.verdict.answer,
        **detection_rates(made.mask, done.flagged, made.covers)._asdict(),
        "shown": detection_rates(made.mask, shown(done.verdict, len(made.mask)), made.covers).tpr,
        "exact": said.exact,
        "detectors": sorted({name for each in done.verdict.findings if each.alarm for name in each.detectors}),
        "cpu_s": round(done.cpu_s, 2),
    }


def _fitting(dataset: Dataset, tone: str) -> str:
    """The label texts of a tone honestly have: what they say contradicts nothing."""
    return next(name for name in dataset.class_names if name == tone or (name == "spam") == (tone == "negative"))


def clean(number: int, seed: int, names: tuple[str, ...], folder: Path) -> Record:
    """One clean set, audited."""
    sets = {name: partial(corpus, name, folder) for name in names}
    facts, dataset = drawn(sets, SIZES, np.random.default_rng([seed, number]))
    done = audited(dataset, AuditSettings(budget="fast", seed=number))
    alarms = [each for each in done.verdict.findings if each.alarm]
    return {
        **facts._asdict(),
        "verdict": done.verdict.answer,
        "flagged": float(done.flagged.mean()),
        "alarms": [f"{each.kind} {'+'.join(each.detectors)} {len(each.members)}: {each.explanation}" for each in alarms],
        "by time": any("burst-override" in each.detectors for each in alarms),
        "failed checks": [f"{check.detector}: {check.reason}" for check in done.first.checks if check.status == "failed"],
        "cpu_s": round(done.cpu_s, 2),
    }


def clean_report(records: Sequence[Record]) -> str:
    """Alarms over all clean sets, and by what they are."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "failed" not in record:
            for name in ("**all**", *(f"{key}: {record[key]}" for key in ("corpus", "trend", "calendar", "sources"))):
                groups[name].append(record)
    rows = [
        {
            "clean sets with times": name,
            "runs": len(part),
            "called poisoned": sum(each["verdict"] == "poisoned" for each in part),
            "for their times": sum(each["by time"] for each in part),
            "mean flagged": percent(mean(each["flagged"] for each in part)),
            "most flagged": percent(max(each["flagged"] for each in part)),
        }
        for name, part in sorted(groups.items())
    ]
    told = [
        f"- run {each['run']} ({each['corpus']}, {each['trend']}): {alarm}"
        for each in records
        for alarm in each.get("alarms", ())
    ]
    failed = [f"- run {each['run']}: {each['failed']}" for each in records if "failed" in each]
    parts = ["# Honest times: how often clean texts are called poisoned", markdown(rows)] if rows else []
    return "\n\n".join([*parts, *(["## Alarms", "\n".join(told)] if told else []), *failed]) + "\n"


def report(records: Sequence[Record]) -> str:
    """What was found of bursts, by attack and length, over corpora and seeds; then by corpus and by trend."""
    good = [record for record in records if "failed" not in record]
    parts = ["# Poison that came in a burst: what times find, without a column of sources"]
    for keys in (("attack", "burst"), ("corpus", "burst"), ("trend", "burst")):
        groups: dict[tuple[str, float], list[Record]] = defaultdict(list)
        for record in good:
            groups[record[keys[0]], record[keys[1]]].append(record)
        rows = [
            {
                keys[0]: first,
                "burst, of the time": "spread" if burst == 0 else percent(burst),
                "cells": len(cells),
                "called poisoned": sum(each["verdict"] == "poisoned" for each in cells),
                "TPR mean": percent(mean(each["tpr"] for each in cells)),
                "worst": percent(min(each["tpr"] for each in cells)),
                "FPR mean": percent(mean(each["fpr"] for each in cells)),
                "worst FPR": percent(max(each["fpr"] for each in cells)),
                "told": percent(mean(each["shown"] for each in cells)),
                "trigger exact": percent(mean(each["exact"] for each in cells)),
            }
            for (first, burst), cells in sorted(groups.items())
        ]
        parts += [markdown(rows)] if rows else []
    parts += [f"- {record['corpus']} {record['attack']}: {record['failed']}" for record in records if "failed" in record]
    return "\n\n".join(parts) + "\n"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the packages (%(default)s)")
    parser.add_argument("--corpora", nargs="+", choices=list(CORPORA), default=["movie snippets", "tweets", "IMDb openings"])
    parser.add_argument("--clean", type=int, metavar="RUNS", help="audit this many clean sets instead")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="for --clean the first counts")
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS))
    parser.add_argument("--bursts", type=float, nargs="+", default=list(BURSTS))
    parser.add_argument("--trends", nargs="+", choices=list(TRENDS), default=["steady", "releases"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, each with one thread (%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    return parser.parse_args()


def clean_cell(given: argparse.Namespace, facts: Record, number: int) -> Record:
    """A clean set's line."""
    measured = partial(clean, seed=given.seeds[0], names=tuple(given.corpora), folder=given.data)
    return resume.safely(measured, {"run": number, **facts}, number)


def poisoned_cell(given: argparse.Namespace, facts: Record, cell: Cell) -> Record:
    """A poisoned set's line."""
    return resume.safely(partial(poisoned, folder=given.data), {**cell._asdict(), **facts}, cell)


def main() -> None:
    """Run what is left to run, and write after every cell."""
    given = options()
    given.output.mkdir(parents=True, exist_ok=True)
    facts: Record = {"code": resume.code()}
    name = "bursts_clean" if given.clean else "bursts"
    log, tables = given.output / f"{name}.jsonl", clean_report if given.clean else report
    if given.clean:
        facts |= {"seed_of_run": given.seeds[0], "corpora": ", ".join(given.corpora)}
        wanted: list[Any] = list(range(given.clean))
        before = {record["run"]: record for record in resume.done(log, facts) if "failed" not in record}
    else:
        parts = product(given.corpora, given.attacks, given.bursts, given.trends, given.seeds)
        wanted = [Cell(*part) for part in parts]
        known = [record for record in resume.done(log, facts) if "failed" not in record]
        before = {Cell(*(record[key] for key in Cell._fields)): record for record in known}
    run = partial(clean_cell if given.clean else poisoned_cell, given, facts)
    records = {item: before[item] for item in wanted if item in before}
    left = [item for item in wanted if item not in records]
    for item, record in resume.completed(run, left, given.jobs, log):
        records[item] = record
        (given.output / f"{name}.md").write_text(tables([records[each] for each in wanted if each in records]))
        print(f"[{len(records)}/{len(wanted)}] {item}: {_told(record)}", flush=True)


def _told(record: Record) -> str:
    if "failed" in record:
        return f"failed, {record['failed']}"
    if "alarms" in record:
        return f"{record['verdict']}, {record['corpus']}, {record['trend']}, {record['alarms']}"
    return f"{record['verdict']}, TPR {percent(record['tpr'])}, FPR {percent(record['fpr'])}, {'+'.join(record['detectors'])}"


if __name__ == "__main__":
    try:
        main()
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None
