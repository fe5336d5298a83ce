"""Wrong labels that one source sent: are the verdict and the source right? And are honest sources left alone?

    python benchmarks/label_flips.py --runs 20 [--data NAME=PATH ...]

Eight sources send 6,000 images of Fashion-MNIST (Debian) or of the sets named; everybody is wrong 2 % of the time. In `source`,
one of them, drawn at random, flips a fifth of its labels at random; in `annotator` three of the eight label each image and one
of them flips; `pair`: it calls a third of what it has of one class by the name of another; `honest`: nobody flips, but one has
noisier images and twice the mistakes, in `sloppy` three times. Writes benchmarks/results/label_flips.md and .json.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one run per core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from untaint import api
from untaint.bench.sources import collected
from untaint.bench.victim import stacked
from untaint.data.dataset import Dataset, from_arrays

RESULTS = Path(__file__).parent / "results"
SIZE, SOURCES, ERROR, FLIPPED, AIMED = 6000, 8, 0.02, 0.2, 1 / 3
KINDS = {"source": 1, "annotator": 3, "pair": 1, "honest": 1, "sloppy": 1}
"""Labels per image of each kind."""
MISTAKES = {"honest": 2, "sloppy": 3}
"""Times as many as everybody else's, of one source that means no harm."""


@cache
def loaded(named: tuple[str, ...]) -> dict[str, Dataset]:
    """The sets to draw from."""
    return {name: train for name, (train, _) in collected(named).items()}


def drawn(dataset: Dataset, kind: str, rng: np.random.Generator) -> tuple[Dataset, np.ndarray, str]:
    """A set, which of its labels are wrong, and who flipped."""
    repeats, names = KINDS[kind], list(dataset.class_names)
    rows = rng.permutation(len(dataset))[: SIZE // repeats]
    pixels = np.repeat(stacked(dataset, rows), repeats, axis=0)
    truth = np.repeat([names.index(str(dataset.labels[row])) for row in rows], repeats)
    who = np.stack([rng.permutation(SOURCES)[:repeats] for _ in rows]).ravel()
    culprit, (shown, given) = int(rng.integers(SOURCES)), rng.permutation(len(names))[:2]
    slips = rng.random(len(truth)) < np.where(who == culprit, MISTAKES.get(kind, 1) * ERROR, ERROR)
    if kind in {"source", "annotator"}:
        slips |= (who == culprit) & (rng.random(len(truth)) < FLIPPED)
    labels = np.where(slips, (truth + rng.integers(1, len(names), len(truth))) % len(names), truth)
    if kind == "pair":
        labels[(who == culprit) & (truth == shown) & (rng.random(len(truth)) < AIMED)] = given
    if kind in MISTAKES:
        noisy = who == culprit
        pixels[noisy] = (pixels[noisy] + rng.normal(0, 25, pixels[noisy].shape)).clip(0, 255).astype(np.uint8)
    sent = [f"source {number}" for number in who]
    return from_arrays(pixels, [names[label] for label in labels], sources=sent), labels != truth, f"'source {culprit}'"


def one(named: tuple[str, ...], cell: tuple[str, str, int]) -> dict[str, Any]:
    """One set, audited."""
    name, kind, seed = cell
    dataset, wrong, culprit = drawn(loaded(named)[name], kind, np.random.default_rng([seed, list(KINDS).index(kind)]))
    result = api.audit(dataset, budget="fast", seed=seed)
    alarms = [finding.explanation for finding in result.verdict.findings if finding.alarm]
    accused = result.verdict.answer == "poisoned" and all(culprit in alarm for alarm in alarms)
    right = result.verdict.answer != "poisoned" if kind in MISTAKES else accused
    auroc = float(roc_auc_score(wrong, result.samples.column("risk_label-consensus").to_numpy()))
    run = {"data": name, "kind": kind, "seed": seed, "verdict": result.verdict.answer, "right": right, "auroc": auroc}
    print(run, [alarm[:100] for alarm in alarms], flush=True)
    return run


def table(runs: list[dict[str, Any]]) -> str:
    """How often all was right, by kind and set."""
    lines = ["| data | wrong labels of | runs | verdict and source right | AUROC of the review list |", "|---|---|---|---|---|"]
    for name, kind in sorted({(run["data"], run["kind"]) for run in runs}):
        part = [run for run in runs if (run["data"], run["kind"]) == (name, kind)]
        auroc = np.mean([run["auroc"] for run in part])
        lines.append(f"| {name} | {kind} | {len(part)} | {np.mean([run['right'] for run in part]):.0%} | {auroc:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--data", action="append", metavar="NAME=PATH")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=RESULTS / "label_flips")
    given = parser.parse_args()
    named = tuple(given.data or ["Fashion-MNIST"])
    cells = [(name, kind, seed) for name in loaded(named) for kind in given.kinds for seed in range(given.runs)]
    with ProcessPoolExecutor(given.jobs) as pool:
        runs = list(pool.map(partial(one, named), cells))
    given.out.parent.mkdir(exist_ok=True)
    given.out.with_suffix(".json").write_text(json.dumps(runs, indent=1) + "\n")
    given.out.with_suffix(".md").write_text(table(runs))
    print(table(runs))


if __name__ == "__main__":
    main()
