"""Exports of a seal are what their standards say, and say what the seal says."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from untaint import api
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.finding import AuditResult
from untaint.provenance.sealed import read_seal
from untaint.report import folder
from untaint.report.described import Terms, exports

SOURCES = """schema = "untaint.sources/v1"
[[source]]
name = "archive"
kind = "pinned"
owner = "Example Archive"
vetted_by = "R. Viewer"
"""
TERMS = Terms("Reviews of films.", "https://example.org/terms", "Example Ltd", "https://example.org/films", "1.2.3")


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "re views.jsonl"
    rows = [{"text": f"a film, number {i}", "label": "good", "source": ("archive", "web", None)[i % 3]} for i in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seal = tmp_path / "re views.jsonl.untaint"
    seal.mkdir()
    (seal / "sources.toml").write_text(SOURCES)
    api.seal(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for name in ("cat/1.txt", "cat/ü:2.txt", "dog/3.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"a text about {name}")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("")
    api.seal(folder)
    return folder


def croissant(path: Path, audit: Path | None = None) -> dict[str, Any]:
    return json.loads(api.export(path, audit=audit, terms=TERMS).read_text())


def test_formats_are_these_two() -> None:
    assert sorted(exports()) == ["croissant", "cyclonedx"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, under mlcroissant
def test_mlcroissant_loads_it_checks_every_file_and_reads_the_manifest(reviews: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    data = mlcroissant.Dataset(str(api.export(reviews, terms=TERMS)))
    assert not data.metadata.issues.errors
    assert [record["samples/source"] for record in data.records("samples")][:3] == [b"archive", b"web", None]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, under mlcroissant
def test_mlcroissant_refuses_a_manifest_that_was_changed(reviews: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    path = api.export(reviews, terms=TERMS)
    part = next(path.parent.glob("manifest/*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="Download"):
        list(mlcroissant.Dataset(str(path)).records("samples"))


@pytest.mark.parametrize("name", ["reviews", "pictures"])
def test_every_address_in_a_croissant_leads_to_a_file_with_its_digest(name: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(name)
    found = croissant(path)
    for entry in found["distribution"]:
        file = path.with_name(f"{path.name}.untaint") / unquote(entry["contentUrl"])
        assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
        assert entry["contentSize"] == f"{file.stat().st_size} B"
    assert len(found["distribution"]) == {"reviews": 1, "pictures": 4}[name] + 3


def test_a_croissant_says_who_sent_what(reviews: Path) -> None:
    agents = {agent["prov:label"]: agent for agent in croissant(reviews)["prov:wasAttributedTo"]}
    assert agents["archive"]["sc:description"] == "10 samples; pinned."
    assert agents["archive"]["sc:legalName"] == "Example Archive"
    assert agents["web"]["sc:description"] == "10 samples; not listed in sources.toml."
    assert agents["source not said"]["sc:description"] == "10 samples; not listed in sources.toml."


def test_a_bill_of_materials_is_valid_and_names_owners(reviews: Path) -> None:
    path = api.export(reviews, "cyclonedx", terms=TERMS)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None
    (data,) = json.loads(path.read_text())["components"]
    owners = [owner["organization"]["name"] for owner in data["data"][0]["governance"]["owners"]]
    assert "archive (Example Archive; 10 samples)" in owners
    root = {entry["name"]: entry["value"] for entry in data["data"][0]["contents"]["properties"]}["untaint:merkle_root"]
    assert root == read_seal(path.parent).sealed.root


def test_the_same_seal_gives_the_same_text(reviews: Path, tmp_path: Path) -> None:
    for format in exports():
        first, again = (api.export(reviews, format, out=tmp_path / f"{turn}.json").read_bytes() for turn in "ab")
        assert first == again


def test_an_audit_goes_along(tmp_path: Path, result: AuditResult, dataset: Dataset) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps({"text": f"number {row}", "label": "a"}) + "\n" for row in range(result.n_samples)))
    api.seal(data)
    folder.write(result, dataset, tmp_path / "audit")
    path = api.export(data, "cyclonedx", audit=tmp_path / "audit")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None
    (accused,) = json.loads(path.read_text())["vulnerabilities"]
    assert accused["id"] == "F1"
    assert "carry a trigger" in accused["description"]
    assert [activity["prov:label"] for activity in croissant(data, tmp_path / "audit")["prov:wasGeneratedBy"]][1:] == [
        "audited: Poisoned, 12 samples flagged"
    ]


def test_an_audit_of_other_data_is_refused(reviews: Path, tmp_path: Path, result: AuditResult, dataset: Dataset) -> None:
    folder.write(result, dataset, tmp_path / "audit")
    with pytest.raises(BadInput, match="audit of 160 samples, the seal is of 30"):
        api.export(reviews, audit=tmp_path / "audit")


def test_bad_input(reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no export format is called 'yaml'"):
        api.export(reviews, "yaml")
    with pytest.raises(BadInput, match="holds no seal"):
        api.export(tmp_path)
    table = reviews.with_name(f"{reviews.name}.untaint") / "files.parquet"
    os.truncate(table, 100)
    with pytest.raises(BadInput, match="not the table that was sealed"):
        api.export(reviews)
