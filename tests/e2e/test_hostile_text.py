"""Labels, paths and sources are the attacker's: they neither steer a terminal nor become markup."""

from pathlib import Path

import numpy as np
import pytest
from tests.e2e.cases import Labelled, audit_json, npz, refused, untaint

NAMES = [
    "[red]x[/red]",
    "\x1b[31mred\x1b[0m",
    "a\nb",
    "\u202egnp",
    "<script>alert(1)</script>",
    "| a | b |",
    "\x07",
    "[/]",
    "9",
    "\u0000x",
]


@pytest.fixture(scope="module")
def audited_names(poisoned: Labelled, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("hostile")
    names = NAMES[3:] + NAMES[:3]
    names[3] = NAMES[1]  # the target of the attack
    labels = np.array([names[label] for label in poisoned.labels], dtype=object).tolist()
    source = np.where(poisoned.poisoned, "\x1b]0;owned\x07[bold]mallory", "alice")
    data = npz(folder, poisoned.images, labels, "\x1b[31mset [red].npz", source=source)
    outcome = untaint("audit", data, "--source", "source", "--out", folder / "audit [b]", "--budget", "fast")
    assert outcome.code == 1, outcome
    return folder / "audit [b]", outcome.out + outcome.err


def hidden(text: str) -> set[str]:
    return {
        mark
        for mark in text
        if (ord(mark) < 0x20 and mark not in "\n\t") or mark in "\x7f\u202e\u200b" or 0x80 <= ord(mark) < 0xA0
    }


def test_the_summary_shows_them_as_they_are(audited_names: tuple[Path, str]) -> None:
    _, said = audited_names
    assert not hidden(said)
    assert "a\nb" not in said
    assert "\\u001b[31mred\\u001b[0m" in said
    assert "[bold]mallory" in said


@pytest.mark.parametrize("format", ["markdown", "html", "sarif"])
def test_reports_show_them_as_they_are(format: str, audited_names: tuple[Path, str]) -> None:
    text = untaint("report", audited_names[0], "--format", format).out
    assert not hidden(text)
    if format == "html":
        assert "<script>alert" not in text


def test_the_record_keeps_them(audited_names: tuple[Path, str]) -> None:
    assert NAMES[1] in {finding["target_label"] for finding in audit_json(audited_names[0])["findings"]}


def test_an_attack_names_its_target_as_it_is(digits: Labelled, tmp_path: Path) -> None:
    data = npz(tmp_path, digits.images[:400], np.where(digits.labels[:400] < 5, "low", "\x1b[31mhigh\nlow"))
    outcome = untaint("attack", "badnets", data, "--rate", "0.1", "--target", "\x1b[31mhigh\nlow", "--out", tmp_path / "attack")
    assert outcome.code == 0, outcome
    assert "pushing '\\u001b[31mhigh\\nlow'" in outcome.out


def test_errors_are_one_line_whatever_a_name_holds(tmp_path: Path) -> None:
    outcome = untaint("audit", "no\nsuch\x1b[31m [red]file", cwd=tmp_path)
    refused(outcome, "\\u001b[31m [red]file")
    assert not hidden(outcome.err)
    outcome = untaint("audit", ".", "--x\x1b[31m", cwd=tmp_path)
    refused(outcome)
    assert not hidden(outcome.err)
