"""Clean-label poison against training that is hardened: feature collision, gradient matching, and backdoors under evasion training.

    python benchmarks/hardening_clean_label.py --cifar FOLDER --part collision    CIFAR-10: a head on frozen features
    python benchmarks/hardening_clean_label.py --cifar FOLDER --part matching     CIFAR-10: a network from scratch
    python benchmarks/hardening_clean_label.py --part evasion                     MNIST: what evasion training does to backdoors

FOLDER holds train.parquet and test.parquet. collision: a network learns 10,000 images; its 1,024 features are kept, and a new head
learns 1,000 others, which hold ten images of a class B for each of five test images: changed within 16/255 until their features are
those of the test image (Shafahi et al. 2018). matching: `gradient-matching` at 1 % of 10,000, one test image per seed. Success: the
share of images aimed at that are read as the attacker wants. Accuracy is of the first 2,000 test images.
Written to results/hardening_clean_label.json and .md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from hardening_backdoors import (
    MNIST,
    RESULTS,
    TESTED,
    Way,
    as_input,
    attacked,
    pixels_and_codes,
    read,
    small_net,
    success,
    tasks,
    trained,
)
from PIL import Image
from torch import nn

from untaint import api
from untaint.bench.tables import markdown
from untaint.bench.victim import stacked
from untaint.data.dataset import from_arrays
from untaint.data.load import load
from untaint.nets.convnet import ConvNet, ConvNetSpec
from untaint.nets.fit import FitPlan, fit

SIZE, FEW, AIMS, BASES = 10_000, 1_000, 5, 10
EPS, STEPS = 16 / 255, 100
HEAD_EPOCHS = 20
SPEC = ConvNetSpec(32, 32, 3, 10)
PLAN = FitPlan(steps=1200)
WAYS: Mapping[str, str] = {
    "plain": "plain",
    "augment": "augment()",
    "augment, strong": "augment(jpeg=5, noise=0.1)",
    "augment, JPEG alone": "augment(cutmix=0.0, shift=0, noise=0.0)",
    "trim": "trim(power=0.4, least=0.05)",
    "augment + trim": "augment() + trim(power=0.4, least=0.05)",
    "adversarial, against poison": "adversarial(against='poison', eps=0.06, share=0.5)",
}
EVASION: Mapping[str, str] = {"plain": "plain", "adversarial, against evasion": "adversarial(eps=0.1, share=1.0)"}


@final
@dataclass(frozen=True)
class Photos:
    """Two halves of the training images as pixels and codes, and those tested."""

    upstream: tuple[np.ndarray, np.ndarray]
    ours: tuple[np.ndarray, np.ndarray]
    tested: tuple[np.ndarray, np.ndarray]


def photos(folder: Path, seed: int, size: int) -> Photos:
    """CIFAR-10: the upstream half is always the same, ours is drawn by the seed."""
    train, test = load(folder / "train.parquet"), load(folder / "test.parquet")
    rows = np.random.default_rng(5).permutation(len(train))
    ours = np.random.default_rng([seed, 5]).choice(rows[SIZE:], size, replace=False)
    parts = train.select(np.sort(rows[:SIZE])), train.select(np.sort(ours)), test.select(np.arange(TESTED))
    found = []
    for part in parts:
        codes = np.array([train.class_names.index(str(label)) for label in part.labels])
        found.append((stacked(part, np.arange(len(part))), codes))
    return Photos(*found)


def collided(features: nn.Module, given: Photos, aims: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ours, and pixels for them whose features are those of the images aimed at."""
    pixels, codes = given.ours
    with torch.inference_mode():
        known = torch.cat([features(as_input(pixels[at : at + 500])) for at in range(0, len(pixels), 500)])
        goals = features(as_input(given.tested[0][aims]))
    rows: list[int] = []
    for goal, code in zip(goals, wanted, strict=True):
        near = np.argsort((known - goal).square().sum(1).numpy())
        rows += [int(row) for row in near[codes[near] == code] if row not in set(rows)][:BASES]
    start, goal = as_input(pixels[rows]), goals.repeat_interleave(BASES, 0).clone()
    change = torch.zeros_like(start).requires_grad_()
    for step in range(STEPS):
        loss = (features((start + change).clamp(0, 1)) - goal).square().sum()
        (slope,) = torch.autograd.grad(loss, change)
        with torch.no_grad():
            change -= EPS / 8 * (1 - step / STEPS) * slope.sign()
            change.clamp_(-EPS, EPS)
    made = ((start + change).clamp(0, 1) * 255).round().detach().numpy().astype(np.uint8)
    return np.array(rows), made.transpose(0, 2, 3, 1)


