"""Wrong labels of real tables: how they are ranked beside cleanlab, what the list says of itself, and whether patterns are found.

    make data                                              fetch the tables first
    python benchmarks/table_labels.py                      seven tables, five seeds, every attack on labels
    python benchmarks/table_labels.py --corpora spam --attacks "random flips" --seeds 0 1
    python benchmarks/table_labels.py --clean 100          how often the tests of labels accuse clean tables

Only the detectors of labels run: label-consensus, pair-flips, label-islands and timed-flips, corrected for four. cleanlab ranks rows by
self-confidence (its own recommended score) under five-fold out-of-fold probabilities of scikit-learn's histogram boosting, of more
than ten classes of its forest of extremely random trees, at their defaults; TPR is at 1 % of honest rows. Accuracy is that of the
judge on labels before the attack. The oracle of random flips is the same judge taught on the labels before the attack: where it
misses, flips look like honest labels. The oracle of neighbourhoods knows the ball as well. Patterns are found if the verdict is
`poisoned` and the class pair, and the source where one is bound, are named. Results go to OUTPUT/table_labels.md and .json.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from untaint.attacks._cells import records, space
from untaint.attacks.base import Attack, Poisoned
from untaint.attacks.neighbourhood_flips import NeighbourhoodFlips
from untaint.attacks.random_flips import RandomFlips
from untaint.attacks.targeted_flips import TargetedFlips
from untaint.bench import resume
from untaint.bench.clean_tables import drawn
from untaint.bench.corpora import DATA, with_sources
from untaint.bench.detection import review_rates
from untaint.bench.table_corpora import CORPORA
from untaint.bench.table_truth import tpr_at
from untaint.bench.tables import markdown, mean, percent
from untaint.data.dataset import Dataset, timed
from untaint.detectors.base import Detector, examine, needs
from untaint.detectors.label_consensus import LabelConsensus
from untaint.detectors.label_islands import LabelIslands
from untaint.detectors.pair_flips import PairFlips
from untaint.detectors.timed_flips import TimedFlips
from untaint.errors import FeatureUnavailable, MissingExtra, UntaintError
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Verdict
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

RESULTS = Path(__file__).parent / "results"
BARRED = ("spam", "credit", "lending", "churn", "letters", "shuttle", "breast cancer")
TESTS: tuple[Detector, ...] = (LabelConsensus(), PairFlips(), LabelIslands(), TimedFlips())
SOURCES, ALPHA, SIZE = 20, 0.05, 3000
MOST_BOOSTED = 10
"""Classes up to which cleanlab is given boosting; beyond, a forest: boosting grows a tree for each class in every round."""
LEAST = 60  # flipped rows of one source, or of one time
ATTACKS = ("random flips 1 %", "random flips 5 %", "pair flips 10 %", "one source", "one time", "neighbourhood 1 %")
Record: TypeAlias = dict[str, Any]


class Cell(NamedTuple):
    """One table with one attack."""

    corpus: str
    attack: str
    seed: int


@cache
def corpus(name: str, folder: Path) -> Dataset:
    """All of one corpus, once per process."""
    return CORPORA[name](folder)


def attacked(name: str, clean: Dataset, rng: np.random.Generator) -> tuple[Dataset, Poisoned]:
    """The table as it would be without the attack, and with it."""
    if name.startswith("random"):
        return clean, _poisoned(RandomFlips(rate=float(name.split()[2]) / 100), clean, rng)
    if name.startswith("neighbourhood"):
        return clean, _poisoned(NeighbourhoodFlips(rate=0.01), clean, rng)
    if name.startswith("pair"):
        return clean, _poisoned(TargetedFlips(rate=0.1), clean, rng)
    return _bound(clean, rng, in_time=name == "one time")


def _poisoned(attack: Attack, clean: Dataset, rng: np.random.Generator) -> Poisoned:
    return attack.poison(clean, rng)


def _bound(clean: Dataset, rng: np.random.Generator, *, in_time: bool) -> tuple[Dataset, Poisoned]:
    """Sixty rows or a tenth of a class, if more, from one class to one other, all from one source or within a fiftieth of the time."""
    names, sizes = np.unique([str(label) for label in clean.labels if label is not None], return_counts=True)
    fitting = [place for place, size in enumerate(sizes) if size >= 2 * LEAST] or [int(sizes.argmax())]
    place = fitting[int(rng.integers(len(fitting)))]
    attack = TargetedFlips(rate=min(0.5, max(0.1, LEAST / sizes[place])), source=str(names[place]), senders=0 if in_time else 1)
    if not in_time:
        sent = with_sources(clean, SOURCES, rng)
        return sent, _poisoned(attack, sent, rng)
    hours = rng.permutation(len(clean))
    made = _poisoned(attack, clean, rng)
    start = int(rng.integers(len(clean) * 49 // 50))
    hours[made.mask] = rng.integers(start, start + len(clean) // 50, int(made.mask.sum()))
    times = np.datetime64("2026-01-01T00:00", "us") + hours * np.timedelta64(1, "h")
    return clean, replace(made, dataset=replace(made.dataset, index=timed(made.dataset.index, times)))


class Looked(NamedTuple):
    """What the tests of labels say of a table."""

    evidence: dict[str, Evidence]
    verdict: Verdict
    features: Features


def looked(dataset: Dataset, seed: int) -> Looked:
    """Every test of labels that has what it needs, and the verdict on them alone."""
    features = Features(dataset, Settings(seed=seed), Cache(None))
    evidence = {}
    for detector in TESTS:
        try:
            evidence[detector.id] = examine(detector, {name: features.get(name) for name in needs(detector)})
        except FeatureUnavailable:
            continue
    sources = features.get("sources")
    around = Circumstances(len(dataset), 1.0, float("nan"), len(dataset))  # only words a verdict that accuses nobody
    return Looked(evidence, decide(evidence, (), around, ALPHA, sources.codes, sources.names), features)


def run(how: Record, folder: Path, size: int, cell: Cell) -> Record:
    """A cell's line."""
    return resume.safely(partial(measured, folder, size), {**cell._asdict(), **how}, cell)


