"""Exit codes, the same everywhere, and how errors are shown."""

import os
import traceback
from collections.abc import Sequence
from typing import Protocol

import typer

from untaint.errors import UntaintError
from untaint.evidence.finding import SEVERITIES, Severity
from untaint.report.text import visible

NOTHING = 0
FINDINGS = 1
BAD_INPUT = 2
INTERNAL = 3
STOPPED = 130  # 128 + SIGINT, as shells expect
CUT_OFF = 141  # 128 + SIGPIPE: whoever read the output left, as `head` does, perhaps before anything was found


class Severe(Protocol):
    """A finding about data or about a model."""

    @property
    def severity(self) -> Severity:
        """How bad if true."""


def for_findings(findings: Sequence[Severe], fail_on: str) -> int:
    """1 when a finding is at least as severe as `fail_on`, else 0; `never` is always 0."""
    if fail_on == "never":
        return NOTHING
    least = SEVERITIES.index(fail_on)
    return FINDINGS if any(SEVERITIES.index(finding.severity) >= least for finding in findings) else NOTHING


def show(error: BaseException) -> int:
    """Print an error as one line on stderr and return its exit code; UNTAINT_DEBUG=1 adds the traceback."""
    if os.environ.get("UNTAINT_DEBUG"):
        traceback.print_exception(error)
    line, code = _line(error)
    typer.echo(f"untaint: {visible(' '.join(line.split()))}", err=True)
    return code


def _line(error: BaseException) -> tuple[str, int]:
    if isinstance(error, UntaintError):
        return str(error), BAD_INPUT
    if isinstance(error, KeyboardInterrupt):
        return (
            "stopped. What took an audit long and is finished lies in its --out folder; the same command goes on from there.",
            STOPPED,
        )
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.filename or 'input or output'}: {error.strerror}.", BAD_INPUT
    return f"internal error: {type(error).__name__}: {error}. Run with UNTAINT_DEBUG=1 for details.", INTERNAL
