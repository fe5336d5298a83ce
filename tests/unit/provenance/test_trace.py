"""The join, walked both ways, on a set with an audit, a quarantine and two models made by hand."""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from untaint import api
from untaint.cli import app
from untaint.errors import BadInput
from untaint.provenance import attest, dsse, keys, policy, sign, trace_store
from untaint.provenance import training as run
from untaint.provenance.attest import Material, Training
from untaint.provenance.materials import of_consumed, of_data
from untaint.provenance.on_read import Checker
from untaint.provenance.sealed import read_seal
from untaint.provenance.trace import Tracer
from untaint.provenance.trace_signatures import Signatures
from untaint.provenance.trace_store import AuditEntry, LedgerEntry, Store
from untaint.report.traced import enter

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOURCES = """schema = "untaint.sources/v1"
[[source]]
name = "house"
kind = "internal"
vetted_on = 2026-01-01
[[source]]
name = "old"
vetted_on = 2020-01-01
expires = 2021-01-01
"""
BAD = (3, 7, 11)


def write(path: Path, rows: range) -> None:
    names = ("house", "old", "bulk")
    lines = [{"text": f"sentence {i}", "label": "a", "source": "bulk" if i in BAD else names[i % 2]} for i in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "a [1] set*"  # what a glob would take amiss
    folder.mkdir()
    path = folder / "train.jsonl"
    write(path, range(20))
    (folder / "train.jsonl.untaint").mkdir()
    (folder / "train.jsonl.untaint" / "sources.toml").write_text(SOURCES)
    api.seal(path)
    return path


def ids(path: Path) -> list[bytes]:
    table = next(read_seal(path.with_name(f"{path.name}.untaint")).manifest.batches(["id"]))
    return [value.as_py() for value in table.column("id")]


def training(data: Path, name: str, *, step: int = 0, parent: bytes | None = None, base: str | None = None) -> Training:
    materials = [of_data(read_seal(data.with_name(f"{data.name}.untaint")))] if base is None else []
    materials += [Material("base-model", {"sha256": base})] if base else []
    output = Material("model", {"sha256": name.encode().hex().ljust(64, "0")}, {"path": name})
    return Training(output, tuple(materials), "urn:me", "r" * 32, step, NOON, NOON, parent=parent)


@pytest.fixture
def store(data: Path, tmp_path: Path) -> Iterator[Store]:
    known = ids(data)
    seal = read_seal(data.with_name(f"{data.name}.untaint"))
    judged = pa.table(
        {
            "row": pa.array(BAD, pa.int64()),
            "id": pa.array([known[row] for row in BAD], pa.binary(32)),
            "path": [f"train.jsonl:{row + 1}" for row in BAD],
            "flagged": [True] * 3,
            "finding": ["F1"] * 3,
            "reason": ["says so"] * 3,
            "risk": [0.9] * 3,
        }
    )
    facts = {"folder": "/audit", "verdict": "poisoned", "alpha": 0.01, "p_value": 1e-9, "samples": 20, "flagged": 3}
    finding = {
        "finding": "F1",
        "kind": "flood",
        "alarm": True,
        "severity": "high",
        "target": "a",
        "samples": 3,
        "title": "Flood: 3",
    }
    share = {"finding": "F1", "source": "bulk", "samples": 3, "flagged": 3, "p_value": 1e-9}
    decisions = pa.table(
        {
            "line": pa.array([2, 3, 4], pa.int64()),
            "action": ["hold", "hold", "restore"],
            "row": pa.array([3, 7, 7], pa.int64()),
            "id": pa.array([known[3], known[7], known[7]], pa.binary(32)),
            "time": ["2026-05-02"] * 3,
            "finding": ["F1", "F1", None],
            "reason": ["says so", "says so", None],
        }
    )
    with trace_store.opened(tmp_path / "t.duckdb") as opened:
        opened.add_set(seal, of_data(seal).digest["sha256"])
        opened.add_audit(AuditEntry("ab", facts, [finding], [share], judged))
        opened.add_ledger(LedgerEntry("cd", "/clean", "train.jsonl", "2026-05-02", decisions))
        opened.add_training(training(data, "first.bin"), "11" * 32, tmp_path / "first.attest.json")
        opened.add_training(training(data, "second.bin", step=9, parent=b"\x11" * 32), "22" * 32, tmp_path / "second.attest.json")
        opened.add_training(
            training(data, "tuned.bin", base=b"first.bin".hex().ljust(64, "0")), "33" * 32, tmp_path / "tuned.json"
        )
        yield opened


@pytest.fixture
def tracer(store: Store) -> Tracer:
    return Tracer(store, date(2026, 6, 1), Signatures(None, NOON))


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = rows
    return row


def test_a_sample_by_its_place_leads_to_everything_about_it(tracer: Tracer, data: Path) -> None:
    found = tracer.answer("train.jsonl:4")
    assert found.kind == "sample"
    place = only(found.facts["places"])
    assert (place["id"], place["source"], place["label"]) == (ids(data)[3].hex(), "bulk", "a")
    assert only(found.facts["vetting"])["state"] == "in no sources.toml: nobody vouches for it"
    assert only(found.facts["audits"])["finding"] == "F1"
    assert only(found.facts["decisions"])["action"] == "hold"
    assert {model["name"]: model["how"] for model in found.facts["models"]} == {
        "first.bin": "trained on it",
        "second.bin": "trained on it",
        "tuned.bin": "began from a model that was",
    }


def test_a_sample_by_its_id_gives_the_same(tracer: Tracer, data: Path) -> None:
    assert tracer.answer(ids(data)[3].hex()[:12]).facts == tracer.answer("train.jsonl:4").facts


def test_an_honest_sample_is_accused_of_nothing(tracer: Tracer) -> None:
    found = tracer.answer("train.jsonl:1")
    assert (found.facts["audits"], found.facts["decisions"]) == ([], [])
    assert only(found.facts["vetting"])["state"] == "vetted on 2026-01-01"


@pytest.mark.parametrize(
    ("source", "state", "samples"), [("old", "vetting expired on 2021-01-01", 7), ("house", "vetted on 2026-01-01", 10)]
)
def test_a_source_and_its_vetting(tracer: Tracer, source: str, state: str, samples: int) -> None:
    found = tracer.answer(source)
    assert found.kind == "source"
    assert only(found.facts["vetting"])["state"] == state
    assert only(found.facts["sets"])["samples"] == samples


def test_an_accused_source_leads_to_findings_quarantine_and_models(tracer: Tracer) -> None:
    found = tracer.answer("bulk").facts
    assert only(found["findings"])["flagged"] == 3
    assert only(found["set_aside"])["samples"] == 1  # the other was put back
    assert len(found["models"]) == 3


def test_a_model_leads_back_to_what_it_ate(tracer: Tracer) -> None:
    found = tracer.answer("second.bin")
    assert [model["name"] for model in found.facts["checkpoints"]] == ["second.bin", "first.bin"]
    assert {row["source"]: row["samples"] for row in found.facts["sources"]} == {"house": 10, "old": 7, "bulk": 3}
    assert only(found.facts["findings"])["samples"] == 3
    assert only(found.facts["set_aside"])["samples"] == 1


def test_a_tuned_model_leads_to_the_data_of_its_base(tracer: Tracer) -> None:
    found = tracer.answer("tuned.bin")
    assert [model["name"] for model in found.facts["checkpoints"]] == ["tuned.bin", "first.bin"]
    assert only(found.facts["findings"])["finding"] == "F1"


def test_what_was_cleaned_is_another_set_and_does_not_hold_what_was_set_aside(
    tracer: Tracer, store: Store, data: Path, tmp_path: Path
) -> None:
    clean = tmp_path / "clean.jsonl"
    clean.write_text("".join(line for row, line in enumerate(data.read_text().splitlines(keepends=True)) if row not in BAD))
    seal = api.seal(clean)
    store.add_set(seal, of_data(seal).digest["sha256"])
    store.add_training(training(clean, "cured.bin"), "44" * 32, tmp_path / "cured.json")
    assert "cured.bin" not in {model["name"] for model in tracer.answer("train.jsonl:4").facts["models"]}
    assert "cured.bin" in {model["name"] for model in tracer.answer(ids(data)[0].hex()).facts["models"]}
    assert tracer.answer("cured.bin").facts["findings"] == []


def test_entering_twice_changes_nothing(store: Store, tracer: Tracer, data: Path, tmp_path: Path) -> None:
    before = tracer.answer(None).facts
    store.add_training(training(data, "first.bin"), "11" * 32, tmp_path / "first.attest.json")
    seal = read_seal(data.with_name("train.jsonl.untaint"))
    store.add_set(seal, of_data(seal).digest["sha256"])
    key = lambda row: json.dumps(row, default=str)  # noqa: E731
    assert {name: sorted(rows, key=key) for name, rows in tracer.answer(None).facts.items()} == {
        name: sorted(rows, key=key) for name, rows in before.items()
    }


def test_a_seal_that_was_moved_is_said_to_be_gone(tracer: Tracer, data: Path) -> None:
    data.with_name("train.jsonl.untaint").rename(data.with_name("elsewhere"))
    with pytest.raises(BadInput, match="no sample, source or model"):
        tracer.answer("bulk")
    assert any("is not in" in note for note in tracer.notes)


@pytest.mark.parametrize("what", ["nobody", "train.jsonl:99", "train.jsonl:0", "'; DROP TABLE sets; --", "deadbeef", ""])
def test_what_is_not_known_is_said(tracer: Tracer, what: str) -> None:
    with pytest.raises(BadInput, match="is known"):
        tracer.answer(what)


def test_from_the_command_line_to_json(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["untaint", "trace", str(data), "train.jsonl:4", "--json"])
    with pytest.raises(SystemExit) as stop:
        app.run()
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["kind"], found["places"][0]["source"]) == ("untaint.trace/v1", "sample", "bulk")


