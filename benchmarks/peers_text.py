"""untaint beside what others offer on the same texts in one run: what each finds, what it flags in vain, what it costs.

    make data                                                    fetch the corpora first
    python benchmarks/peers_text.py                              film snippets, six attacks, one seed
    python benchmarks/peers_text.py --corpus SpamAssassin --seeds 0 1 2 --attacks rare flood

Every method sees the poisoned set and the clean one: cleanlab's label issues, the Z-token test re-implemented after its paper,
clusters of near-copies by datasketch, and a filter at random that is told the rate. untaint is told who sent the texts, and again
not; the others have no use for it. Results go to OUTPUT/peers_text.md and .json. Needs the optional part 'bench'.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from untaint.audit.settings import AuditSettings
from untaint.bench.corpora import CORPORA, DATA, with_sources
from untaint.bench.detection import audited
from untaint.bench.tables import markdown, mean, percent
from untaint.bench.text_peers import PEERS
from untaint.bench.text_suite import chosen, poisoned
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.errors import UntaintError
from untaint.features.settings import BUDGETS

RESULTS = Path(__file__).parent / "results"
ATTACKS = (
    "rare word .5 %",
    "sentence .5 %",
    "clean-label word 1 %",
    "flood template 250",
    "flood paraphrase 250",
    "random flips 5 %",
)
SOURCES = 20


def without_sources(dataset: Dataset) -> Dataset:
    """The same texts, and nobody knows who sent them."""
    place = dataset.index.schema.get_field_index("source")
    nobody = pa.nulls(len(dataset), pa.string())
    index = dataset.index.set_column(place, "source", nobody)
    return Dataset(index, dataset.store, dataset.modality, dataset.format)


def methods(budget: Any, seed: int, rate: float) -> dict[str, Callable[[Dataset], np.ndarray]]:
    """Each by name: a data set in, the rows it would remove out."""
    settings = AuditSettings(budget=budget, seed=seed)
    found: dict[str, Callable[[Dataset], np.ndarray]] = {
        "untaint, sources known": lambda dataset: audited(dataset, settings).flagged,
        "untaint, no sources": lambda dataset: audited(without_sources(dataset), settings).flagged,
    }
    for name, peer in PEERS.items():
        found[name] = lambda dataset, peer=peer: peer(*plain(dataset))  # type: ignore[misc]  # bound now
    found["random, told the rate"] = lambda dataset: np.random.default_rng(seed).random(len(dataset)) < rate
    return found


def plain(dataset: Dataset) -> tuple[list[str], np.ndarray]:
    """Texts and class codes."""
    names = dataset.class_names
    return [str(text) for text in dataset.read(range(len(dataset)))], np.array(
        [names.index(str(name)) for name in dataset.labels]
    )


def compared(given: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """A row per method and attack, and per method on the clean set."""
    whole, rng = CORPORA[given.corpus](given.data), np.random.default_rng(seed)
    clean = with_sources(whole.select(np.sort(rng.permutation(len(whole))[: given.size])), SOURCES, rng)
    sets = {"clean": (clean, np.zeros(len(clean), bool))}
    for name in given.attacks:
        _, made = poisoned(name, clean, seed)
        sets[name] = made.dataset, made.mask
    rows = []
    for name, (dataset, mask) in sets.items():
        for method, remove in methods(given.budget, seed, float(mask.mean())).items():
            started = time.process_time()
            rates = detection_rates(mask, remove(dataset))
            spent = time.process_time() - started
            tpr = None if np.isnan(rates.tpr) else rates.tpr
            rows.append({"set": name, "method": method, "seed": seed, "tpr": tpr, "fpr": rates.fpr, "cpu_s": round(spent, 2)})
            print(f"seed {seed}, {name}, {method}: TPR {percent(tpr)}, FPR {percent(rates.fpr)}, {spent:.1f} s", flush=True)
    return rows


def report(rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """A line per method, a column per set: TPR / FPR in means over seeds."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[row["method"]][row["set"]].append(row)
    table = [{"method": method, **{name: _cell(part) for name, part in sets.items()}} for method, sets in groups.items()]
    facts = f"{given.corpus}, {given.size:,} texts, {SOURCES} sources, seeds {', '.join(map(str, given.seeds))}, budget {given.budget}."
    legend = "Share of poison found / share of honest texts flagged (CPU seconds)."
    return f"# Texts: untaint and its peers\n\n{facts} {legend}\n\n{markdown(table)}\n"


def _cell(part: list[dict[str, Any]]) -> str:
    tpr, fpr = percent(mean(row["tpr"] for row in part)), percent(mean(row["fpr"] for row in part))
    return f"{tpr} / {fpr} ({mean(row['cpu_s'] for row in part):.1f})"


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the packages (%(default)s)")
    parser.add_argument("--corpus", choices=CORPORA, default="movie snippets")
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument(
        "--attacks", nargs="+", default=list(ATTACKS), metavar="PART", help="only those whose name holds any of these"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", choices=BUDGETS, default="fast")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    given = parser.parse_args()
    try:
        given.attacks = list(chosen(tuple(given.attacks)))
        rows = [row for seed in given.seeds for row in compared(given, seed)]
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "peers_text.json").write_text(json.dumps(rows, indent=1) + "\n")
    (given.output / "peers_text.md").write_text(report(rows, given))
    print(f"\n{report(rows, given)}")


if __name__ == "__main__":
    main()