def measured(folder: Path, size: int, cell: Cell) -> Record:
    """Flip, judge, compare with the truth."""
    whole, rng = corpus(cell.corpus, folder), np.random.default_rng([cell.seed, ATTACKS.index(cell.attack)])
    clean, made = attacked(cell.attack, whole.select(np.sort(rng.permutation(len(whole))[:size])), rng)
    started = time.process_time()
    found = looked(made.dataset, cell.seed)
    line = {"n": len(clean), "flipped": int(made.mask.sum()), "cpu_s": round(time.process_time() - started, 2)}
    if cell.attack.startswith("random"):
        return line | ranked(clean, made, found)
    if cell.attack.startswith("neighbourhood"):
        tpr = {name: tpr_at(made.mask, each.scores, 0.01) for name, each in found.evidence.items()}
        oracle = tpr_at(made.mask, oracle_of_the_ball(clean, made, cell.seed), 0.01)
        return line | {"tpr": tpr, "oracle": oracle, "verdict": found.verdict.answer, **turned(clean, made)}
    return line | told(made, found.verdict)


def ranked(clean: Dataset, made: Poisoned, found: Looked) -> Record:
    """The list of doubtful labels, and cleanlab's."""
    consensus, content = found.evidence[LabelConsensus.id], found.features.get("content")
    low, high = consensus.precision_between
    names = np.array(clean.class_names)
    right = names[content.probabilities.argmax(1)] == np.array([str(label) for label in clean.labels])
    started = time.process_time()
    other = cleanlab_scores(found.features)
    return {
        "accuracy": float(right.mean()),
        "tpr": tpr_at(made.mask, consensus.scores, 0.01),
        "oracle": tpr_at(made.mask, doubt(clean, made, found.features.settings.seed), 0.01),
        "low": low,
        "high": high,
        "cleanlab": tpr_at(made.mask, other, 0.01),
        "cleanlab_cpu_s": round(time.process_time() - started, 2),
        **{
            key: value
            for key, value in review_rates(made.mask, consensus)._asdict().items()
            if key in {"listed", "stated", "true"}
        },
    }


