"""How often is clean data called poisoned? Random clean sets of many kinds, audited without hints.

    python benchmarks/false_alarms.py --runs 300 [--budget fast] [--data NAME=PATH ...]

Each run draws a data set, a size, a number of classes, an imbalance and a nuisance: none, exact copies, shifted copies, a
watermark or border spread over all classes, JPEG. Fashion-MNIST (Debian) and scikit-learn's digits are always used; more are
named as NAME=PATH. Writes benchmarks/results/false_alarms.md and .json: runs, alarms, share flagged, per kind of set; and one
line per run to false_alarms.jsonl, from where a run that was stopped goes on if neither code nor options changed.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one run per core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import io
import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from untaint import api
from untaint.bench import resume
from untaint.bench.sources import PUBLIC, collected
from untaint.bench.victim import stacked
from untaint.data.dataset import Dataset, from_arrays

RESULTS = Path(__file__).parent / "results"
SIZES = {500: 0.1, 1000: 0.15, 2000: 0.2, 5000: 0.2, 10_000: 0.2, 20_000: 0.1, 60_000: 0.05}
"""Images before copies are added, and how often: large sets cost most."""
LARGEST = 20_000  # images where each gets copies
CLASSES = (2, 3, 5, 10)

Nuisance = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def draw(sets: dict[str, Dataset], rng: np.random.Generator) -> tuple[dict[str, Any], Dataset]:
    """A clean set and what it is."""
    name = str(rng.choice(sorted(sets)))
    source = sets[name]
    size = int(rng.choice(list(SIZES), p=list(SIZES.values())))
    names = source.class_names
    kept = [int(code) for code in rng.permutation(len(names))[: int(rng.choice(CLASSES))]]
    codes = np.array([names.index(str(label)) for label in source.labels])
    rows = rng.permutation(np.flatnonzero(np.isin(codes, kept)))
    imbalance = float(rng.choice([1.0, 1.0, 5.0]))
    if imbalance > 1:
        rows = rows[(codes[rows] != kept[0]) | (rng.random(len(rows)) < 1 / imbalance)]
    nuisance = str(rng.choice(sorted(NUISANCES)))
    rows = rows[: min(size, LARGEST) if nuisance in {"copies", "shifted"} else size]
    pixels = stacked(source, rows)
    labels = codes[rows]
    pixels = NUISANCES[nuisance](pixels, rng)
    labels = np.concatenate([labels] * (len(pixels) // len(labels)))
    facts = {"data": name, "n": len(pixels), "classes": len(kept), "imbalance": imbalance, "nuisance": nuisance}
    return facts, from_arrays(pixels, [str(label) for label in labels])


def copies(pixels: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Every image twice."""
    return np.concatenate([pixels, pixels])


def shifted(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image three times, moved by up to two pixels."""
    moves = rng.integers(-2, 3, (2, len(pixels), 2))
    moved = [np.stack([_moved(image, *move) for image, move in zip(pixels, part, strict=True)]) for part in moves]
    return np.concatenate([pixels, *moved])


def _moved(image: np.ndarray, down: int, across: int) -> np.ndarray:
    """The image shifted, its edge repeated where nothing comes in."""
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    return padded[2 - down : 2 - down + image.shape[0], 2 - across : 2 - across + image.shape[1]]


def watermark(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A logo in a corner of a third of the images, whatever their class."""
    marked = pixels.copy()
    chosen = rng.random(len(pixels)) < 1 / 3
    side = max(2, pixels.shape[1] // 6)
    marked[chosen, :side, :side] = rng.integers(0, 256, (side, side, pixels.shape[3]))
    return marked


def border(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A white frame around a fifth of the images, whatever their class."""
    framed = pixels.copy()
    chosen = np.flatnonzero(rng.random(len(pixels)) < 1 / 5)
    framed[chosen, :1] = framed[chosen, -1:] = 255
    framed[chosen, :, :1] = framed[chosen, :, -1:] = 255
    return framed


def jpeg(pixels: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Every image saved as JPEG of quality 75 and read again."""
    return np.stack([_resaved(image) for image in pixels])


def _resaved(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "JPEG", quality=75)
    read = np.asarray(Image.open(buffer))
    return read[:, :, None] if read.ndim == 2 else read


NUISANCES: dict[str, Nuisance] = {
    "none": lambda pixels, _rng: pixels,
    "copies": copies,
    "shifted": shifted,
    "watermark": watermark,
    "border": border,
    "jpeg": jpeg,
}


@cache
def loaded(named: tuple[str, ...]) -> dict[str, Dataset]:
    """The sets to draw from."""
    return {name: train for name, (train, _) in collected((*PUBLIC, *named)).items()}


def one(named: tuple[str, ...], budget: Any, seed: int, number: int) -> dict[str, Any]:
    """One clean set, audited."""
    facts, dataset = draw(loaded(named), np.random.default_rng([seed, number]))
    result = api.audit(dataset, budget=budget, seed=number)
    alarms = [f"{f.kind} {'+'.join(f.detectors)} {len(f.members)}" for f in result.verdict.findings if f.alarm]
    run = {"run": number, **facts, "verdict": result.verdict.answer, "flagged": result.n_flagged / len(dataset), "alarms": alarms}
    if alarms or result.verdict.answer != "no evidence":
        print(run, result.verdict.reasons[:2], flush=True)
    return run


def table(runs: list[dict[str, Any]]) -> str:
    """Runs, alarms and the worst share flagged, over all and per kind."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups["**all**"].append(run)
        for key in ("data", "nuisance", "classes"):
            groups[f"{key}: {run[key]}"].append(run)
    lines = ["| clean sets | runs | called poisoned | cannot tell | most flagged |", "|---|---|---|---|---|"]
    for name in sorted(groups):
        part = groups[name]
        alarms = sum(run["verdict"] == "poisoned" for run in part)
        unsure = sum(run["verdict"] == "cannot tell" for run in part)
        lines.append(f"| {name} | {len(part)} | {alarms} | {unsure} | {max(run['flagged'] for run in part):.2%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", default="fast")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=RESULTS / "false_alarms")
    given = parser.parse_args()
    log, facts = given.out.with_suffix(".jsonl"), {"seed": given.seed, "budget": given.budget, "code": resume.code()}
    given.out.parent.mkdir(exist_ok=True)
    finished = {record["run"]: record for record in resume.done(log, facts)}
    loaded(tuple(given.data))  # a path that is none is told here, not 300 times
    audited = partial(one, tuple(given.data), given.budget, given.seed)
    with ProcessPoolExecutor(given.jobs) as pool:
        jobs = [pool.submit(audited, number) for number in range(given.runs) if number not in finished]
        for job in as_completed(jobs):
            finished[job.result()["run"]] = job.result()
            resume.add(log, facts | job.result())
    runs = [finished[number] for number in range(given.runs)]
    given.out.with_suffix(".json").write_text(json.dumps({"budget": given.budget, "runs": runs}, indent=1))
    given.out.with_suffix(".md").write_text(table(runs))
    print(table(runs))


if __name__ == "__main__":
    main()
