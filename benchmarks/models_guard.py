"""A guard on every network of a zoo: what it tells apart, how often it is wrong about clean images, what it costs.

    python benchmarks/models_guard.py --zoo zoo                        about a minute per network on one core
    python benchmarks/models_guard.py --zoo zoo --jobs 16 --output results

A guard sees the network and the defender's clean images, about a thousand. Triggered: held-out images of other classes than the target
with the trigger, all of them, those on which the attack fails included. Clean: held-out images, as they are. Alarms are counted at two
budgets. Each network is guarded twice: with its layers in view, and as a black box that only answers.
Cost: processor time of judging a batch, answers included, as a multiple of answering it, on one thread; the least of several.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from untaint.bench import zoo
from untaint.guard.model_guard import Guard, Judged

FILE = "models_guard"
BUDGETS = (0.01, 0.05)
BATCH, TURNS = 256, 9
VIEWS = ("layers", "black box")


def main() -> None:
    """Measure what was not measured yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="only members whose name holds this")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    kept = given.output / f"{FILE}.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    failed = set(zoo.failures(given.zoo))
    names = sorted((path.parent.name for path in given.zoo.glob("*/about.json")), key=lambda name: ("-clean-" in name, name))
    known = {row["name"] for row in rows}
    wanted = [given.zoo / name for name in names if given.only in name and name not in failed | known]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(measured, folder) for folder in wanted]):
            rows.append(done.result())
            with kept.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(line(rows[-1]), flush=True)
    rows.sort(key=lambda row: row["name"])
    (given.output / f"{FILE}.md").write_text(page(rows, sorted(failed)))


def measured(folder: Path) -> dict[str, Any]:
    """One network, guarded in both ways."""
    torch.set_num_threads(1)
    member = zoo.member(folder)
    kind = member.kind
    row: dict[str, Any] = {
        "name": kind.name,
        "attack": kind.attack,
        "classes": kind.classes,
        "arch": kind.arch,
        "data": kind.data,
    }
    row |= {"references": len(member.reference.labels), "asr": None if not len(member.stamped) else round(member.asr(), 4)}
    for view, model in zip(VIEWS, (member.module, member.subject.logits), strict=True):
        start = time.process_time()
        guard = Guard.fit(model, member.reference, false_alarms=BUDGETS[0])
        fitting = time.process_time() - start
        clean = guard(member.held)
        row[view] = {"fit_seconds": round(fitting, 1), "held": guard.held, "cost": cost(guard, member.held[:BATCH])}
        row[view] |= {"cost_alone": cost(guard, member.held[:1]), "clean": alarms(clean), "n_clean": len(clean)}
        if len(member.stamped):
            row[view] |= compared(clean, guard(member.stamped), member.wanted)
    return row


def alarms(judged: Judged) -> list[int]:
    """Inputs within each budget."""
    return [int((judged.p_value <= budget).sum()) for budget in BUDGETS]


def compared(clean: Judged, attacked: Judged, wanted: np.ndarray) -> dict[str, Any]:
    """How well triggered images are told from clean ones: all of them, and apart those on which the attack works or fails."""
    works = attacked.said == wanted
    return {
        "auroc": auroc(clean.risk, attacked.risk),
        "auroc_works": auroc(clean.risk, attacked.risk[works]),
        "auroc_fails": auroc(clean.risk, attacked.risk[~works]) if (~works).sum() >= 20 else None,
        "n_triggered": len(attacked),
        "caught": alarms(attacked),
        "signs": dict(Counter(attacked.sign).most_common(3)),
    }


def auroc(clean: np.ndarray, attacked: np.ndarray) -> float:
    """Area under the curve, high risk = triggered."""
    truth = np.r_[np.zeros(len(clean)), np.ones(len(attacked))]
    return round(float(roc_auc_score(truth, np.r_[clean, attacked])), 4)


def cost(guard: Guard, inputs: np.ndarray) -> float:
    """Processor time of judging over that of answering, taken in turn, the least of each."""
    asked: tuple[Callable[[np.ndarray], Any], ...] = (guard.subject.logits, guard)
    times: list[list[float]] = [[], []]
    for _ in range(TURNS):
        for each, taken in zip(asked, times, strict=True):
            start = time.process_time()
            each(inputs)
            taken.append(time.process_time() - start)
    return round(min(times[1]) / max(min(times[0]), 1e-9), 2)