def doubt(clean: Dataset, made: Poisoned, seed: int) -> np.ndarray:
    """(n,) how little a judge believes the labels of the attacked table that was taught on those before the attack."""
    features = Features(clean, Settings(seed=seed), Cache(None))
    codes = {name: code for code, name in enumerate(features.get("class_names"))}
    given = [codes[str(label)] for label in made.dataset.labels]
    return -np.log(np.clip(features.get("content").probabilities[np.arange(len(given)), given], 1e-6, 1))


def oracle_of_the_ball(clean: Dataset, made: Poisoned, seed: int) -> np.ndarray:
    """(n,) the same doubt, of the rows of the given label in the smallest ball around a flipped row that holds all; 0 elsewhere."""
    flipped, points = np.flatnonzero(made.mask), space(records(clean, np.arange(len(clean))))
    radii = [((points[flipped] - points[row]) ** 2).sum(1).max() for row in flipped]
    centre, radius = points[flipped[int(np.argmin(radii))]], min(radii) + 1e-9
    target = np.array([str(label) for label in made.dataset.labels]) == made.target
    return np.where((((points - centre) ** 2).sum(1) <= radius) & target, 1 + doubt(clean, made, seed), 0.0)


def turned(clean: Dataset, made: Poisoned) -> Record:
    """What label a neighbourhood got, and how common it is."""
    return {"target": made.target, "share": float(np.mean([str(label) == made.target for label in clean.labels]))}


