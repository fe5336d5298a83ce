import errno
from dataclasses import replace

import numpy as np
import pytest

from untaint.cli import exits
from untaint.errors import BadInput, CannotWrite, MissingExtra, NothingChecked
from untaint.evidence.finding import SEVERITIES, Finding, Severity

FINDING = Finding("F1", "backdoor", "high", "high", 0.0, np.array([1]), ("a",), "Because.", "Look.", alarm=True)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("least", SEVERITIES)
def test_findings_at_or_above_the_level_fail(severity: Severity, least: str) -> None:
    code = exits.for_findings([replace(FINDING, severity=severity)], least)
    assert code == (SEVERITIES.index(severity) >= SEVERITIES.index(least))


def test_never_is_never() -> None:
    assert exits.for_findings([replace(FINDING, severity="critical")], "never") == 0
    assert exits.for_findings([], "info") == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInput("x.csv is empty.", advice="Fetch it again."), 2, "x.csv is empty. Fetch it again."),
        (NothingChecked("nothing was checked."), 2, "nothing was checked."),
        (CannotWrite("the disk is full."), 2, "the disk is full."),
        (MissingExtra("untaint demo", "torch"), 2, "pip install 'untaint[torch]'"),
        (OSError(errno.EACCES, "Permission denied", "x.csv"), 2, "x.csv: Permission denied."),
        (KeyboardInterrupt(), 130, "the same command goes on from there"),
        (ZeroDivisionError("one\nby\nnone"), 3, "internal error: ZeroDivisionError: one by none. Run with UNTAINT_DEBUG=1"),
        (BadInput("a\x1b[31m\ud800"), 2, "a\\u001b[31m\\ud800"),
    ],
)
def test_an_error_is_one_line(error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.show(error) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("untaint: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


def test_a_traceback_is_for_those_who_ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("UNTAINT_DEBUG", "1")
    try:
        raise ZeroDivisionError("by none")
    except ZeroDivisionError as error:
        exits.show(error)
    assert "Traceback" in capsys.readouterr().err
