"""Does the probe find the backdoors of the zoo, and leave its clean networks alone?

    python benchmarks/models_probe.py --zoo zoo --jobs 8          writes benchmarks/results/models_probe.md and .jsonl

The zoo is made by benchmarks/models_zoo.py. Every network is asked with the first 500 of the defender's images (1,000 of 43 classes);
the truth is only used to judge. Beside: the MAD index of Neural Cleanse on the same inversions, channel
Lipschitz and MM-BD. Backdoored and clean networks take turns, attacks and data sets too, so that a run cut off (`--minutes`) is a fair
sample; a second run goes on where it stopped.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from untaint.bench.zoo import Member, failures, member
from untaint.models.base import Case, Checked
from untaint.models.channel_lipschitz import ChannelLipschitz
from untaint.models.logit_margin import LogitMargin
from untaint.models.trigger_inversion import TriggerInversion
from untaint.nets.subject import Reference, TorchSubject

_IMAGES = 500  # of 2 and 10 classes; of 43 all that the defender has, 1,000
_CLEANSE = 2.0  # MAD index from which Neural Cleanse accuses
_RIGHT = 0.8  # of the classes that must be mapped as the attacker does, where every class has a target of its own


def main() -> None:
    """Ask every network, print a line each, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, default=Path("zoo"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--sure", type=float, default=TriggerInversion.sure, help="strength from which a twin is asked")
    parser.add_argument("--only", nargs="*", default=[""], help="only members whose name holds one of these")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no network is begun after so many")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * given.minutes
    left_out = failures(given.zoo)
    folders = [path.parent for path in sorted(given.zoo.glob("*/about.json")) if path.parent.name not in left_out]
    folders = taking_turns([folder for folder in folders if any(part in folder.name for part in given.only)])
    lines = given.output / "models_probe.jsonl"
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()] if lines.is_file() else []
    known = {row["name"] for row in rows}
    job = partial(asked, alpha=given.alpha, sure=given.sure, device=given.device, until=until)
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool, lines.open("a", encoding="utf-8") as file:
        for done in as_completed([pool.submit(job, folder) for folder in folders if folder.name not in known]):
            row = done.result()
            if row is None:
                continue
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(_line(row), flush=True)
    rows.sort(key=lambda row: row["name"])
    page = report(rows, left_out, len(folders), given.alpha)
    (given.output / "models_probe.md").write_text(page, encoding="utf-8")


def taking_turns(folders: Sequence[Path]) -> list[Path]:
    """One backdoored, one clean, and so on; each time another attack and another data set, as far as there are any."""
    parts: dict[bool, list[Path]] = {}
    for clean in (False, True):
        cells: dict[str, list[Path]] = {}
        for folder in folders:
            if ("-clean-" in folder.name) == clean:
                cells.setdefault("-".join(folder.name.split("-")[:2]), []).append(folder)
        for at, cell in enumerate(cells.values()):
            cell[:] = cell[at % len(cell) :] + cell[: at % len(cell)]
        parts[clean] = [one for row in zip_longest(*cells.values()) for one in row if one is not None]
    return [one for pair in zip_longest(parts[False], parts[True]) for one in pair if one is not None]


def asked(folder: Path, alpha: float, sure: float, device: str, until: float) -> dict[str, Any] | None:
    """One network's answers and whether they are right; None when the time is up."""
    if time.monotonic() > until:
        return None
    torch.set_num_threads(1)
    one = member(folder)
    one.module.to(device)
    most = _IMAGES if one.kind.classes <= 10 else 2 * _IMAGES
    few = Reference(one.reference.inputs[:most], one.reference.labels[:most], one.reference.classes)
    case = Case(subject=TorchSubject(one.module, folder.name), reference=few, alpha=alpha)
    start = time.process_time()
    found = TriggerInversion(sure=sure).examine(case)
    seconds = time.process_time() - start
    channels, margins = ChannelLipschitz().examine(case), LogitMargin().examine(case)
    return {
        "name": folder.name,
        "attack": one.kind.attack,
        "classes": one.kind.classes,
        "arch": one.kind.arch,
        "data": one.kind.data,
        "spec": one.spec,
        "accuracy": round(one.accuracy(), 4),
        "asr": None if one.kind.attack is None else round(one.asr(), 4),
        "answer": found.answer,
        "reason": found.reason,
        "right": _right(one, found),
        "seconds": round(seconds, 1),
        **_told(found),
        "facts": found.facts,
        "cleanse": _cleanse(one, found),
        "channels": [finding.where for finding in channels.findings],
        "margins": [finding.target_label for finding in margins.findings],
    }