def cleanlab_scores(features: Features) -> np.ndarray:
    """Minus cleanlab's quality of every label. Raises MissingExtra without cleanlab."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise MissingExtra("the comparison with cleanlab", "bench") from error
    cells, labels = features.get("cells"), features.get("labels")
    several = int(labels.max()) + 1 > MOST_BOOSTED
    values = np.nan_to_num(cells.values, nan=-1.0) if several else cells.values
    model = (
        ExtraTreesClassifier(random_state=0)
        if several
        else HistGradientBoostingClassifier(categorical_features=[kind == "category" for kind in cells.kinds], random_state=0)
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes of fewer rows than folds
        probabilities = np.zeros((len(labels), int(labels.max()) + 1))
        probabilities[:, np.unique(labels)] = cross_val_predict(model, values, labels, cv=folds, method="predict_proba")
    return -np.asarray(get_label_quality_scores(labels, probabilities, method="self_confidence"))


def told(made: Poisoned, verdict: Verdict) -> Record:
    """Whether the verdict, the pair of classes and the source are right; of a finding that accuses nobody, the pair."""
    alarms = [each for each in verdict.findings if each.alarm]
    pairs = {(each.source_label, each.target_label) for each in alarms}
    names = made.dataset.column("source")
    senders = {str(names[row]) for row in np.flatnonzero(made.mask) if names[row] is not None}
    blamed = {share.name for each in alarms for share in each.sources if share.p_value <= verdict.alpha}
    wanted = (made.source, made.target)
    return {
        "verdict": verdict.answer,
        "pair": wanted in pairs,
        "source": senders <= blamed if len(senders) == 1 else None,
        "wrong_pairs": sorted(str(pair) for pair in pairs - {wanted, (None, made.target)}),
        "shown": any((each.source_label, each.target_label) == wanted for each in verdict.findings),
        "members_right": mean(float(made.mask[each.members].mean()) for each in alarms),
    }


def clean_run(how: Record, folder: Path, seed: int, number: int) -> Record:
    """One clean table, of the same kinds as the benchmark of whole audits draws, one in two with times."""
    sets = {name: partial(corpus, name, folder) for name in CORPORA}

    def measured_clean(which: int) -> Record:
        rng = np.random.default_rng([seed, which])
        facts, dataset = drawn(sets, rng)
        dataset = dataset.select(np.sort(rng.permutation(len(dataset))[:SIZE]))
        if which % 2:
            hours = rng.permutation(len(dataset)) * np.timedelta64(1, "h")
            dataset = replace(dataset, index=timed(dataset.index, np.datetime64("2026-01-01T00:00", "us") + hours))
        verdict = looked(dataset, which).verdict
        return {
            **facts,
            "n": len(dataset),
            "dated": bool(which % 2),
            "verdict": verdict.answer,
            "alarms": [f"{'+'.join(each.detectors)}: {each.explanation}" for each in verdict.findings if each.alarm],
            "shortcuts": [
                f"{'+'.join(each.detectors)}: {each.explanation}" for each in verdict.findings if each.kind == "shortcut"
            ],
        }

    return resume.safely(measured_clean, {"run": number, "seed": seed, **how}, number)


def report(records: Sequence[Record]) -> str:
    """All tables."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if "failed" not in record:
            groups[record["attack"], record["corpus"]].append(record)
    parts = ["# Wrong labels of tables"]
    for title, said, line in (
        ("Ranking", ("random",), ranking),
        ("Neighbourhoods", ("neigh",), around),
        ("Patterns", ("pair", "one"), patterns),
    ):
        rows = [
            {"attack": attack, "table": name, "runs": len(part), **line(part)}
            for (attack, name), part in sorted(groups.items())
            if attack.startswith(said)
        ]
        parts += [f"## {title}", markdown(rows)] if rows else []
    if failed := [
        f"- {each['corpus']}, {each['attack']}, seed {each['seed']}: {each['failed']}" for each in records if "failed" in each
    ]:
        parts += ["## Failed", "\n".join(failed)]
    return "\n\n".join(parts) + "\n"


def ranking(part: list[Record]) -> Record:
    """Of random flips."""
    told = [each for each in part if finite(each["stated"]) and finite(each["true"])]
    asked = [each for each in part if finite(each["low"]) and finite(each["true"])]
    inside = [each["low"] - 1e-9 <= each["true"] <= each["high"] + 1e-9 for each in asked]
    return {
        "accuracy": percent(mean(each["accuracy"] for each in part)),
        "TPR at 1 %": percent(mean(each["tpr"] for each in part)),
        "oracle": percent(mean(each["oracle"] for each in part)),
        "cleanlab": percent(mean(each["cleanlab"] for each in part)),
        "listed": f"{mean(each['listed'] for each in part):.0f}",
        "true precision": percent(mean(each["true"] for each in asked)),
        "said between": f"{percent(mean(each['low'] for each in asked))} and {percent(mean(each['high'] for each in asked))}",
        "truth inside": f"{sum(inside)} of {len(asked)}",
        "one number told": f"{len(told)}, off by {percent(mean(abs(each['stated'] - each['true']) for each in told))}"
        if told
        else "never",
        "CPU s": f"{mean(each['cpu_s'] for each in part):.1f}",
        "cleanlab CPU s": f"{mean(each['cleanlab_cpu_s'] for each in part):.1f}",
    }


def finite(value: float | None) -> bool:
    """Whether a number is one; it is None in files."""
    return value is not None and bool(np.isfinite(value))


def around(part: list[Record]) -> Record:
    """Of neighbourhoods: TPR at 1 % by each detector."""
    names = [detector.id for detector in TESTS if detector.id in part[0]["tpr"]]
    return {
        "label given is common in": f"{sum(each['share'] > 0.5 for each in part)} of {len(part)}",
        **{f"TPR at 1 %, {name}": percent(mean(each["tpr"][name] for each in part)) for name in names},
        "oracle": percent(mean(each["oracle"] for each in part)),
        "called poisoned": sum(each["verdict"] == "poisoned" for each in part),
    }


