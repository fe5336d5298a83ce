"""untaint beside what others offer on the same texts in one run: what each finds, what it flags in vain, what it costs.

    make data                                                    fetch the corpora first
    python benchmarks/peers_text.py                              film snippets, six attacks, one seed
    python benchmarks/peers_text.py --corpus SpamAssassin --seeds 0 1 2 --attacks rare flood
    python benchmarks/peers_text.py --onion 300                  and ONION on a sample: a pass of a language model for every word

Every method sees the poisoned set and the clean one: cleanlab's label issues, the Z-token test re-implemented after its paper,
clusters of near-copies by datasketch, and a filter at random that is told the rate. untaint is told who sent the texts, and again
not; the others have no use for it. ONION sees 300 clean texts to choose its thresholds, and of each poisoned set 30 poisoned texts and
those of the clean ones that are still there. Results go to OUTPUT/peers_text.md and .json. Needs the optional part 'bench'.
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
from untaint.bench.text_peers import PEERS, perplexity_drops
from untaint.bench.text_suite import chosen, poisoned
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.errors import UntaintError
from untaint.features.settings import BUDGETS
from untaint.nets import language

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
PLANTED = 30  # poisoned texts of each set that ONION looks at
DEFAULT = 0.0  # ONION's threshold in OpenBackdoor, by the same authors; the paper chooses one on clean texts


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
    rows = []
    for name, (dataset, mask) in prepared(given, seed).items():
        for method, remove in methods(given.budget, seed, float(mask.mean())).items():
            started = time.process_time()
            rates = detection_rates(mask, remove(dataset))
            spent = time.process_time() - started
            tpr = None if np.isnan(rates.tpr) else rates.tpr
            rows.append({"set": name, "method": method, "seed": seed, "tpr": tpr, "fpr": rates.fpr, "cpu_s": round(spent, 2)})
            print(f"seed {seed}, {name}, {method}: TPR {percent(tpr)}, FPR {percent(rates.fpr)}, {spent:.1f} s", flush=True)
    return rows


def prepared(given: argparse.Namespace, seed: int) -> dict[str, tuple[Dataset, np.ndarray]]:
    """The clean set and every poisoned one, with the truth."""
    whole, rng = CORPORA[given.corpus](given.data), np.random.default_rng(seed)
    clean = with_sources(whole.select(np.sort(rng.permutation(len(whole))[: given.size])), SOURCES, rng)
    sets = {"clean": (clean, np.zeros(len(clean), bool))}
    for name in given.attacks:
        _, made = poisoned(name, clean, seed)
        sets[name] = made.dataset, made.mask
    return sets


def onion(given: argparse.Namespace, seed: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per attack and threshold, on a sample of the sets that the others saw."""
    perplexity, rng = language.load(given.language_model, half=True), np.random.default_rng([seed, PLANTED])
    sets = prepared(given, seed)
    clean, _ = sets.pop("clean")
    texts = [plain(clean)[0][row] for row in np.sort(rng.permutation(len(clean))[: given.onion])]
    started = time.process_time()
    drops = dict(zip(texts, perplexity_drops(texts, perplexity), strict=True))
    each = (time.process_time() - started) / len(texts)
    levels = np.array(list(drops.values()))
    thresholds = {
        "0, the default of OpenBackdoor": DEFAULT,
        "5 % of clean texts": float(np.quantile(levels, 0.95)),
        "1 % of clean texts": float(np.quantile(levels, 0.99)),
    }
    ours = mean(row["cpu_s"] for row in rows if row["method"].startswith("untaint, sources")) or np.nan
    cost = {"cpu_ms_a_text": round(each * 1000, 1), "times_untaint": round(each / (ours / len(clean)), 1)}
    found = []
    for name, (dataset, mask) in sets.items():
        said = plain(dataset)[0]
        honest = np.array([drops[text] for row, text in enumerate(said) if not mask[row] and text in drops])
        planted = rng.permutation(np.flatnonzero(mask))[:PLANTED]
        bad = perplexity_drops([said[row] for row in planted], perplexity)
        for told, threshold in thresholds.items():
            tpr, fpr = float((bad > threshold).mean()), float((honest > threshold).mean())
            found.append({"set": name, "threshold": told, "seed": seed, "n": len(planted), "tpr": tpr, "fpr": fpr, **cost})
            print(f"ONION, {name}, {told}: TPR {percent(tpr)}, FPR {percent(fpr)}, {each:.2f} s a text", flush=True)
    return found


def report(rows: list[dict[str, Any]], sampled: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """A line per method, a column per set: TPR / FPR in means over seeds. What ONION finds in a sample is a table of its own."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[row["method"]][row["set"]].append(row)
    spent = {method: mean(row["cpu_s"] for part in sets.values() for row in part) or 0.0 for method, sets in groups.items()}
    ours = next(iter(spent.values()))
    table = [
        {
            "method": method,
            **{name: _cell(part) for name, part in sets.items()},
            "CPU ms a text": f"{spent[method] / given.size * 1000:.2f}",
            "times untaint": f"{spent[method] / ours:.2g}",
        }
        for method, sets in groups.items()
    ]
    facts = f"{given.corpus}, {given.size:,} texts, {SOURCES} sources, seeds {', '.join(map(str, given.seeds))}, budget {given.budget}."
    legend = "Share of poison found / share of honest texts flagged; CPU time in means over all sets."
    parts = ["# Texts: untaint and its peers", f"{facts} {legend}", markdown(table)]
    if sampled:
        parts += ["## ONION", _onion_facts(sampled, given), markdown(_onion_table(sampled))]
    return "\n\n".join(parts) + "\n"


def _onion_facts(sampled: list[dict[str, Any]], given: argparse.Namespace) -> str:
    first = sampled[0]
    return (
        f"A text is flagged when its perplexity to {given.language_model} falls by more than a threshold without one of its words "
        "(weights of 16 bits). Seed "
        f"{first['seed']}; up to {PLANTED} poisoned texts of each set and {given.onion} clean ones, on which the thresholds are chosen, so "
        f"that the share of honest texts flagged is as told by construction. {first['cpu_ms_a_text']:.0f} CPU ms a text, "
        f"{first['times_untaint']:,.0f} times untaint."
    )


def _onion_table(sampled: list[dict[str, Any]]) -> list[dict[str, str]]:
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    for row in sampled:
        lines[row["threshold"]][row["set"]] = f"{percent(row['tpr'])} / {percent(row['fpr'])}"
    return [{"threshold": told, **cells} for told, cells in lines.items()]


def _cell(part: list[dict[str, Any]]) -> str:
    tpr, fpr = percent(mean(row["tpr"] for row in part)), percent(mean(row["fpr"] for row in part))
    return f"{tpr} / {fpr}"


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
    parser.add_argument(
        "--onion", type=int, default=0, metavar="TEXTS", help="clean texts it sees, of the first seed (%(default)s)"
    )
    parser.add_argument("--language-model", default=language.HOUSE, help="that ONION asks (%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (%(default)s)")
    given = parser.parse_args()
    try:
        given.attacks = list(chosen(tuple(given.attacks)))
        rows = [row for seed in given.seeds for row in compared(given, seed)]
        sampled = onion(given, given.seeds[0], [row for row in rows if row["seed"] == given.seeds[0]]) if given.onion else []
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "peers_text.json").write_text(json.dumps({"rows": rows, "onion": sampled}, indent=1) + "\n")
    (given.output / "peers_text.md").write_text(report(rows, sampled, given))
    print(f"\n{report(rows, sampled, given)}")


if __name__ == "__main__":
    main()