def _told(found: Checked) -> dict[str, Any]:
    if not found.findings:
        return {"target": None, "p_value": None, "recovered": None, "controls": {}, "who": None, "search": None}
    finding = found.findings[0]
    proof = finding.proof
    return {
        "target": finding.target_label or finding.details["turns"],
        "p_value": finding.p_value,
        "recovered": None if proof is None else proof.asr_before,
        "controls": {} if proof is None else dict(proof.controls),
        "who": finding.details["who"],
        "search": finding.details["search"],
    }


def _right(one: Member, found: Checked) -> bool | None:
    """Whether the target (or the map of targets) is the attacker's; None = nothing was said, or there is no attacker."""
    if not found.findings or one.kind.attack is None:
        return None
    names, turns = one.reference.classes, found.findings[0].details["turns"]
    assert isinstance(turns, Mapping)
    truth = {names[code]: names[int(one.wanted[one.truth == code][0])] for code in np.unique(one.truth).tolist()}
    if len(one.targets) == 1:
        return set(turns.values()) == {names[one.targets[0]]}
    return float(np.mean([turns.get(source) == target for source, target in truth.items()])) >= _RIGHT


def _cleanse(one: Member, found: Checked) -> dict[str, Any]:
    """The MAD index of the strongest class among the same patches: accused from 2 on, as Neural Cleanse does with norms of masks."""
    patches = found.facts.get("patches", [])
    assert isinstance(patches, list)
    if not patches:
        return {"index": None, "accused": False, "right": None}
    names, values = [name for name, _ in patches], np.array([value for _, value in patches])
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    best = int(values.argmax())
    index = float((values[best] - np.median(values)) / spread) if spread else 0.0
    hit = [names[best].endswith(f"into {one.reference.classes[target]}") for target in one.targets]
    return {"index": round(index, 2), "accused": index > _CLEANSE, "right": any(hit) if one.targets else None}


def _line(row: Mapping[str, Any]) -> str:
    kept = {key: row[key] for key in ("name", "answer", "right", "target", "p_value", "recovered", "who", "search", "seconds")}
    kept["compared"] = [[one["turns"], one["strength"], one["twin"]] for one in row["facts"].get("compared", [])]
    return json.dumps(kept)


