"""Repair: every method on every backdoored network of a zoo, and how fast the backdoor comes back.

    python benchmarks/models_repair.py --zoo zoo                          an hour or two of one core
    python benchmarks/models_repair.py --zoo zoo --jobs 16 --output results

A repair sees 500 clean images and the network. Clean accuracy, ASR and R-Acc are measured on images that neither it nor the network saw.
Never poisoned: the clean network of the zoo of the same kind, where there is one with the same classes: what ASR honest errors make.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from untaint.bench import zoo
from untaint.models.repair.base import prepared, repairs
from untaint.models.repair.course.chosen import DEFAULT, chosen, described, repaired
from untaint.models.repair.course.relapse import FEW, STEPS, relapse
from untaint.nets.subject import Reference, as_tensor

CLEAN = 500
NEVER = "never poisoned"
FILE = "models_repair.md"


def main() -> None:
    """Run, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, nargs="+", default=[Path("zoo")])
    parser.add_argument("--methods", nargs="+", default=None, help="specs; all when not given")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--only", default="", help="only members whose name holds this")
    parser.add_argument("--most", type=float, default=None, help="minutes after which no other run is begun")
    given = parser.parse_args()
    methods = given.methods or [DEFAULT, *(name for name in repairs() if name != DEFAULT)]
    members = list(backdoored(given.zoo, given.only))
    tasks = [(method, path, given.device) for method in [methods[0], NEVER, *methods[1:]] for path in members]
    given.output.mkdir(parents=True, exist_ok=True)
    ends = None if given.most is None else time.monotonic() + 60 * given.most
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(one, task, ends) for task in tasks]
        for done in as_completed(running):
            row = done.result()
            if row is not None:
                rows.append(row)
                print(json.dumps(row), flush=True)
                (given.output / "models_repair.json").write_text(json.dumps(rows, indent=1) + "\n")  # should it be stopped
    rows.sort(key=lambda row: ([NEVER, *methods].index(row["method"]), row["member"]))
    (given.output / "models_repair.json").write_text(json.dumps(rows, indent=1) + "\n")
    (given.output / FILE).write_text(told(rows, methods))


def backdoored(folders: Sequence[Path], only: str) -> Iterator[Path]:
    """Folders of the networks whose attack works."""
    for folder in folders:
        failed = set(zoo.failures(folder))
        for about in sorted(folder.glob("*/about.json")):
            if "-clean-" not in about.parent.name and about.parent.name not in failed and only in about.parent.name:
                yield about.parent


def one(task: tuple[str, Path, str], ends: float | None) -> dict[str, Any] | None:
    """One method on one network."""
    if ends is not None and time.monotonic() > ends:
        return None
    torch.set_num_threads(1)
    method, path, device = task
    member = zoo.member(path)
    clean = Reference(member.reference.inputs[:CLEAN], member.reference.labels[:CLEAN], member.reference.classes)
    began, cpu = time.monotonic(), time.process_time()
    facts: dict[str, object] = {}
    if method == NEVER:
        partner = twin(path, member)
        if partner is None:
            return None
        after = partner.module
    else:
        given = prepared(member.module.to(device), clean)
        done = repaired(chosen(method), given)
        after, facts = done.module.cpu(), dict(done.facts)
        member.module.cpu()
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    return {
        "method": method,
        "member": path.name,
        "attack": member.kind.attack,
        "classes": member.kind.classes,
        "arch": member.kind.arch,
        "before": measured(member, member.module),
        "after": measured(member, after),
        "seconds": round(seconds, 1),
        "cpu": round(cpu, 1),
        "facts": facts,
        "relapse": again(member, after) if method == NEVER or method.startswith(DEFAULT) else None,
    }


def twin(path: Path, member: zoo.Member) -> zoo.Member | None:
    """A network of the same kind that was never poisoned, with the same classes."""
    kind = member.kind
    for other in sorted(path.parent.glob(f"{kind.data}-{kind.classes}-clean-{kind.arch}-*")):
        found = zoo.member(other)
        if found.reference.classes == member.reference.classes:
            return found
    return None


def measured(member: zoo.Member, module: nn.Module) -> list[float]:
    """Clean accuracy, ASR, R-Acc."""
    return [round(member.accuracy(module), 4), round(member.asr(module), 4), round(member.robust_accuracy(module), 4)]


def again(member: zoo.Member, module: nn.Module) -> list[float]:
    """ASR while a few poisoned samples are learned."""
    rng = np.random.default_rng(0).permutation(len(member.stamped))
    stamped = as_tensor(member.stamped[rng]), torch.from_numpy(member.wanted[rng])
    apart = as_tensor(member.reference.inputs[CLEAN:]), torch.from_numpy(member.reference.labels[CLEAN:])
    return [round(value, 3) for value in relapse(module, apart, stamped)]


