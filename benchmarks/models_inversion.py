"""Model inversion: what a model gives away by its slope, answers and labels, what that is worth to who flips labels, what lowers it.

    make data                                                  fetch MNIST first; Fashion-MNIST comes from Debian
    python benchmarks/models_inversion.py --jobs 12            2 data sets x 3 seeds x 2 recipes; six minutes each on one core
    python benchmarks/models_inversion.py --mnist DIR --sets digits --seeds 0

A small network is trained on 3,000 pictures by the recipes `plain` and `private`, and inverted. "recognised": share of the recovered
pictures that a network trained on other pictures names rightly (a guess: 10 %). "distance": to the nearest training picture over the
nearest fresh one; 1 = they show the class, not single rows. "advantage": of telling members by their loss, through the same outlet.
"flips": the attacker relabels 7 % of the training rows so that one class is answered as another; he picks them blindly ("nothing"),
by likeness to the recovered pictures ("inverted"), or knowing the class ("data"). "worth": the part of the way from nothing to data.
Victims are trained by the same recipe. Results: OUTPUT/models_inversion.jsonl, one line per cell, and .md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from untaint.attacks.inversion.exposure import Fresh, exposure, fresh_of
from untaint.attacks.inversion.oracle import Oracle, Outlet
from untaint.attacks.inversion.poison import Knowledge, chosen
from untaint.attacks.inversion.recover import Recovered, Search, by_answers, by_labels, by_slope
from untaint.attacks.inversion.space import space_of
from untaint.bench.inversion import Victims
from untaint.bench.sources import fashion_mnist, mnist
from untaint.bench.tables import markdown, percent
from untaint.bench.victim import stacked
from untaint.features.inputs import Encoding, Inputs
from untaint.nets.subject import Reference, TorchSubject
from untaint.training.engines.fit import Plan, fit

RESULTS = Path(__file__).parent / "results"
TRAINED, FRESH, TRIED = 3_000, 6_000, 4_000
QUERIES = 40_000
RATE = 0.07
PAIRS: Mapping[str, Sequence[tuple[int, int]]] = {"digits": ((4, 9), (3, 8), (1, 7)), "clothes": ((6, 0), (2, 4), (7, 9))}
"""Source and target by seed."""
OUTLETS: Mapping[str, Outlet | None] = {
    "weights": None,
    "answers": Outlet(),
    "answers, 2 decimals": Outlet(2),
    "answers, 1 decimal": Outlet(1),
    "answers, noise .05": Outlet(noise=0.05),
    "answers, noise .2": Outlet(noise=0.2),
    "labels": Outlet(top=True),
}
"""What the attacker gets; None = the weights."""


class Cell(NamedTuple):
    """One trained model."""

    data: str
    seed: int
    recipe: str


class Rows(NamedTuple):
    """Pictures apart from each other."""

    train: Reference
    fresh: Reference
    test: Reference


def rows_of(cell: Cell, mnist_folder: Path, fashion: Path | None) -> Rows:
    """Pictures of a cell, drawn by its seed."""
    sets = mnist(mnist_folder) if cell.data == "digits" else fashion_mnist(*([] if fashion is None else [fashion]))
    rng = np.random.default_rng(cell.seed)
    names = sorted({str(label) for label in sets[0].labels})
    parts = []
    order = rng.permutation(len(sets[0]))
    for dataset, rows in ((sets[0], order[:TRAINED]), (sets[0], order[TRAINED : TRAINED + FRESH]), (sets[1], np.arange(TRIED))):
        codes = np.array([names.index(str(dataset.labels[row])) for row in rows])
        parts.append(Reference(stacked(dataset, rows), codes, tuple(names)))
    return Rows(*parts)


def pair(cell: Cell, classes: Sequence[str]) -> tuple[int, int]:
    """Source and target of the flips, as codes of the classes in their order."""
    from untaint.bench.sources import CLOTHES

    source, target = PAIRS[cell.data][cell.seed % 3]
    return (source, target) if cell.data == "digits" else (classes.index(CLOTHES[source]), classes.index(CLOTHES[target]))


def recovered(subject: TorchSubject, like: Reference, outlet: Outlet | None, seed: int) -> Recovered:
    """What one outlet gives away of all classes."""
    codes = range(len(like.classes))
    if outlet is None:
        return by_slope(subject, space_of(like.inputs), Search(codes, 4, seed=seed))
    oracle, space, search = Oracle(subject, outlet, QUERIES, seed), space_of(like.inputs, 8), Search(codes, 1, seed=seed)
    return by_labels(oracle, space, search) if outlet.top else by_answers(oracle, space, search)


def measured(cell: Cell, mnist_folder: Path, fashion: Path | None, outlets: Sequence[str]) -> list[dict[str, Any]]:
    """One line per outlet."""
    torch.set_num_threads(1)
    rows = rows_of(cell, mnist_folder, fashion)
    encoding = Encoding("image", rows.train.inputs.shape[1:], rows.train.classes, {})
    given = Inputs(rows.train.inputs, rows.train.labels, np.arange(TRAINED), encoding, {})
    plan = Plan(held_out=0.0, seed=cell.seed, epochs=20 if cell.recipe == "plain" else None)
    model = fit(given, cell.recipe, plan, None, lambda *_: None).model
    subject = TorchSubject(model.net)
    accuracy = float(np.mean(model.logits(rows.test.inputs).argmax(1) == rows.test.labels))
    fresh = fresh_of(rows.fresh, cell.seed)
    victims = Victims(given, rows.test, cell.seed, cell.recipe)
    source, target = pair(cell, rows.train.classes)
    nobody = Recovered(rows.train.inputs[:0], rows.train.labels[:0], 0, "")
    known = {which: flipped(victims, which, nobody, source, target) for which in ("nothing", "data")}
    known["clean"] = 1.0, victims.success(np.empty(0, np.int64), source, target)
    about = {"set": cell.data, "seed": cell.seed, "recipe": cell.recipe, "accuracy": accuracy}
    told = {**about, **{name: value[1] for name, value in known.items()}, "outlets": outlets}
    return list(lines(subject, rows, fresh, victims, told, (source, target)))


def flipped(victims: Victims, which: Knowledge, found: Recovered, source: int, target: int) -> tuple[float, float]:
    """Share of the flips that hit the source class, and their success."""
    count = round(RATE * len(victims.pool.labels))
    rows = chosen(which, victims.pool, source, count, found, np.random.default_rng(victims.seed))
    return float(np.mean(victims.pool.labels[rows] == source)), victims.success(rows, source, target)


def lines(
    subject: TorchSubject, rows: Rows, fresh: Fresh, victims: Victims, about: dict[str, Any], goal: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """What every outlet of one model gives away, and what it is worth."""
    for name in about.pop("outlets"):
        outlet = OUTLETS[name]
        found = recovered(subject, rows.train, outlet, about["seed"])
        scored = exposure(subject, found, rows.train, fresh, outlet or Outlet(), seed=about["seed"])
        hits, success = (
            flipped(victims, "inversion", found, *goal) if (found.codes == goal[0]).any() else (None, about["nothing"])
        )
        whole = about["data"] - about["nothing"]
        yield {
            **about,
            "outlet": name,
            "recognised": scored.recognised * scored.found,
            "confidence": scored.confidence,
            "distance": scored.nearness.ratio,
            "p": scored.nearness.p_value,
            "advantage": scored.membership.advantage,
            "auc": scored.membership.auc,
            "hits": hits,
            "inverted": success,
            "worth": (success - about["nothing"]) / whole if whole > 0 else None,
        }


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Means over the seeds."""
    rows = []
    for data, recipe, outlet in product(dict.fromkeys(line["set"] for line in found), ("plain", "private"), OUTLETS):
        some = [line for line in found if (line["set"], line["recipe"], line["outlet"]) == (data, recipe, outlet)]
        if not some:
            continue
        mean = {key: _mean(line[key] for line in some) for key in some[0] if isinstance(some[0][key], float | int)}
        row: dict[str, object] = {"data": data, "recipe": recipe, "attacker gets": outlet}
        row |= {key: percent(mean.get(key)) for key in ("accuracy", "recognised", "confidence")}
        row |= {key: f"{mean[key]:.3f}" for key in ("distance", "advantage")}
        row |= {f"flips: {key}": percent(mean.get(key)) for key in ("nothing", "inverted", "data")}
        rows.append({**row, "hits": percent(mean.get("hits")), "worth": percent(mean.get("worth"))})
    return f"{markdown(rows)}\n"


def _mean(values: Any) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def main() -> None:
    """Measure every cell and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--mnist", type=Path, default=Path("data"), help="folder that `make data` fills")
    parser.add_argument("--fashion", type=Path, default=None, help="folder of Fashion-MNIST where it is not installed")
    parser.add_argument("--sets", nargs="+", default=["digits", "clothes"], choices=["digits", "clothes"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=["plain", "private"])
    parser.add_argument("--outlets", nargs="+", default=list(OUTLETS), choices=list(OUTLETS))
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    cells = [Cell(*cell) for cell in product(given.sets, given.seeds, given.recipes)]
    found: list[dict[str, Any]] = []
    log = given.output / "models_inversion.jsonl"
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool, log.open("w", encoding="utf-8") as file:
        for done in as_completed([pool.submit(measured, cell, given.mnist, given.fashion, given.outlets) for cell in cells]):
            for line in done.result():
                found.append(line)
                file.write(json.dumps(line) + "\n")
                print(line, flush=True)
            file.flush()
            (given.output / "models_inversion.md").write_text(f"{__doc__}\n{table(found)}", encoding="utf-8")


if __name__ == "__main__":
    main()
