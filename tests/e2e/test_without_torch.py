"""The core alone: what needs a network is skipped and said so."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
from tests.e2e.cases import audit_json, flagged

_NO_TORCH = """
import sys
from importlib.machinery import PathFinder

class NoTorch(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else super().find_spec(name, path, target)

sys.meta_path = [NoTorch if finder is PathFinder else finder for finder in sys.meta_path]
from untaint.cli.app import run
run()
"""


def untaint_without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _NO_TORCH, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603 - our own command


def test_poison_is_found_all_the_same(poisoned_file: Path, tmp_path: Path) -> None:
    done = untaint_without_torch("audit", poisoned_file, "--out", tmp_path)
    assert done.returncode == 1, done.stderr
    assert flagged(tmp_path).sum() >= 85
    skipped = [check for check in audit_json(tmp_path)["checks"] if check["status"] == "skipped"]
    assert skipped
    assert all("pip install 'untaint[torch]'" in check["reason"] for check in skipped)
    assert "pip install 'untaint[torch]'" in done.stdout.replace("\n", " ")


def test_silence_is_not_no_evidence(clean_file: Path, tmp_path: Path) -> None:
    done = untaint_without_torch("audit", clean_file, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert audit_json(tmp_path)["verdict"] == "cannot tell"


def test_the_demonstration_says_what_it_needs(tmp_path: Path) -> None:
    done = untaint_without_torch("demo", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "untaint: untaint demo needs the optional part 'torch'. Install it: pip install 'untaint[torch]'\n"


def test_models_are_converted_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": np.ones(3, np.float32)}))
    done = untaint_without_torch("convert", tmp_path / "m.pkl", "--out", tmp_path / "m.safetensors")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 tensors written to")