def told(rows: list[dict[str, Any]], methods: Sequence[str]) -> str:
    """The page."""
    lines = [
        "# Repair",
        "",
        "    python benchmarks/models_zoo.py --output zoo && python benchmarks/models_repair.py --zoo zoo",
        "",
        f"Every method has {CLEAN} clean images, one configuration for all networks, and never sees a trigger. Means over",
        "networks; accuracy, ASR and R-Acc in %, on images nobody trained on. Worst: the largest ASR, and the largest loss of",
        "accuracy, of any network.",
        "",
        "| method | networks | accuracy | ASR | R-Acc | R-Acc / acc. before | worst ASR | worst loss | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["method"]].append(row)
    first = groups[methods[0]]
    if first:
        lines.append(_line("before", [{**row, "after": row["before"], "cpu": 0.0} for row in first]))
    lines += [_line(method, groups[method]) for method in [NEVER, *methods] if groups[method]]
    lines += ["", f"The first method is `{described(chosen(methods[0]))}`:", "", *_bars(first)] if first else []
    for part in ("attack", "classes", "arch"):
        lines += [
            "",
            f"## {methods[0]}, by {part}",
            "",
            f"| {part} | networks | accuracy | ASR | R-Acc | never poisoned: ASR, R-Acc |",
        ]
        lines += ["|---|---|---|---|---|---|", *_parts(first, groups[NEVER], part)]
    lines += ["", f"## How fast it comes back: ASR after updates on {FEW} poisoned samples among 90 clean ones", ""]
    lines += ["| | " + " | ".join(f"{step} updates" for step in STEPS) + " |", "|---" * (len(STEPS) + 1) + "|"]
    both = {row["member"] for row in groups[NEVER]}
    for method in (methods[0], NEVER):
        curves = [row["relapse"] for row in groups[method] if row["relapse"] and row["member"] in both]
        if curves:
            lines.append(f"| {method} | " + " | ".join(f"{100 * value:.1f}" for value in np.mean(curves, 0)) + " |")
    lines += [
        "",
        f"## {methods[0]}, network by network",
        "",
        "| network | accuracy | ASR | R-Acc | CPU s |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['member']} | {_change(row, 0)} | {_change(row, 1)} | {_change(row, 2)} | {row['cpu']:.0f} |" for row in first
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    before, after = np.array([row["before"] for row in rows]), np.array([row["after"] for row in rows])
    share = (after[:, 2] / before[:, 0]).mean()
    mean = after.mean(0) * 100
    return (
        f"| {name} | {len(rows)} | {mean[0]:.1f} ({100 * (after - before)[:, 0].mean():+.1f}) | {mean[1]:.1f} | {mean[2]:.1f} "
        f"| {share:.0%} "
        f"| {100 * after[:, 1].max():.1f} | {100 * (before - after)[:, 0].max():.1f} | {np.mean([row['cpu'] for row in rows]):.0f} |"
    )


def _bars(rows: list[dict[str, Any]]) -> list[str]:
    """What the first method was to reach, and whether it did."""
    before, after = np.array([row["before"] for row in rows]), np.array([row["after"] for row in rows])
    reached = [
        ("mean ASR at most 2 %", after[:, 1].mean() <= 0.02),
        ("at most 2 points of clean accuracy lost", (before - after)[:, 0].mean() <= 0.02),
        ("R-Acc at least 85 % of the clean accuracy before", (after[:, 2] / before[:, 0]).mean() >= 0.85),
    ]
    return [f"- {what}: {'reached' if is_so else 'missed'}" for what, is_so in reached]


def _parts(rows: list[dict[str, Any]], never: list[dict[str, Any]], part: str) -> list[str]:
    lines = []
    for value in sorted({row[part] for row in rows}, key=str):
        some = [row for row in rows if row[part] == value]
        floor = [row["after"] for row in never if row[part] == value]
        said = "{:.1f}, {:.1f}".format(*(100 * np.mean(floor, 0))[1:]) if floor else "–"
        before, after = (np.mean([row[when] for row in some], 0) * 100 for when in ("before", "after"))
        moved = [f"{was:.1f} → {now:.1f}" for was, now in zip(before, after, strict=True)]
        lines.append(f"| {value} | {len(some)} | " + " | ".join(moved) + f" | {said} |")
    return lines


def _change(row: dict[str, Any], at: int) -> str:
    return f"{100 * row['before'][at]:.1f} → {100 * row['after'][at]:.1f}"


if __name__ == "__main__":
    main()
