"""`--help` of every verb, as last agreed upon. UNTAINT_REGOLD=1 writes it anew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.cases import untaint

from untaint.cli.app import app

GOLDEN = Path(__file__).parents[2] / "golden" / "help"
VERBS = [str(command.name) for command in app.registered_commands]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns without colours."""
    for name, value in {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH", "_TYPER_FORCE_DISABLE_TERMINAL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("verb", ["untaint", *VERBS])
def test_help(verb: str, tmp_path: Path) -> None:
    outcome = untaint(*([] if verb == "untaint" else [verb]), "--help", cwd=tmp_path)
    assert outcome.code == 0
    said = "".join(f"{line.rstrip()}\n" for line in outcome.out.strip("\n").splitlines())
    path = GOLDEN / f"{verb}.txt"
    if os.environ.get("UNTAINT_REGOLD"):
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


def test_no_help_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"untaint", *VERBS}


def test_no_arguments_is_help(tmp_path: Path) -> None:
    outcome = untaint(cwd=tmp_path)
    assert outcome.code == 2
    assert "Usage: untaint" in outcome.out + outcome.err


def test_version(tmp_path: Path) -> None:
    assert untaint("--version", cwd=tmp_path).out.startswith("untaint ")


def test_python_m_untaint_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "untaint", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("untaint ")
