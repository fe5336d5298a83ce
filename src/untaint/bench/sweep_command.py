"""The command line of a sweep: which cells, where results go, and what an earlier run has done already."""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from untaint.bench import resume
from untaint.bench.corpora import DATA
from untaint.bench.sweep import Cell, How, Record, Subject, clean_run, run
from untaint.bench.sweep_report import clean_report, report, told_cell, told_clean
from untaint.errors import UntaintError
from untaint.features.settings import BUDGETS

Say = Callable[[str], None]


def main(subject: Subject, about: str, results: Path, say: Say) -> None:
    """Run what is left to run, and write after every cell. about: the help; results: where files go unless asked otherwise."""
    given = options(subject, about, results)
    how = How(given.data, given.budget, given.victim, resume.code())
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        (clean_runs if given.clean else cells)(subject, how, given, say)
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None


def options(subject: Subject, about: str, results: Path) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the packages (%(default)s)")
    parser.add_argument("--corpora", nargs="+", choices=subject.corpora, help="all of them unless named")
    parser.add_argument("--sizes", type=int, nargs="+", default=[subject.size])
    parser.add_argument(
        "--sources", type=int, nargs="+", default=[0, 20], help=f"how many send the {subject.noun}; 0 = nobody knows"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--attacks", nargs="+", default=[], metavar="PART", help="only those whose name holds any of these")
    parser.add_argument("--budget", choices=BUDGETS, default="standard")
    parser.add_argument("--victim", action="store_true", help="train classifiers before and after removal")
    parser.add_argument("--clean", type=int, metavar="RUNS", help="audit this many random clean sets instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, each with one thread (%(default)s)")
    parser.add_argument("--output", type=Path, default=results, help="folder (%(default)s)")
    return parser.parse_args()


def planned(subject: Subject, given: argparse.Namespace) -> list[Cell]:
    """The cells asked for; sizes over what a corpus has become what leaves enough for a test. Raises BadInput for unknown ones."""
    found = []
    for name in given.corpora or subject.corpora:
        most = len(subject.load(name, given.data)) - subject.least_tested
        sizes = sorted({min(size, most) for size in given.sizes})
        sources = [subject.fixed[name]] if name in subject.fixed else given.sources
        found += [Cell(name, *rest) for rest in product(sizes, subject.chosen(tuple(given.attacks)), sources, given.seeds)]
    return found


def cells(subject: Subject, how: How, given: argparse.Namespace, say: Say) -> None:
    """Every attack."""
    wanted, log = planned(subject, given), given.output / f"{subject.file}.jsonl"
    before = {
        Cell(*(record[key] for key in Cell._fields)): record for record in resume.done(log, how.facts) if "failed" not in record
    }
    records = {cell: before[cell] for cell in wanted if cell in before}
    left = [cell for cell in wanted if cell not in records]
    told = partial(report, subject)
    say(f"{len(wanted)} cells, {len(records)} done before")
    for cell, record in resume.completed(partial(run, subject, how), left, given.jobs, log):
        records[cell] = record
        write(given.output / subject.file, (records[each] for each in wanted if each in records), told)
        say(f"[{len(records)}/{len(wanted)}] {told_cell(subject, record)}")
    say(f"\n{told([records[each] for each in wanted])}")


def clean_runs(subject: Subject, how: How, given: argparse.Namespace, say: Say) -> None:
    """Every clean set."""
    name, seed = f"{subject.file}_clean", given.seeds[0]
    log = given.output / f"{name}.jsonl"
    before = resume.done(log, {**how.facts, "seed": seed})
    records = {record["run"]: record for record in before if record["run"] < given.clean and "failed" not in record}
    left = [number for number in range(given.clean) if number not in records]
    told = partial(clean_report, subject)
    for number, record in resume.completed(partial(clean_run, subject, how, seed), left, given.jobs, log):
        records[number] = record
        write(given.output / name, (records[each] for each in sorted(records)), told)
        say(f"[{len(records)}/{given.clean}] {told_clean(subject, record)}")
    say(f"\n{told([records[each] for each in sorted(records)])}")


def write(path: Path, records: Iterable[Record], tables: Callable[[Sequence[Record]], str]) -> None:
    """Tables and what is behind them."""
    ordered = list(records)
    path.with_suffix(".json").write_text(json.dumps(ordered, indent=1) + "\n")
    path.with_suffix(".md").write_text(tables(ordered))
