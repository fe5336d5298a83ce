"""Load safety: hostile model files caught, honest ones accused, beside picklescan and fickling; and how long it takes.

    python benchmarks/models_load_safety.py [--output benchmarks/results]

Every file is made here. None is ever loaded: each payload would make a folder, and the benchmark stops if one is there. Peers are asked
where they are installed (`pip install 'untaint[bench]'`), each file in its own time limit.
"""

import argparse
import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from untaint.bench import honest_models
from untaint.bench.hostile_models import containers, corpus, folders, graphs, pickles
from untaint.models.formats.scan import scan

LIMIT = 20
"""Seconds a peer may take for a file of a few kilobytes."""
LARGE = 256 << 20
"""Bytes of the checkpoint that is timed: enough for the disk's cache, little enough for a laptop."""
GROUPS = {
    "pickles: functions": [case for case in pickles.CASES if case.kind.startswith(("CVE-2025-1716", "GHSA of pick", "arXiv", "modelscan"))
                           or "." in case.name],
    "pickles: ways to call": [],
    "containers": list(containers.CASES),
    "Keras, TensorFlow, ONNX, GGUF": list(graphs.CASES),
    "folders": list(folders.CASES),
}  # fmt: skip
GROUPS["pickles: ways to call"] = [case for case in pickles.CASES if case not in GROUPS["pickles: functions"]]

Verdict = str
"""`found`, `passed`, or `error`."""


def untaint(path: Path) -> Verdict:
    """Anything of severity medium or above."""
    return "found" if scan(path).at_least("medium") else "passed"


def picklescan(path: Path, *, strict: bool) -> Verdict:
    """What its exit code would be: 1, 0, 2."""
    scanner = import_module("picklescan.scanner")
    ask: Callable[..., Any] = scanner.scan_directory_path if path.is_dir() else scanner.scan_file_path
    found = ask(str(path), strict=strict)
    if found.issues_count or (strict and found.suspicious_count):
        return "found"
    return "error" if found.scan_err else "passed"