def patterns(part: list[Record]) -> Record:
    """Of flips from one class to one other."""
    return {
        "called poisoned": sum(each["verdict"] == "poisoned" for each in part),
        "pair named": sum(each["pair"] for each in part),
        "source named": sum(bool(each["source"]) for each in part) if part[0]["source"] is not None else "-",
        "pair shown, accused or not": sum(each["shown"] for each in part),
        "wrong pairs": sum(len(each["wrong_pairs"]) for each in part),
        "rows accused that are flips": percent(mean(each["members_right"] for each in part)),
    }


def clean_report(records: Sequence[Record]) -> str:
    """Runs and alarms by kind of table, and what each alarm said."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "failed" not in record:
            for name in ("**all**", *(f"{key}: {record[key]}" for key in ("corpus", "sources", "dated", "nuisance"))):
                groups[name].append(record)
    rows = [
        {
            "clean tables": name,
            "runs": len(part),
            "called poisoned": sum(each["verdict"] == "poisoned" for each in part),
            "with shortcuts": sum(bool(each["shortcuts"]) for each in part),
        }
        for name, part in sorted(groups.items())
    ]
    said = [
        f"- run {each['run']} ({each['corpus']}, {each['n']:,}): {alarm}" for each in records for alarm in each.get("alarms", ())
    ]
    failed = [f"- run {each['run']}: failed, {each['failed']}" for each in records if "failed" in each]
    parts = ["# Clean tables: what the tests of labels accuse", markdown(rows)] if rows else []
    return "\n\n".join([*parts, *(["\n".join([*said, *failed])] if said or failed else [])]) + "\n"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="+", choices=sorted(CORPORA), default=list(BARRED))
    parser.add_argument("--attacks", nargs="+", default=[""], help="parts of their names")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--size", type=int, default=SIZE, help="rows at most (%(default)s)")
    parser.add_argument("--clean", type=int, default=0, metavar="RUNS", help="clean tables instead, of the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run what is asked for, write after each."""
    given = options()
    given.output.mkdir(parents=True, exist_ok=True)
    how = {"code": resume.code(), "size": given.size}
    try:
        everything(how, given)
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None


def everything(how: Record, given: argparse.Namespace) -> None:
    """All cells, or all clean tables."""
    path = given.output / ("table_labels_clean" if given.clean else "table_labels")
    log, tables = path.with_suffix(".jsonl"), clean_report if given.clean else report
    wanted: list[Any] = list(range(given.clean)) or [
        Cell(name, attack, seed)
        for seed in given.seeds
        for name in given.corpora
        for attack in ATTACKS
        if any(part in attack for part in given.attacks)
    ]
    facts = {**how, "seed": given.seeds[0]} if given.clean else how
    records: dict[Any, Record] = {}
    for record in resume.done(log, facts):
        key = record["run"] if given.clean else Cell(record["corpus"], record["attack"], record["seed"])
        if "failed" not in record:
            records[key] = record
    task: Any = partial(clean_run, how, given.data, given.seeds[0]) if given.clean else partial(run, how, given.data, given.size)
    for key, record in resume.completed(task, [each for each in wanted if each not in records], given.jobs, log):
        records[key] = record
        ordered = [records[each] for each in wanted if each in records]
        path.with_suffix(".json").write_text(json.dumps(ordered, indent=1) + "\n")
        path.with_suffix(".md").write_text(tables(ordered))
        print(
            f"[{len(ordered)}/{len(wanted)}] {key} { {name: value for name, value in record.items() if name not in how} }",
            flush=True,
        )
    print(tables([records[each] for each in wanted if each in records]))


if __name__ == "__main__":
    main()
