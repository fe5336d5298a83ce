"""An audit takes from the seal what the data do not say, and says what is not as sealed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from untaint import api
from untaint.api import data as data_verbs
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.finding import AuditResult, Finding, SourceShare, Verdict
from untaint.provenance.joined import advised, joined
from untaint.provenance.sealed import Seal

SOURCES = """schema = "untaint.sources/v1"
[[source]]
name = "zoo"
kind = "crowd"
owner = "Zoo Friends"
hosts = ["zoo.example.org"]
paths = ["cat/**"]
[[source]]
name = "park"
vetted_on = 2026-01-02
vetted_by = "R. Viewer"
paths = ["dog/**"]
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for row in range(12):
        path = folder / ("cat", "dog")[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * row, np.uint8)).save(path)
    return folder


def seal(path: Path, sources: str = SOURCES) -> Seal:
    beside = path.with_name(f"{path.name}.untaint")
    beside.mkdir()
    (beside / "sources.toml").write_text(sources)
    return api.seal(path)


def test_pictures_take_the_sources_that_path_patterns_name(pictures: Path) -> None:
    found = joined(api.load(pictures), seal(pictures))
    assert found.dataset.column("source") == ["zoo" if "cat" in str(p) else "park" for p in found.dataset.column("path")]
    assert (found.facts["filled"], found.facts["problems"]) == (["source"], ())
    assert found.dataset.columns.source == "the seal"


def test_records_take_the_sources_that_hosts_name(tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    hosts = ("zoo.example.org", "elsewhere.example.com")
    rows = [{"text": f"page {i}", "label": "ab"[i % 2], "url": f"https://{hosts[i % 2]}/{i}"} for i in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert joined(api.load(path), seal(path)).dataset.column("source") == ["zoo", None] * 5


def test_data_that_name_their_sources_keep_them(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"text": f"t {i}", "label": "ab"[i % 2], "source": f"s{i % 3}"}) + "\n" for i in range(9)))
    found = joined(api.load(path), seal(path))
    assert found.facts["filled"] == []
    assert found.dataset.column("source") == api.load(path).column("source")


def test_a_part_of_the_data_is_found_by_place(pictures: Path) -> None:
    made = seal(pictures)
    part = api.load(pictures).select([7, 2, 9])
    found = joined(part, made)
    assert found.dataset.column("source") == ["zoo" if "cat" in str(p) else "park" for p in part.column("path")]
    assert found.facts["problems"] == ()


def test_samples_and_labels_that_are_not_as_sealed_are_counted_and_take_nothing(pictures: Path) -> None:
    made = seal(pictures)
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(pictures / "cat" / "0.png")
    data = api.load(pictures)
    changed = data.edited({}, {5: "dog" if data.labels[5] == "cat" else "cat"})
    found = joined(changed, made)
    assert [problem[:8] for problem in found.facts["problems"]] == ["1 of 12 ", "1 labels"]
    assert found.dataset.column("source").count(None) == 1
    assert found.dataset.notes[-2:] == found.facts["problems"]


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch) -> list[Dataset]:
    """What audits are given, in place of audits; theirs of a set with sources are tested elsewhere."""
    given: list[Dataset] = []

    def run(dataset: Dataset, _settings: object) -> AuditResult:
        given.append(dataset)
        return AuditResult(verdict(), (), pa.table({}), len(dataset), 0, 0, {"notes": dataset.notes}, {})

    monkeypatch.setattr(data_verbs, "run", run)
    return given


def test_an_audit_uses_the_seal_beside_the_data(pictures: Path, audited: list[Dataset]) -> None:
    made = seal(pictures)
    facts: Any = api.audit(pictures, budget="fast").dataset
    assert facts["seal"]["root"] == made.sealed.root
    assert audited[0].columns.source == "the seal"
    assert set(audited[0].column("source")) == {"zoo", "park"}


def test_a_damaged_seal_beside_the_data_is_told_and_one_that_was_named_is_refused(pictures: Path, audited: list[Dataset]) -> None:
    made = seal(pictures)
    (made.folder / "statement.json").write_text("{}")
    facts: Any = api.audit(pictures, budget="fast").dataset
    assert any("was not used" in note for note in facts["notes"])
    assert audited[0].columns.source is None
    with pytest.raises(BadInput, match=r"statement\.json"):
        api.audit(pictures, budget="fast", seal=made.folder)


def verdict(*shares: SourceShare, alarm: bool = True) -> Verdict:
    rows = np.arange(3)
    found = Finding("F1", "flood", "high", "high", 1e-9, rows, ("x",), "Seen.", "Set aside.", alarm, sources=shares)
    return Verdict("poisoned", 0.01, 1e-9, (found,), (), "")


def test_findings_name_the_sources_to_revoke_and_what_is_known_of_them(pictures: Path) -> None:
    made = joined(api.load(pictures), seal(pictures))
    shares = (SourceShare("zoo", 6, 6, 1e-9), SourceShare("new", 3, 3, 1e-6), SourceShare("park", 6, 1, 0.4))
    (found,) = advised(verdict(*shares), made).findings
    assert found.advice == (
        "Set aside. Revoke 'zoo' (crowd, owner Zoo Friends, never vetted), 'new' (not listed there) in sources.toml, and seal again."
    )


def test_what_accuses_nobody_revokes_nobody(pictures: Path) -> None:
    before = verdict(SourceShare("zoo", 6, 6, 1e-9), alarm=False)
    found = joined(api.load(pictures), seal(pictures))
    assert advised(before, found).findings == before.findings
    assert advised(before, found._replace(seal=None)) is before


def test_a_set_of_no_row_in_common(pictures: Path, dataset_of_texts: Dataset) -> None:
    found = joined(dataset_of_texts, seal(pictures))
    assert found.facts["problems"][0].startswith("2 of 2 samples")
    assert replace(found.dataset, notes=()).index.equals(dataset_of_texts.index)


@pytest.fixture
def dataset_of_texts(tmp_path: Path) -> Dataset:
    path = tmp_path / "two.jsonl"
    path.write_text('{"text": "one", "label": "a"}\n{"text": "two", "label": "b"}\n')
    return api.load(path)
