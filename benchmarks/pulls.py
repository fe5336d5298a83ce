"""What the spectral filter on gradients adds on tables, and why no detector of outliers ships: ranks, answers, and clean tables.

    make data                                       fetch the tables first (one ships with scikit-learn)
    python benchmarks/pulls.py                      five tables of 2,000 rows, three seeds
    python benchmarks/pulls.py --clean 120          how often `gradient-pull` speaks of clean tables

Only `gradient-pull` is run, with its small network; its p-values are corrected for all detectors of tables. Twenty invented sources as
busy as Zipf's law says. TPR is at 1 % of honest rows. Beside it stand scikit-learn's isolation forest (100 trees), tail probabilities by
the empirical distribution of each column (as ECOD sums them), and robust covariance (MinCovDet on 15 principal directions), all on
standardised columns, the same that the filter sees. Written to results/pulls.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.covariance import MinCovDet
from sklearn.ensemble import IsolationForest

from untaint.attacks.base import Poisoned
from untaint.attacks.greedy_flips import GreedyFlips
from untaint.bench.clean_tables import drawn
from untaint.bench.corpora import DATA, with_sources
from untaint.bench.table_corpora import CORPORA
from untaint.bench.table_suite import poisoned
from untaint.bench.table_truth import tpr_at
from untaint.bench.tables import markdown
from untaint.data.dataset import Dataset
from untaint.detectors.base import detectors, examine, needs
from untaint.detectors.gradient_pull import GradientPull
from untaint.errors import UntaintError
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.table_places import spread
from untaint.numerics import principal

RESULTS = Path(__file__).parent / "results" / "pulls.md"
TABLES = ("breast cancer", "spam", "credit", "letters", "shuttle")
ATTACKS = (
    "greedy flips 5 %",
    "greedy flips 5 %, one source",
    "greedy flips 5 %, two sources",
    "random flips 5 %",
    "pair flips 10 % of class",
    "pair flips 10 % of class, one source",
    "neighbourhood 1 %",
    "copied block 2 %",
    "2 common values 1 %",
    "leverage x 100 in all columns",
)
ALPHA = 0.01
SIZES = {500: 0.25, 1000: 0.35, 2000: 0.4}
DIRECTIONS = 15  # of robust covariance, whose cost grows with their square


@cache
def corpus(name: str) -> Dataset:
    """All of one table."""
    return CORPORA[name](DATA)


def attacked(name: str, attack: str, seed: int, size: int) -> Poisoned:
    """One table, poisoned. Two sources share what the suite has one source send."""
    rng = np.random.default_rng([seed, size])
    whole = corpus(name)
    start = with_sources(whole.select(np.sort(rng.permutation(len(whole))[:size])), 20, rng)
    if attack.endswith("two sources"):
        return GreedyFlips(rate=0.05, senders=2).poison(start, np.random.default_rng(seed))
    return poisoned(attack, start, seed)[1]


def pulled(features: Features) -> tuple[Evidence, str]:
    """What the detector says, and whether that accuses."""
    given = {name: features.get(name) for name in (*needs(GradientPull()), "surrogate_network")}
    found = examine(GradientPull(), given)
    shown = [g for g in found.groups if g.p_value * len(detectors("table")) <= ALPHA and g.effect >= g.minimum_effect]
    if not shown:
        return replace(found, groups=()), "silent"
    return found, "accused" if shown[0].contradiction >= shown[0].least_contradiction else "told"


def outlying(points: np.ndarray) -> dict[str, np.ndarray]:
    """Scores that know no labels."""
    n = len(points)
    upper = -np.log(1 - (rankdata(points, axis=0, method="min") - 1) / n).sum(1)
    lower = -np.log(rankdata(points, axis=0, method="max") / n).sum(1)
    moved = points + 1e-6 * np.random.default_rng(0).normal(size=points.shape)  # no column may be constant where it is looked at
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        covariance = MinCovDet(support_fraction=0.75, random_state=0).fit(few := principal.leading(moved, DIRECTIONS))
    return {
        "isolation forest": -IsolationForest(n_estimators=100, random_state=0).fit(points).score_samples(points),
        "tail probabilities": np.maximum(upper, lower),
        "robust covariance": covariance.mahalanobis(few),
    }


def planted(size: int, seeds: Sequence[int]) -> Iterator[str]:
    """Ranks and answers by attack and table, after every attack."""
    ranks: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    answers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for attack in ATTACKS:
        for name in TABLES:
            for seed in seeds:
                try:
                    made = attacked(name, attack, seed, size)
                except UntaintError as error:
                    print(f"{attack}, {name}, {seed}: {error}", flush=True)
                    continue
                features = Features(made.dataset, Settings(), Cache(None))
                found, answer = pulled(features)
                rows = np.flatnonzero(features.get("labels") >= 0)
                scores = outlying(spread(features.get("cells"), rows)) | {"gradient-pull": found.scores[rows]}
                for each, score in scores.items():
                    ranks[attack, name][each].append(tpr_at(made.mask[rows], score, 0.01))
                members = found.groups[0].members if answer != "silent" else np.empty(0, np.int64)
                answers[attack, name].update({answer: 1, "named": len(members), "right": int(made.mask[members].sum())})
                print(f"{attack}, {name}, {seed}: {answer}", flush=True)
        yield table(ranks, answers)


def table(ranks: Mapping[tuple[str, str], Mapping[str, list[float]]], answers: Mapping[tuple[str, str], Counter[str]]) -> str:
    """What was measured so far."""
    lines = []
    for (attack, name), by_score in ranks.items():
        told = answers[attack, name]
        line = {"attack": attack, "table": name} | {each: f"{np.mean(tprs):.0%}" for each, tprs in by_score.items()}
        line |= {"accused / told / silent": " / ".join(str(told[each]) for each in ("accused", "told", "silent"))}
        lines.append(line | {"rows named that are flips": f"{told['right']} of {told['named']}" if told["named"] else "–"})
    return markdown(lines)


def clean(count: int) -> str:
    """What is said of clean tables, with nuisances, rare classes and sources drawn at random."""
    sets = {name: partial(corpus, name) for name in CORPORA}
    answers: Counter[str] = Counter()
    spoken = []
    for number in range(count):
        facts, dataset = drawn(sets, np.random.default_rng([45, number]), SIZES)
        found, answer = pulled(Features(dataset, Settings(), Cache(None)))
        answers[answer] += 1
        if answer != "silent":
            spoken.append(f"- {answer}: {facts}: {found.groups[0].explanation}")
        print(f"{number} {facts}: {answer}", flush=True)
    told = ", ".join(f"{number} {answer}" for answer, number in answers.most_common())
    return "\n".join([f"{count} clean tables: {told}.", "", *spoken])


def main() -> None:
    """Measure, and write or add to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--clean", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.clean:
        with RESULTS.open("a") as file:
            file.write(f"\n## Clean tables: `python benchmarks/pulls.py --clean {chosen.clean}`\n\n{clean(chosen.clean)}\n")
        return
    seeds = " ".join(map(str, chosen.seeds))
    said = (
        f"# Pulls and outliers\n\n`python benchmarks/pulls.py --size {chosen.size} --seeds {seeds}`: TPR at 1 % of honest rows by "
        "each score, and what `gradient-pull` says.\n\n"
    )
    for so_far in planted(chosen.size, chosen.seeds):
        RESULTS.write_text(f"{said}{so_far}\n")


if __name__ == "__main__":
    main()
