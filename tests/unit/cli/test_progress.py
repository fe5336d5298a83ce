import io
import sys
from typing import final

import pytest
from typing_extensions import override

from untaint.cli import progress


@final
class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    @override
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, quiet: bool) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown(quiet=quiet) as report:
        report("reading images", 1, 2)
        report("reading images", 2, 2)
        report("judging content", 1, 5)
    return stream.getvalue()


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "judging content" in drawn(monkeypatch, Terminal(), quiet=False)


def test_nothing_when_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, Terminal(), quiet=True) == ""


def test_nothing_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, io.StringIO(), quiet=False) == ""
