"""docs/formats.md names every field that is written, and no other."""

import re
from pathlib import Path

import pytest

from untaint.data.load import readers
from untaint.models.base import Inspected, ModelFinding
from untaint.quarantine.reasons import REASONS
from untaint.report import folder, pictures, v1
from untaint.report.models import inspection

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def table(after: str) -> list[str]:
    """The names in the first column of the first table behind a text."""
    rows = TEXT[TEXT.index(after) :].split("\n| ", 1)[1].split("\n\n", 1)[0].splitlines()
    return [name for row in rows[2:] for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def listed(word: str) -> set[str]:
    """The names in a sentence that describes a small object."""
    sentence = TEXT[TEXT.index(word) :].split("\n\n", 1)[0]
    return set(re.findall(r"`([a-z_]+)`", sentence.removeprefix(word)))


def fields(model: type[v1.Part]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


@pytest.mark.parametrize(
    ("after", "model"), [("### audit.json", v1.Document), ("A **finding**", v1.Finding), ("A **check**", v1.Check)]
)
def test_fields_of_the_audit_are_described(after: str, model: type[v1.Part]) -> None:
    assert table(after) == fields(model)


@pytest.mark.parametrize(
    ("word", "model"), [("`trigger`:", v1.Trigger), ("One of `sources`:", v1.Source), ("One of `examples`:", v1.Example)]
)
def test_fields_of_small_objects_are_described(word: str, model: type[v1.Part]) -> None:
    assert set(fields(model)) <= listed(word)


def test_columns_of_the_tables_are_described() -> None:
    assert table("### samples.parquet") == [*folder.COLUMNS, "risk_<detector>"]
    assert table("### pictures.parquet") == pictures.SCHEMA.names
    assert set(REASONS.names) <= listed("The rows in quarantine now")


def test_every_reader_is_described() -> None:
    found = {name for name, reader in readers().items() if type(reader).__module__.startswith("untaint.")}
    assert set(table("## Input\n")) == found


def test_fields_of_an_inspection_are_described() -> None:
    finding = ModelFinding("M1", "tamper", "high", "high", "here", "what", "do", "check")
    found = inspection.document(Inspected("tampered", (finding,), (), {}, {}))
    assert table("`untaint.inspect/v1`, ASCII") == list(found)
    assert table("A **model finding**") == list(found["findings"][0])
