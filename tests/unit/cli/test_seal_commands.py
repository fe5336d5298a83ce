"""`untaint seal` and `untaint verify` as a shell sees them: what they say, and their exit codes."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from untaint.cli import app

Run = Callable[..., tuple[int, str]]

ROWS = [
    {"text": f"text number {n} of them", "label": "ab"[n % 2], "source": "su"[n % 2], "url": f"https://h{n % 3}.org/{n}"}
    for n in range(30)
]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def untaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["untaint", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        said = capsys.readouterr()
        return int(str(ended.value.code)), " ".join((said.out + said.err).split())

    return run


def test_seal_verify_change_verify(records: Path, untaint: Run) -> None:
    code, said = untaint("seal", records)
    assert code == 0
    assert "SEALED texts.jsonl: 30 samples, 1 file" in said
    assert "not listed in sources.toml" in said
    assert "cheapest way to control" in said
    assert "Not signed" in said
    code, said = untaint("verify", records)
    assert (code, said.startswith("AS SEALED texts.jsonl")) == (0, True)
    records.write_text(records.read_text().replace('"label": "a"', '"label": "b"', 1))
    code, said = untaint("verify", records, "--out", records.parent / "found.json")
    assert (code, "CHANGED" in said, "1 label changed: texts.jsonl:1 a → b" in said) == (1, True, True)
    found = json.loads((records.parent / "found.json").read_text())
    assert (found["schema"], found["sound"]) == ("untaint.verify/v1", False)
    assert found["changes"]["samples"][0]["before"] == {"label": "a"}
    assert untaint("verify", records, "--quick")[0] == 1
    assert untaint("verify", records, "--spot", "100%")[0] == 1
    assert untaint("verify", records, "--quiet") == (1, "")


def test_bad_usage_is_2(records: Path, untaint: Run) -> None:
    for arguments, words in (
        (("verify", records), "holds no seal. Make one with `untaint seal DATA`"),
        (("verify", records.parent / "nothing"), "no such file or folder"),
        (("seal", records, "--format", "x"), "unknown format 'x'"),
        (("verify", records, "--spot", "much"), "--spot much is no share"),
        (("verify", records, "--below", "2"), "below is 2"),
    ):
        if words.startswith(("--spot", "below")):
            untaint("seal", records, "--quiet", "--replace")
        code, said = untaint(*arguments)
        assert (code, words in said) == (2, True)


def test_sources_are_written_once_and_filled_in_by_people(records: Path, untaint: Run) -> None:
    code, said = untaint("seal", records, "--init")
    assert (code, "sources.toml: fill it in" in said) == (0, True)
    assert untaint("seal", records, "--init")[0] == 2
    path = records.parent / "texts.jsonl.untaint/sources.toml"
    path.write_text(path.read_text().replace('# kind = "internal"', 'kind = "crowd"'))
    code, said = untaint("seal", records)
    assert (code, "anybody can edit it; nobody has vetted it" in said) == (0, True)


def test_two_views(records: Path, untaint: Run) -> None:
    untaint("seal", records, "--quiet")
    other = records.with_name("later.jsonl")
    other.write_text(records.read_text().replace("text number 3 of them", "not found any more"))
    code, said = untaint("verify", other, "--against", records)
    assert (code, "NOTHING SUSPICIOUS" in said, "1 show something else" in said) == (0, True, True)
    other.write_text(records.read_text().replace('"label": "a"', '"label": "b"', 1))
    code, said = untaint("verify", other, "--against", records)
    assert (code, "1 sample has another label" in said) == (1, True)


def test_what_came_with_the_data_and_what_came_late(records: Path, untaint: Run) -> None:
    digest = hashlib.sha256(records.read_bytes()).hexdigest()
    files = [{"@type": "cr:FileObject", "contentUrl": "https://data.shop.example/texts.jsonl", "sha256": digest}]
    described = {"@type": "sc:Dataset", "name": "Reviews", "publisher": {"name": "Shop Ltd"}, "distribution": files}
    records.with_name("texts.jsonl.croissant.json").write_text(json.dumps(described))
    assert untaint("seal", records, "--init")[0] == 0
    written = (records.parent / "texts.jsonl.untaint/sources.toml").read_text()
    assert 'name = "Reviews"\nkind = "pinned"\nowner = "Shop Ltd"\nhosts = ["data.shop.example"]' in written
    code, said = untaint("seal", records)
    assert (code, "note: 30 of 30 samples (100.0%) came with a digest, 30 fit it" in said) == (0, True)
    records.write_text(records.read_text().replace("text number 3 of them", "something that was edited"))
    code, said = untaint("seal", records, "--replace", "--snapshot", "2026-01-01", "--fresh-days", "3")
    assert (code, "1 file is not what it says, with all samples in them: texts.jsonl" in said) == (0, True)
    assert (
        "fresh: 1 sample (3.3%); 1 first seen and 1 edited since 1 earlier seal, 0 collected in the 3 days before 2026-01-01"
        in said
    )
    for flags in (("--croissant", records), ("--croissant", "none.json"), ("--against", records.parent), ("--fresh-days", "0")):
        assert untaint("seal", records, "--replace", *flags)[0] == 2


def test_the_package_loads_what_is_asked_for() -> None:
    """And a function keeps its name when the room of that name is loaded."""
    code = (
        "import sys, untaint, untaint.cli.seal, untaint.provenance.seal; assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules;"
        "import untaint.report.v1; from untaint import report; assert callable(report) and callable(untaint.audit) and untaint.BadInput"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - a fixed command
