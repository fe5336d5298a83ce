"""Why: do explanations name the poisoned rows, the trigger's region and the sources that sent it, and nobody for clean answers?

    python benchmarks/models_zoo.py --output zoo               train the networks first
    python benchmarks/models_explain.py --zoo zoo              a minute per network on one core
    python benchmarks/models_explain.py --zoo zoo --jobs 8

For every backdoored network of the zoo the training set is made again, with the truth, and rows get senders: twenty of equal size, two
of which sent all of the poison beside their own. Ten triggered and ten clean held-out images are explained, from the (poisoned)
training set alone. Clean networks give false accusations. Results: OUTPUT/models_explain.jsonl, one line per network, and .md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from untaint.attacks.badnets import BadNets
from untaint.attacks.base import PACKAGE, Attack
from untaint.bench.tables import markdown, percent
from untaint.bench.zoo import Member, member, pictures
from untaint.data.dataset import from_arrays
from untaint.models.explain.region import Region
from untaint.models.explain.why import Explainer, Explanation, Senders
from untaint.nets.subject import Reference
from untaint.registry import build

RESULTS = Path(__file__).parent / "results"
SENDERS, GUILTY = 20, (3, 11)
EACH = 10  # images explained of each kind


def training(found: Member, mnist: Path) -> tuple[Reference, np.ndarray]:
    """The rows a member was trained on, and which of them are poison."""
    train, _ = pictures(found.kind, mnist)
    if not found.spec:
        return Reference(train.pixels, train.labels, train.classes), np.zeros(len(train.labels), bool)
    dataset = from_arrays(train.pixels, [str(code) for code in train.labels])
    attacked = build(Attack, PACKAGE, found.spec).poison(dataset, np.random.default_rng(found.kind.seed))  # type: ignore[type-abstract]
    pixels = np.stack(attacked.dataset.images(np.arange(len(attacked.dataset))))
    labels = np.array([int(str(label)) for label in attacked.dataset.labels])
    return Reference(pixels, labels, train.classes), attacked.mask


def senders(poison: np.ndarray, seed: int) -> Senders:
    """Twenty senders of equal size before the poison, which two of them sent."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, SENDERS, len(poison))
    codes[poison] = rng.choice(GUILTY, int(poison.sum()))
    return Senders(codes, tuple(f"sender-{code:02d}" for code in range(SENDERS)))


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(h, w) pixels that a trigger changed."""
    mask: np.ndarray = np.any(before != after, axis=-1)
    return mask


def covered(region: Region | None, patch: np.ndarray) -> float:
    """Share of a patch's changed pixels that lie in the region."""
    return 0.0 if region is None else float((region.mask & patch).sum() / max(1, patch.sum()))


def measured(folder: Path, mnist: Path, each: int = EACH) -> dict[str, Any]:
    """What explanations of one member are worth."""
    torch.set_num_threads(1)
    found = member(folder)
    train, poison = training(found, mnist)
    began = perf_counter()
    sent = senders(poison, found.kind.seed)
    explainer = Explainer(found.subject, train, sent)
    clean = [explainer.explain(image[None]) for image in found.held[:each]]
    told: dict[str, Any] = {
        "name": found.kind.name,
        "attack": found.kind.attack or "clean",
        "arch": found.kind.arch,
        "classes": found.kind.classes,
        "clean: accused": np.mean([bool(answer.accused) for answer in clean]),
        "clean: trigger": np.mean([answer.trigger for answer in clean]),
    }
    if found.kind.attack is not None:
        told |= triggered(found, explainer, train, poison, each)
    told["seconds each"] = (perf_counter() - began) / (each * (1 + (found.kind.attack is not None)))
    return {key: float(value) if isinstance(value, np.generic) else value for key, value in told.items()}


def triggered(found: Member, explainer: Explainer, train: Reference, poison: np.ndarray, each: int) -> dict[str, Any]:
    """The same of images with the trigger, of those it works on."""
    works = found.subject.logits(found.stamped).argmax(1) == found.wanted
    rows = np.flatnonzero(works)[:each]
    rightly = found.held[np.flatnonzero(tried(found))[rows]]
    answers = [explainer.explain(found.stamped[row][None]) for row in rows]
    base = np.mean([poison[train.labels == found.wanted[row]].mean() for row in rows])
    names = {f"sender-{code:02d}" for code in GUILTY}
    told = {
        "precision@20": np.mean([poison[answer.rows].mean() for answer in answers]),
        "base": base,
        "guilty named": np.mean([bool(names & set(answer.accused)) for answer in answers]),
        "innocent named": np.mean([bool(set(answer.accused) - names) for answer in answers]),
        "trigger told": np.mean([answer.trigger for answer in answers]),
        "back": np.mean([came_back(answer) for answer in answers]),
    }
    if BadNets.id in found.spec:
        patches = [changed(before, found.stamped[row]) for before, row in zip(rightly, rows, strict=True)]
        told["patch covered"] = np.mean([covered(a.region, patch) for a, patch in zip(answers, patches, strict=True)])
        told["region, share of image"] = np.mean([a.region.mask.mean() for a in answers if a.region is not None])
    return told


def tried(found: Member) -> np.ndarray:
    """Which held-out images the attack was tried on."""
    wanted = (
        (found.held_labels + 1) % found.kind.classes if len(found.targets) > 1 else np.full(len(found.held), found.targets[0])
    )
    return (wanted != found.held_labels) & (found.source is None or found.held_labels == found.source)


def came_back(answer: Explanation) -> bool:
    """Whether covering the region gave another answer."""
    return answer.region is not None and answer.region.back is not None


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """One row per network, and the means of each attack."""
    of_attacks = ("precision@20", "base", "guilty named", "innocent named", "back", "trigger told", "patch covered")
    keys = (*of_attacks, "region, share of image", "clean: accused", "clean: trigger")
    rows = [{"network": line["name"], **{key: percent(line.get(key)) for key in keys}} for line in lines]
    means = []
    for attack in sorted({line["attack"] for line in lines}):
        some = [line for line in lines if line["attack"] == attack]
        values = {key: [line[key] for line in some if key in line] for key in keys}
        means.append(
            {"attack": f"{attack} ({len(some)})", **{k: percent(float(np.mean(v)) if v else None) for k, v in values.items()}}
        )
    return f"{markdown(means)}\n\n{markdown(rows)}\n"


def main() -> None:
    """Explain every member and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--mnist", type=Path, default=Path("data"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--each", type=int, default=EACH)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    folders = [about.parent for about in sorted(given.zoo.glob("*/about.json")) if works(about)]
    job = partial(measured, mnist=given.mnist, each=given.each)
    lines = []
    with (
        ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool,
        (given.output / "models_explain.jsonl").open("w") as log,
    ):
        for done in as_completed([pool.submit(job, folder) for folder in folders]):
            lines.append(done.result())
            log.write(json.dumps(lines[-1]) + "\n")
            log.flush()
            print(lines[-1], flush=True)
    lines.sort(key=lambda line: line["name"])
    (given.output / "models_explain.md").write_text(f"{__doc__}\n{table(lines)}")


def works(about: Path) -> bool:
    """Whether the member's attack works at all."""
    asr = json.loads(about.read_text())["measured"]["asr"]
    return asr is None or asr >= 0.8


if __name__ == "__main__":
    main()