def test_a_file_that_is_no_store(data: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.duckdb"
    junk.write_bytes(b"junk" * 4096)
    with pytest.raises(BadInput, match="cannot be used"):
        api.trace(data, store=junk)


def test_what_cannot_be_entered(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing that can be traced"):
        api.trace(data, add=[tmp_path])
    text = tmp_path / "some.json"
    text.write_text("{}")
    with pytest.raises(BadInput, match=r"some\.json"):
        api.trace(data, add=[text])


def test_a_model_that_did_not_read_a_sample_is_not_said_to_have_eaten_it(store: Store, data: Path, tmp_path: Path) -> None:
    seal = read_seal(data.with_name("train.jsonl.untaint"))
    checker = Checker(seal)
    for row in (0, 1, 2, 3, 9):
        checker.check(f"sentence {row}", label="a")
    done = checker.write(tmp_path / "read.parquet")
    assert (done.rows, done.total) == (5, 20)
    ran = replace(training(data, "partial.bin"), materials=(of_data(seal), of_consumed(done.root, done.rows)))
    store.add_training(ran, "55" * 32, tmp_path / "partial.json")
    assert read_by(store, "train.jsonl:5") == read_by(store, "train.jsonl:4") == "read 5 samples, root " + done.root[:16]
    assert enter(store, tmp_path / "read.parquet") == "consumed"
    assert read_by(store, "train.jsonl:4") == read_by(store, "train.jsonl:10") == "read it"
    assert read_by(store, "train.jsonl:5") is None
    tracer = Tracer(store, date(2026, 6, 1), Signatures(None, NOON))
    tracer.answer("train.jsonl:5")
    assert "1 models were trained on a set that holds it and did not read it." in tracer.notes


def read_by(store: Store, what: str) -> str | None:
    models = Tracer(store, date(2026, 6, 1), Signatures(None, NOON)).answer(what).facts["models"]
    return next((model["read"] for model in models if model["name"] == "partial.bin"), None)


ALICE, TRAINER, EVE = (keys.generate("p256") for _ in range(3))
WHEN = datetime(2099, 1, 1, tzinfo=UTC)


def asked(*, log: bool = False) -> policy.Policy:
    trusted = (
        policy.Trusted("alice", ALICE.public, frozenset(["collector"])),
        policy.Trusted("trainer", TRAINER.public, frozenset(["trainer"])),
    )
    return policy.Policy(trusted, {"collector": 1}, {"trainer": 1}, what="policy.toml", log=log)


@pytest.fixture
def signed(store: Store, data: Path, tmp_path: Path) -> Store:
    """The set signed by alice, a model attested by the trainer and one by somebody else."""
    sealed = read_seal(data.with_name("train.jsonl.untaint"))
    sign.sign_seal(sealed, [ALICE], now=datetime.now(UTC))
    for name, key in (("good.bin", TRAINER), ("bad.bin", EVE)):
        envelope = dsse.sign(attest.statement(training(data, name)), [key])
        path = dsse.save(envelope, tmp_path / name, None)
        store.add_training(training(data, name), hashlib.sha256(envelope.payload).hexdigest(), path)
    return store


def test_signatures_are_not_checked_unless_asked_for(signed: Store) -> None:
    found = Tracer(signed, date(2026, 6, 1), Signatures(None, NOON)).answer("train.jsonl:4")
    assert {row["signatures"] for section in ("places", "models") for row in found.facts[section]} == {"not checked"}
    assert found.problems == ()


def test_who_signed_is_told_of_seals_and_models(signed: Store, data: Path, tmp_path: Path) -> None:
    tracer = Tracer(signed, date(2026, 6, 1), Signatures(asked(), WHEN))
    found = tracer.answer("train.jsonl:4")
    assert only(found.facts["places"])["signatures"] == "signed by alice"
    models = {row["name"]: row["signatures"] for row in found.facts["models"]}
    assert models["good.bin"] == "signed by trainer"
    assert models["bad.bin"] == "not trusted: policy.toml requires one signer as trainer, and nobody signed as such"
    assert models["first.bin"].startswith("not trusted: no attestation at ")
    assert f"{tmp_path}/bad.bin.attest.json: policy.toml requires one signer as trainer" in "\n".join(found.problems)
    assert Tracer(signed, date(2026, 6, 1), Signatures(asked(), WHEN)).answer("good.bin").problems == ()
    (tmp_path / "good.bin.attest.json").write_bytes((tmp_path / "bad.bin.attest.json").read_bytes())
    again = Tracer(signed, date(2026, 6, 1), Signatures(asked(), WHEN)).answer("good.bin")
    assert again.problems[0].endswith("it is another attestation than the one that was entered")


def test_a_policy_with_a_log_asks_for_the_entry_of_the_attestation(signed: Store, data: Path, tmp_path: Path) -> None:
    def told() -> str:
        found = Tracer(signed, date(2026, 6, 1), Signatures(asked(log=True), WHEN)).answer("good.bin")
        return str(only(found.facts["checkpoints"])["signatures"])

    assert told() == "not trusted: the log has no entry for this attestation"
    folder = data.with_name("train.jsonl.untaint")
    run.log(dsse.load(tmp_path / "good.bin.attest.json"), folder, [ALICE], now=datetime.now(UTC))
    assert told() == "signed by trainer"


def test_a_policy_of_seals_says_nothing_of_models(signed: Store) -> None:
    seals = policy.Policy(asked().keys, {"collector": 1}, what="policy.toml")
    found = Tracer(signed, date(2026, 6, 1), Signatures(seals, WHEN)).answer(None)
    assert only(found.facts["sets"])["signatures"] == "signed by alice"
    assert {row["signatures"] for row in found.facts["models"]} == {"not checked"}


def test_signatures_from_the_command_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sign.sign_seal(read_seal(data.with_name("train.jsonl.untaint")), [ALICE], now=datetime.now(UTC))
    for name, key in (("alice", ALICE), ("eve", EVE)):
        (tmp_path / f"{name}.pub").write_bytes(key.public.pem)

    def untaint(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["untaint", "trace", str(data), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        return int(str(ended.value.code)), " ".join(capsys.readouterr().out.split())

    code, said = untaint("train.jsonl:4")
    assert (code, said.endswith("signatures: not checked; --key or --policy says whom you trust")) == (0, True)
    code, said = untaint("train.jsonl:4", "--key", tmp_path / "alice.pub")
    assert (code, "; signed by " in said) == (0, True)
    code, said = untaint("train.jsonl:4", "--key", tmp_path / "eve.pub")
    assert (code, "not trusted: it is not signed with the key" in said, "problem: " in said) == (1, True, True)
    assert json.loads(untaint("train.jsonl:4", "--json", "--key", tmp_path / "eve.pub")[1])["problems"]