def report(rows: Sequence[Mapping[str, Any]], left_out: Sequence[str], of: int, alpha: float) -> str:
    """The tables as Markdown."""
    bad, clean = [row for row in rows if row["attack"]], [row for row in rows if not row["attack"]]
    found = [row for row in bad if row["answer"] == "backdoored" and row["right"]]
    accused = [row for row in clean if row["answer"] == "backdoored"]
    about = (
        "`python benchmarks/models_zoo.py --output zoo` and `python benchmarks/models_probe.py --zoo zoo`: small networks on grey pictures "
        f"of 28x28, the first {_IMAGES} of the defender's images ({2 * _IMAGES:,} of 43 classes), alpha = {alpha:g}. A backdoor counts as "
        "found when the answer is "
        "`backdoored` and the target is the attacker's (class by class: for 80 % of the classes; one right pair of the map counts as "
        "wrong). The probe's constants were chosen on other networks (zoos of the seeds 1 to 3, 900 and 901)."
    )
    outcome = (
        f"**{len(found)} of {len(bad)} backdoored networks found with the right target; {len(accused)} of {len(clean)} clean ones "
        f"accused.** {len(rows)} of {of} networks were asked"
        + (", backdoored and clean ones taking turns, until the time was up. " if len(rows) < of else ". ")
        + f"Median {np.median([row['seconds'] for row in rows]) if rows else 0:.0f} CPU seconds per network, longest "
        f"{max((row['seconds'] for row in rows), default=0):.0f}."
    )
    beside = (
        "Neural Cleanse: MAD index over 2 on the same inversions of patches (strength in place of the mask's norm; of 43 classes only "
        "those that halving keeps). Channels: an outlier of channel Lipschitz. MM-BD: a class whose largest margin stands out."
    )
    head = "| network | attack | works in | answer | says | right | p | recovered ASR | controls | and twin | Neural Cleanse | CPU s |"
    lines = [
        "# Probe: triggers of the zoo",
        "",
        about,
        "",
        outcome,
        "",
        *_summary(bad, clean),
        "",
        beside,
        "",
        "## Every network",
        "",
    ]
    lines += [head, "|---|---|---|---|---|---|---|---|---|---|---|---|", *map(_row, rows)]
    missed = [
        row for row in rows if (row["attack"] and row not in found) or (not row["attack"] and row["answer"] != "no evidence")
    ]
    lines += ["", "## What was missed, wrong or left open", "", *map(_why, missed)]
    if left_out:
        lines += ["", "Left out, because the attack works in less than 80 %: " + ", ".join(left_out) + "."]
    return "\n".join(lines) + "\n"


def _summary(bad: Sequence[Mapping[str, Any]], clean: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| attack | networks | found, right target | accused, wrong target | cannot tell | Neural Cleanse | channels | MM-BD |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for attack in [*dict.fromkeys(row["attack"] for row in bad), None]:
        rows = [row for row in bad if row["attack"] == attack] if attack else clean
        said = [row for row in rows if row["answer"] == "backdoored"]
        right = sum(bool(row["right"]) for row in said)
        cleanse = [row["cleanse"] for row in rows if row["cleanse"]["accused"]]
        peers = (
            f"{sum(bool(one['right']) for one in cleanse)} right of {len(cleanse)} accused"
            if attack
            else f"{len(cleanse)} accused"
        )
        margins = sum(bool(row["margins"]) for row in rows)
        channels = sum(bool(row["channels"]) for row in rows)
        unsure = sum(row["answer"] == "cannot tell" for row in rows)
        cells = (attack or "none (clean)", len(rows), right, len(said) - right, unsure, peers, channels, margins)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _why(row: Mapping[str, Any]) -> str:
    """A network that was not told from the others, and what was said of it."""
    said = row["reason"] or f"says {row['target']} ({row['search']}, {row['who']})"
    seen = ", ".join(
        f"{one['turns']} {one['strength']:.2f} against {one['twin']:.2f}" for one in row["facts"].get("compared", [])
    )
    return f"- {row['name']}: {row['answer']}; {said}" + (f" Compared with the twin: {seen}." if seen else "")


def _row(row: Mapping[str, Any]) -> str:
    target = row["target"]
    says = (
        "" if target is None else "class by class" if isinstance(target, dict) and len(set(target.values())) > 1 else str(target)
    )
    best = max(row["facts"].get("compared", []), key=lambda one: one["strength"] - one["twin"], default=None)
    controls = ", ".join(f"{name} {rate:.0%}" for name, rate in row["controls"].items())
    cells = (
        row["name"],
        row["attack"] or "",
        "" if row["asr"] is None else f"{row['asr']:.0%}",
        row["answer"],
        f"{says} ({row['search']})" if says else "",
        {True: "yes", False: "no", None: ""}[row["right"]],
        "" if row["p_value"] is None else f"{row['p_value']:.1g}",
        "" if row["recovered"] is None else f"{row['recovered']:.0%}",
        controls,
        "" if best is None else f"{best['strength']:.2f} against {best['twin']:.2f}",
        "" if row["cleanse"]["index"] is None else f"{row['cleanse']['index']:.1f}",
        f"{row['seconds']:.0f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
