"""The main job through the command line: audit, report, clean, restore, attack, list."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.e2e.cases import FORMATS, Labelled, alarms, audit_json, fingerprint, flagged, npz, samples, untaint

from untaint import api
from untaint.data.dataset import from_arrays


def rates(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """TPR and FPR."""
    return float(found[truth].mean()), float(found[~truth].mean())


@pytest.mark.parametrize("budget", ["fast", "standard"])
def test_a_backdoor_is_found_and_only_it(
    budget: str, poisoned_file: Path, poisoned: Labelled, audited: Path, tmp_path: Path
) -> None:
    out = audited
    if budget == "standard":
        out = tmp_path / "audit"
        outcome = untaint("audit", poisoned_file, "--out", out)
        assert outcome.code == 1, outcome
        assert "POISONED" in outcome.out
        assert "untaint clean" in outcome.out
    document = audit_json(out)
    assert document["verdict"] == "poisoned"
    assert [finding["target_label"] for finding in alarms(out)] == ["3"]
    tpr, fpr = rates(flagged(out), poisoned.poisoned)
    assert tpr >= 0.95
    assert fpr <= 0.005
    assert document["n_flagged"] == flagged(out).sum()
    risk = np.array(samples(out).column("risk").to_pylist())
    assert risk[flagged(out)].min() > risk[~flagged(out)].max()


def test_two_backdoors_are_two_findings(digits: Labelled, tmp_path: Path) -> None:
    data = from_arrays(digits.images, digits.labels.tolist())
    first = api.attack(data, "badnets(position=(0, 0))", rate=0.04, target="3")
    second = api.attack(first.dataset, "badnets(position=(13, 0), pattern='checkerboard')", seed=1, rate=0.04, target="7").dataset
    images = np.stack([np.asarray(payload).reshape(16, 16) for payload in second.read(range(len(second)))])
    labels = np.array(second.labels).astype(int)
    outcome = untaint("audit", npz(tmp_path, images, labels), "--budget", "fast", "--out", tmp_path / "audit")
    assert outcome.code == 1, outcome
    assert {finding["target_label"] for finding in alarms(tmp_path / "audit")} == {"3", "7"}


def test_clean_data_raise_no_alarm(clean_file: Path, tmp_path: Path) -> None:
    outcome = untaint("audit", clean_file, "--out", tmp_path / "audit", "--budget", "fast")
    assert outcome.code == 0, outcome
    document = audit_json(tmp_path / "audit")
    assert document["verdict"] != "poisoned"
    assert document["n_flagged"] == 0
    assert not alarms(tmp_path / "audit")


def test_an_audit_writes_its_folder_and_nothing_else(poisoned: Labelled, tmp_path: Path) -> None:
    data = npz(tmp_path / "data", poisoned.images, poisoned.labels)
    (tmp_path / "here").mkdir()
    before = fingerprint(data)
    outcome = untaint("audit", data, "--out", tmp_path / "out", "--budget", "fast", cwd=tmp_path / "here")
    assert outcome.code == 1
    assert fingerprint(data.parent) == before
    assert not list((tmp_path / "here").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "here", "out"]
    names = {"audit.json", "audit.sarif", "cache", "pictures.parquet", "report.html", "samples.parquet"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_out_defaults_to_a_folder_here(poisoned_file: Path, tmp_path: Path) -> None:
    untaint("audit", poisoned_file, "--budget", "fast", "--quiet", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["untaint-audit"]


def test_quiet_says_nothing(poisoned_file: Path, tmp_path: Path) -> None:
    outcome = untaint("audit", poisoned_file, "--budget", "fast", "--quiet", "--out", tmp_path)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "")


def timeless(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"checks": [{**check, "seconds": None} for check in document["checks"]]}


def test_the_same_audit_twice_says_the_same(poisoned_file: Path, audited: Path, tmp_path: Path) -> None:
    untaint("audit", poisoned_file, "--out", tmp_path / "again", "--budget", "fast")
    assert timeless(audit_json(tmp_path / "again")) == timeless(audit_json(audited))
    assert samples(tmp_path / "again").equals(samples(audited))


def test_a_second_run_into_the_same_folder_uses_the_cache(poisoned_file: Path, tmp_path: Path) -> None:
    untaint("audit", poisoned_file, "--out", tmp_path, "--budget", "fast")
    first, before = audit_json(tmp_path), fingerprint(tmp_path / "cache")
    untaint("audit", poisoned_file, "--out", tmp_path, "--budget", "fast")
    assert fingerprint(tmp_path / "cache") == before
    assert timeless(audit_json(tmp_path)) == timeless(first)


@pytest.mark.parametrize(("format", "needle"), [("markdown", "# "), ("sarif", '"version": "2.1.0"'), ("html", "<html")])
def test_report_renders_again(audited: Path, format: str, needle: str, tmp_path: Path) -> None:
    shown = untaint("report", audited, "--format", format)
    assert shown.code == 0
    assert needle in shown.out
    written = untaint("report", audited, "--format", format, "--out", tmp_path / "file")
    assert written.code == 0
    assert (tmp_path / "file").read_text(encoding="utf-8").rstrip() == shown.out.rstrip()


def test_clean_and_restore(poisoned_file: Path, audited: Path, tmp_path: Path) -> None:
    before = fingerprint(poisoned_file)
    out, held = tmp_path / "cleaned", int(flagged(audited).sum())
    outcome = untaint("clean", poisoned_file, "--audit", audited, "--out", out)
    assert outcome.code == 0, outcome
    assert fingerprint(poisoned_file) == before
    assert {path.name for path in out.iterdir()} == {"clean", "quarantine", "ledger.jsonl"}
    with np.load(out / "clean" / "set.npz") as kept, np.load(out / "quarantine" / "data" / "set.npz") as aside:
        assert (len(kept["images"]), len(aside["images"])) == (1797 - held, held)
    reasons = [json.loads(line) for line in (out / "quarantine" / "reasons.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(reasons) == held
    assert all("backdoor towards '3'" in record["reason"] for record in reasons)
    restored = untaint("restore", out, "F1")
    assert restored.code == 0, restored
    assert f"{held} samples restored: 1,797 clean, 0 held." in restored.out
    assert api.load(out / "clean" / "set.npz").ids == api.load(poisoned_file).ids


def test_a_cleaned_set_audits_clean(poisoned_file: Path, audited: Path, tmp_path: Path) -> None:
    untaint("clean", poisoned_file, "--audit", audited, "--out", tmp_path / "cleaned")
    data = tmp_path / "cleaned" / "clean" / "set.npz"
    outcome = untaint("audit", data, "--out", tmp_path / "audit", "--budget", "fast")
    assert outcome.code == 0, outcome


def test_clean_releases_what_a_person_names(poisoned_file: Path, audited: Path, tmp_path: Path) -> None:
    row = int(np.flatnonzero(flagged(audited))[0])
    outcome = untaint("clean", poisoned_file, "--audit", audited, "--out", tmp_path / "cleaned", "--release", f"row:{row}")
    assert outcome.code == 0
    assert f"{flagged(audited).sum() - 1} samples in" in outcome.out


def test_attack_writes_a_copy_with_the_truth(clean_file: Path, tmp_path: Path) -> None:
    before = fingerprint(clean_file)
    outcome = untaint("attack", "badnets", clean_file, "--rate", "0.05", "--target", "3", "--out", tmp_path / "attack")
    assert outcome.code == 0, outcome
    assert fingerprint(clean_file) == before
    truth = np.array(pq.read_table(tmp_path / "attack" / "truth.parquet").column("poisoned").to_pylist())
    facts = json.loads((tmp_path / "attack" / "attack.json").read_text(encoding="utf-8"))
    assert (facts["n_poisoned"], facts["target"]) == (truth.sum(), "3")
    audit = untaint("audit", tmp_path / "attack" / "data", "--budget", "fast", "--out", tmp_path / "audit")
    assert audit.code == 1, audit
    assert rates(flagged(tmp_path / "audit"), truth)[0] >= 0.95


@pytest.mark.parametrize(
    ("kind", "member"), [("detectors", "spectral"), ("attacks", "badnets"), ("formats", "npz"), ("features", "canvas")]
)
def test_list(kind: str, member: str) -> None:
    listed, page = untaint("list", kind), untaint("list", kind, member)
    assert (listed.code, page.code) == (0, 0)
    assert member in listed.out
    assert page.out.startswith(f"{member}\n")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format(format: str, poisoned: Labelled, tmp_path: Path) -> None:
    data = FORMATS[format](tmp_path / "data", poisoned.images, poisoned.labels.tolist())
    before = fingerprint(tmp_path / "data")
    outcome = untaint("audit", data, "--budget", "fast", "--out", tmp_path / "audit")
    assert outcome.code == 1, outcome
    assert fingerprint(tmp_path / "data") == before
    assert f"read as {format}" in outcome.out.replace("\n", " ")
    truth = poisoned.poisoned
    if format == "image-folder":  # read class by class
        rows = [int(Path(path).stem) for path in samples(tmp_path / "audit").column("path").to_pylist()]
        truth = truth[rows]
    tpr, fpr = rates(flagged(tmp_path / "audit"), truth)
    assert tpr >= 0.95
    assert fpr <= 0.005
    assert [finding["target_label"] for finding in alarms(tmp_path / "audit")] == ["3"]
