"""Everything that is claimed of hardened training, one script after the other: which claim each answers for, and how to run it.

    make data                                     fetch MNIST and the table of spam first
    python benchmarks/hardening.py                all parts, hours; each writes its own page to benchmarks/results
    python benchmarks/hardening.py --list         the parts and their claims
    python benchmarks/hardening.py --only points cost

A part that fails stops no other; the last lines say which did. What a part needs besides (Opacus, ByzFL, dp-accounting) is left out of
its tables where it is not installed: its own page of help says how to get it.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, final

HERE = Path(__file__).parent


@final
class Part(NamedTuple):
    """A script, what to call it with, and the claim it answers for."""

    claim: str
    arguments: Sequence[str] = ()


PARTS: Mapping[str, Part] = {
    "points": Part("rows and micro-batches of any size leave a hardened loop where it was"),
    "keras": Part("the same under Keras on TensorFlow, one point, and privacy there"),
    "cost": Part("what clipping by row costs beside a plain step and Opacus"),
    "backdoors": Part("backdoors whose labels contradict their images: ASR and accuracy by recipe", ("--audited", "1")),
    "clean_label": Part("poison under right labels: feature collision (--part matching and evasion are longer)"),
    "dp": Part("accuracy at an epsilon"),
    "epsilon": Part("our epsilon beside those of dp-accounting and Opacus"),
    "certify": Part("certified accuracy, checked by really poisoning"),
    "aggregation": Part("robust means beside ByzFL: time and answers"),
    "micro_batches": Part("robust means of micro-batches in training: cost, and what they stop"),
    "linear": Part("least trimmed squares and the spectral filter beside what wrecks linear models"),
}


def run(name: str) -> bool:
    """Whether the part went through."""
    command = [sys.executable, str(HERE / f"hardening_{name}.py"), *PARTS[name].arguments]
    print(f"\n== {name}: {PARTS[name].claim}\n   {' '.join(command[1:])}", flush=True)
    return subprocess.run(command, check=False).returncode == 0


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list:
        print("\n".join(f"{name:14} {part.claim}" for name, part in PARTS.items()))
        return
    failed = [name for name in given.only if not run(name)]
    print(
        f"\n{len(given.only) - len(failed)} of {len(given.only)} parts went through."
        + (f" Failed: {', '.join(failed)}." if failed else "")
    )
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
