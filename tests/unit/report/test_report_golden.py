"""The exact text of each report. `UNTAINT_REGOLD=1 pytest` writes the files anew; read the difference before committing it."""

import os
import re
from pathlib import Path

import pytest

from untaint.report.base import Report
from untaint.report.folder import renderers, to_json

GOLDEN = Path(__file__).parents[2] / "golden"


def written(report: Report, name: str) -> str:
    if name == "audit.json":
        return to_json(report.document)
    (renderer,) = (renderer for renderer in renderers().values() if renderer.file == name)
    text = renderer().render(report)
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,…", text)  # compressed bytes differ between zlib releases


@pytest.mark.parametrize("name", ["audit.json", "audit.sarif", "report.html", "report.md"])
def test_says_exactly_this(name: str, report: Report) -> None:
    text = written(report, name)
    if os.environ.get("UNTAINT_REGOLD"):
        (GOLDEN / name).write_text(text, "utf-8")
    assert text == (GOLDEN / name).read_text("utf-8")