def fickling(path: Path) -> Verdict:
    """What its exit code would be, for every file of a folder."""
    module = import_module("fickling")
    loader = import_module("fickling.loader")
    safe = import_module("fickling.analysis").Severity.LIKELY_SAFE
    verdicts = []
    for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            zipped = file.read_bytes()[:2] == b"PK"
            found = (
                [*loader.scan_zip_archive(str(file), graceful=True).values()]
                if zipped
                else [module.scan_file(str(file), graceful=True)]
            )
        broken = any(each.errors for each in found)
        verdicts.append(
            "found" if any(each.severity > safe and not each.errors for each in found) else "error" if broken else "passed"
        )
    return next((verdict for verdict in ("found", "error") if verdict in verdicts), "passed")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Ends what takes too long."""

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def asked(scanner: Callable[[Path], Verdict], path: Path) -> Verdict:
    """What a scanner says; a crash is an error of its own."""
    try:
        with limited():
            return scanner(path)
    except Exception:  # noqa: BLE001 - of a peer, given files made to break it
        return "error"


def scanners() -> dict[str, Callable[[Path], Verdict]]:
    """Ours, and the peers that are installed."""
    found: dict[str, Callable[[Path], Verdict]] = {"untaint": untaint}
    with contextlib.suppress(ModuleNotFoundError):
        name = f"picklescan {version('picklescan')}"
        found |= {
            name: lambda path: picklescan(path, strict=False),
            f"{name}, strict": lambda path: picklescan(path, strict=True),
        }
    with contextlib.suppress(ModuleNotFoundError):
        found[f"fickling {version('fickling')}"] = fickling
    return found


def counted(paths: dict[str, Path], scanner: Callable[[Path], Verdict]) -> tuple[dict[Verdict, list[str]], float]:
    """Names by verdict, and seconds in all."""
    by: dict[Verdict, list[str]] = {"found": [], "passed": [], "error": []}
    started = time.perf_counter()
    for name, path in paths.items():
        by[asked(scanner, path)].append(name)
    return by, time.perf_counter() - started


def hostile(home: Path) -> dict[str, dict[str, Path]]:
    """Files of each group."""
    canaries = home / "canaries"
    canaries.mkdir()
    paths = {case.name: path for case, _, path in corpus.written(home / "hostile", canaries) if path is not None}
    return {group: {case.name: paths[case.name] for case in cases if case.name in paths} for group, cases in GROUPS.items()}


def table(files: dict[str, dict[str, Path]], honest: dict[str, Path]) -> list[str]:
    """Caught of each group, and honest files accused."""
    total = sum(len(paths) for paths in files.values())
    heads = [f"{group} ({len(paths)})" for group, paths in files.items()]
    lines = [
        f"| | {' | '.join(heads)} | all ({total}) | honest accused ({len(honest)}) | ms a file |",
        "|---" * (len(heads) + 4) + "|",
    ]
    for name, scanner in scanners().items():
        found, passed, seconds = 0, [], 0.0
        cells = []
        for paths in files.values():
            by, took = counted(paths, scanner)
            found, seconds = found + len(by["found"]), seconds + took
            passed += by["passed"]
            broken = f" ({len(by['error'])} errors)" if by["error"] else ""
            cells.append(f"{len(by['found'])}{broken}")
        accused, _ = counted(honest, scanner)
        said = f"{len(accused['found'])}" + (f" ({len(accused['error'])} errors)" if accused["error"] else "")
        lines.append(f"| {name} | {' | '.join(cells)} | {found} ({found / total:.0%}) | {said} | {1000 * seconds / total:.1f} |")
        print(lines[-1], flush=True)
        if name == "untaint":
            assert not passed, f"not caught: {passed}"
            assert not accused["found"], f"accused: {accused['found']}"
    return lines


def speed(home: Path) -> list[str]:
    """Seconds for a large checkpoint, and for a pickle of many instructions; memory of the process that scans."""
    import pickle

    import numpy as np

    np.savez(home / "large.npz", a=np.zeros(LARGE // 8))
    (home / "many.pkl").write_bytes(pickle.dumps([{"a": number, "b": float(number)} for number in range(200_000)]))
    code = (
        "import re, sys, time; from pathlib import Path; from untaint.models.formats.scan import scan\n"
        "started = time.process_time(); found = scan(Path(sys.argv[1])); took = time.process_time() - started\n"
        "assert not found.flaws, found.flaws\n"
        "print(took, int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    lines = ["| file | size | seconds of CPU | memory of the process, MB |", "|---|---|---|---|"]
    for name, what in (("large.npz", "arrays in a zip archive"), ("many.pkl", "pickle of 1.6 million instructions")):
        path = home / name
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
        took, memory = map(float, done.stdout.split())
        lines.append(f"| {what} | {path.stat().st_size / 1e6:,.0f} MB | {took:.1f} | {memory:,.0f} |")
    return lines


def main() -> None:
    """Run it."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    output: Path = parser.parse_args().output
    home = Path(tempfile.mkdtemp(prefix="untaint-models-"))
    try:
        files = hostile(home)
        (home / "honest").mkdir()
        honest = {name: path for name, path in honest_models.written(home / "honest") if path is not None}
        lines = table(files, honest)
        assert not list((home / "canaries").iterdir()), "a payload ran"
        text = [
            *_TOP,
            *lines,
            "",
            *_BETWEEN,
            *speed(home),
            "",
            f"{platform.python_implementation()} {platform.python_version()}.",
        ]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    (output / "models_load_safety.md").write_text("\n".join(text) + "\n", encoding="utf-8")


_TOP = [
    "# Load safety",
    "",
    "`python benchmarks/models_load_safety.py`. Hostile files are made by our own generators (`untaint/bench/hostile_models`), one or",
    "more for every published class of bypass; honest ones by PyTorch, safetensors, Keras, NumPy, joblib, ONNX and gguf themselves.",
    "Found: severity medium or above; for picklescan and fickling what makes their exit code 1. An error is neither: their exit code is 2,",
    "and a pipeline that only looks for 1 goes on. Both are scanners of pickles: that they pass graphs and folders is no fault of theirs,",
    "and honest files that are no pickles make fickling fail. No payload ran: each would have made a folder.",
    "",
    "Our generators know our rules, so that 100 % is what a regression suite must show, not an estimate of what a new attack would meet.",
    "What speaks for those is the rule itself: what is not on the list is a finding.",
    "",
]
_BETWEEN = ["## Time and memory", "", "Reading and checksums bound the first, instructions the second.", ""]

if __name__ == "__main__":
    main()