def line(row: dict[str, Any]) -> str:
    """One network in a line."""
    return f"{row['name']}: " + "; ".join(
        f"{view}: AUROC {row[view].get('auroc', '-')}, clean {row[view]['clean']} of {row[view]['n_clean']}, cost {row[view]['cost']}"
        for view in VIEWS
    )


def page(rows: Sequence[dict[str, Any]], failed: Sequence[str]) -> str:
    """The tables."""
    attacked = [row for row in rows if row["attack"]]
    head = (
        "# A guard at run time\n\n"
        f"{len(attacked)} backdoored and {len(rows) - len(attacked)} clean networks of the zoo; what each number is stands in the "
        "script.\n\n`python benchmarks/models_guard.py --zoo zoo`, after `benchmarks/models_zoo.py`.\n"
    )
    parts = [head]
    if failed:
        parts.append(f"Left out, because the attack does not work (ASR under {zoo.WORKS}): {', '.join(failed)}.\n")
    for view in VIEWS:
        parts.append(f"## With {'its layers in view' if view == 'layers' else 'a black box'}\n\n{summary(rows, attacked, view)}")
        parts += [table(attacked, view, by) for by in ("attack", "classes", "arch")]
    parts.append(each(attacked))
    return "\n".join(parts)


def summary(rows: Sequence[dict[str, Any]], attacked: Sequence[dict[str, Any]], view: str) -> str:
    """Over all networks."""
    seen = [row[view] for row in rows]
    total = sum(one["n_clean"] for one in seen)
    told = []
    for at, budget in enumerate(BUDGETS):
        share = sum(one["clean"][at] for one in seen) / total
        told.append(f"{share:.2%} at a budget of {budget:.0%}")
    areas = [row[view]["auroc"] for row in attacked]
    costs, alone = [one["cost"] for one in seen], [one["cost_alone"] for one in seen]
    return (
        f"AUROC {np.mean(areas):.3f} in the mean, {min(areas):.3f} at the least, of {len(areas)} networks. False alarms: "
        f"{', '.join(told)} ({total:,} clean images, {len(seen)} networks). Cost of a batch of {BATCH}: {np.mean(costs):.1f} times "
        f"answering it in the mean, {max(costs):.1f} at the most; of one image alone {np.mean(alone):.1f} and {max(alone):.1f}.\n"
    )


def table(attacked: Sequence[dict[str, Any]], view: str, by: str) -> str:
    """By attack, number of classes, or family of network."""
    lines = [f"| {by} | networks | AUROC | the least | attack works | caught at 1 % | at 5 % |", "|---|---|---|---|---|---|---|"]
    for group in sorted({row[by] for row in attacked}):
        some = [row[view] for row in attacked if row[by] == group]
        areas, works = [one["auroc"] for one in some], [one["auroc_works"] for one in some]
        caught = [np.mean([one["caught"][at] / one["n_triggered"] for one in some]) for at in range(2)]
        numbers = f"{np.mean(areas):.3f} | {min(areas):.3f} | {np.mean(works):.3f} | {caught[0]:.1%} | {caught[1]:.1%}"
        lines.append(f"| {group} | {len(some)} | {numbers} |")
    return "\n".join(lines) + "\n"


def each(attacked: Sequence[dict[str, Any]]) -> str:
    """Every backdoored network."""
    head = (
        "| network | ASR | AUROC | attack fails | caught at 1 % | black box AUROC | most unusual |\n|---|---|---|---|---|---|---|"
    )
    lines = ["## Each network\n", head]
    for row in attacked:
        seen = row[VIEWS[0]]
        fails = "-" if seen["auroc_fails"] is None else f"{seen['auroc_fails']:.3f}"
        caught = seen["caught"][0] / seen["n_triggered"]
        signs = ", ".join(name for name in seen["signs"] if name)
        lines.append(
            f"| {row['name']} | {row['asr']:.1%} | {seen['auroc']:.3f} | {fails} | {caught:.1%} | {row[VIEWS[1]]['auroc']:.3f} | {signs} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