def _asked(chosen: argparse.Namespace) -> list[tuple[str, str]]:
    return [(name, WAYS[name]) for name in chosen.recipes]


def collision(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A new head on features that are known to the attacker."""
    base = fit(SPEC, *photos(chosen.cifar, 0, FEW).upstream, np.arange(SIZE), PLAN).net
    for parameter in base.parameters():
        parameter.requires_grad_(False)
    features = _features(base)
    for seed in chosen.seeds:
        given = photos(chosen.cifar, seed, FEW)
        pixels, truth = given.tested
        rng = np.random.default_rng([seed, 6])
        aims = rng.choice(np.flatnonzero(read(base, pixels) == truth), AIMS, replace=False)
        wanted = (truth[aims] + rng.integers(1, 10, AIMS)) % 10
        rows, made = collided(features, given, aims, wanted)
        poisoned = given.ours[0].copy()
        poisoned[rows] = made
        for name, recipe in _asked(chosen):
            started = time.perf_counter()
            scores = {}
            for what, images in (("accuracy_clean", given.ours[0]), ("accuracy", poisoned)):
                if what == "accuracy_clean" and name != "plain":
                    continue
                torch.manual_seed(seed)
                head = nn.Sequential(features, nn.Linear(1024, 10))
                net, _ = trained(head, (as_input(images), given.ours[1]), Way(recipe, 0.02), HEAD_EPOCHS, seed)
                scores[what] = float(np.mean(read(net, pixels) == truth))
            hits = float(np.mean(read(net, pixels[aims]) == wanted))
            yield (
                {"attack": "feature collision", "recipe": name, "seed": seed, "success": hits, "aims": AIMS}
                | scores
                | {"seconds": round(time.perf_counter() - started, 1)}
            )


def _features(base: ConvNet) -> nn.Module:
    class _Before(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = base.features[:-2](images - 0.5)
            return found

    return _Before()


def matching(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A network from scratch, which the attacker knows in kind."""
    for seed in chosen.seeds:
        given = photos(chosen.cifar, seed, SIZE)
        pixels, truth = given.tested
        rng = np.random.default_rng([seed, 7])
        aim = int(rng.integers(TESTED))
        wanted = int((truth[aim] + rng.integers(1, 10)) % 10)
        whole = from_arrays(given.ours[0], given.ours[1].tolist())
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "aim.png"
            Image.fromarray(pixels[aim]).save(image)
            made = api.attack(whole, "gradient-matching", seed=seed, rate=0.01, target=str(wanted), image=str(image))
        for name, recipe in _asked(chosen):
            started = time.perf_counter()
            torch.manual_seed(seed)
            net, _ = trained(ConvNet(SPEC), pixels_and_codes(made.dataset), Way(recipe, 0.05), chosen.epochs, seed)
            with torch.inference_mode():
                believed = float(net(as_input(pixels[aim : aim + 1])).softmax(1)[0, wanted])
            hit = float(read(net, pixels[aim : aim + 1])[0] == wanted)
            accuracy = float(np.mean(read(net, pixels) == truth))
            yield {
                "attack": "gradient matching", "recipe": name, "seed": seed, "success": hit, "aims": 1, "believed": believed,
                "accuracy": accuracy, "seconds": round(time.perf_counter() - started, 1),
            }  # fmt: skip


def evasion(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Whether training against evasion helps backdoors on right labels, as published."""
    shown: Mapping[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
        "patch and noise on right labels": lambda _seed: ("label-consistent", {"rate": 0.5}),
        "patch alone on right labels": lambda _seed: ("label-consistent(eps=0.0)", {"rate": 0.5}),
    }
    for seed in chosen.seeds:
        task = next(iter(tasks(chosen.mnist, SIZE, seed)))
        for attack, how in shown.items():
            made = attacked(task, how, 0.5, seed)
            assert made.stamp is not None
            for name, recipe in EVASION.items():
                started = time.perf_counter()
                torch.manual_seed(seed)
                net, _ = trained(small_net(), pixels_and_codes(made.dataset), Way(recipe, 0.1), chosen.epochs, seed)
                accuracy = float(np.mean(read(net, task.pixels) == task.truth))
                asr = success(net, task, made.stamp, made.target)
                spent = round(time.perf_counter() - started, 1)
                yield {"attack": attack, "recipe": name, "seed": seed, "success": asr, "accuracy": accuracy, "seconds": spent}


PARTS: Mapping[str, Callable[[argparse.Namespace], Iterator[dict[str, Any]]]] = {
    "collision": collision,
    "matching": matching,
    "evasion": evasion,
}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds."""
    lines = []
    for attack, recipe in dict.fromkeys((row["attack"], row["recipe"]) for row in rows):
        same = [row for row in rows if (row["attack"], row["recipe"]) == (attack, recipe)]
        line = {"attack": attack, "recipe": recipe, "seeds": len(same)}
        line |= {"success": f"{np.mean([row['success'] for row in same]):.0%}"}
        if "believed" in same[0]:
            line["probability of what is wanted"] = f"{np.mean([row['believed'] for row in same]):.2f}"
        without = [row["accuracy_clean"] for row in same if "accuracy_clean" in row]
        line["accuracy without poison"] = f"{np.mean(without):.1%}" if without else "–"
        line |= {"accuracy": f"{np.mean([row['accuracy'] for row in same]):.1%}"}
        lines.append(line | {"seconds": f"{np.mean([row['seconds'] for row in same]):.0f}"})
    return markdown(lines)


def write(part: str, command: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what other parts found, and put all of it in a table."""
    file = RESULTS / "hardening_clean_label.json"
    held = json.loads(file.read_text()) if file.exists() else {}
    held[part] = {"command": command, "rows": list(rows)}
    file.write_text(json.dumps(held, indent=1) + "\n")
    texts = [f"## {name}\n\n`{each['command']}`\n\n{table(each['rows'])}\n" for name, each in held.items()]
    head = "# Hardened training against clean-label poison\n\nWhat is measured stands at the top of the script.\n"
    (RESULTS / "hardening_clean_label.md").write_text("\n".join([head, *texts]))


def main() -> None:
    """Measure, and write after every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=tuple(PARTS), default="collision")
    parser.add_argument("--mnist", type=Path, default=MNIST)
    parser.add_argument("--cifar", type=Path, default=MNIST.parent.parent / "cifar10")
    parser.add_argument("--epochs", type=int, default=8, help="of matching and evasion")
    parser.add_argument("--recipes", nargs="*", default=list(WAYS), choices=tuple(WAYS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    chosen = parser.parse_args()
    seeds = " ".join(map(str, chosen.seeds))
    command = f"python benchmarks/hardening_clean_label.py --part {chosen.part} --epochs {chosen.epochs} --seeds {seeds}"
    command += f" --recipes {' '.join(repr(name) for name in chosen.recipes)}"
    rows: list[dict[str, Any]] = []
    for row in PARTS[chosen.part](chosen):
        rows.append(row)
        print(row, flush=True)
        write(chosen.part, command, rows)


if __name__ == "__main__":
    main()
