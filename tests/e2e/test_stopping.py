"""Ctrl-C: exit code 130, one line, and the same command goes on where it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.cases import audit_json, fingerprint, untaint

_LONGEST = 60.0
"""Seconds until an audit must have kept its first feature, on a busy machine."""


_HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A shell that runs the tests in the background has its children ignore Ctrl-C."""


def _started(data: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HEARS + "from untaint.cli.app import run; run()", "audit", str(data), "--out", str(out)]
    return subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_a_closed_pipe_is_no_pass(poisoned_file: Path, tmp_path: Path) -> None:
    audit = _started(poisoned_file, tmp_path)
    assert audit.stdout is not None
    audit.stdout.close()
    assert audit.wait(_LONGEST) == 141
    assert audit.stderr is not None
    assert audit.stderr.read() == ""
    audit.stderr.close()


def test_a_poor_terminal(poisoned_file: Path, tmp_path: Path) -> None:
    """ASCII only: what it cannot show is escaped."""
    command = [
        sys.executable,
        "-c",
        "from untaint.cli.app import run; run()",
        "audit",
        str(poisoned_file),
        "--out",
        str(tmp_path),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, "--budget", "fast"], capture_output=True, text=True, env=environment, check=False)  # noqa: S603 - our own command
    assert done.returncode == 1, done.stderr
    assert "POISONED" in done.stdout


def _kept(out: Path) -> bool:
    return any(path.name.startswith("content-") for path in (out / "cache").glob("*"))


def test_a_stopped_audit_resumes(poisoned_file: Path, tmp_path: Path) -> None:
    audit, until = _started(poisoned_file, tmp_path), time.monotonic() + _LONGEST
    while not _kept(tmp_path) and audit.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    audit.send_signal(signal.SIGINT)
    _, said = audit.communicate(timeout=_LONGEST)
    assert audit.returncode == 130, said
    assert said.startswith("untaint: stopped.")
    assert said.count("\n") == 1
    assert not (tmp_path / "audit.json").exists()
    assert not list((tmp_path / "cache").glob(".partial-*"))
    before = fingerprint(tmp_path / "cache")
    assert before
    outcome = untaint("audit", poisoned_file, "--out", tmp_path, "--budget", "fast")
    assert outcome.code == 1, outcome
    after = fingerprint(tmp_path / "cache")
    assert {name: after[name] for name in before} == before
    assert audit_json(tmp_path)["verdict"] == "poisoned"
