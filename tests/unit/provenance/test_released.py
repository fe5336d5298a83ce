"""What earlier releases signed verifies for ever: keys, envelope, bundle, log, proof, attestations and policy of v1."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from untaint.provenance import keys, log_proof, policy, policy_file, sign, training
from untaint.provenance.log import Log
from untaint.provenance.oms_check import Checked, check_bundle

RELEASED = sorted((Path(__file__).parents[2] / "released").glob("v*/signed"))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.parent.name)


def test_the_key_opens_and_is_the_same(folder: Path) -> None:
    assert keys.load_private(folder / "alice.pem", b"released").public == keys.load_public(folder / "alice.pub")


def test_the_envelope_meets_its_policy(folder: Path) -> None:
    found = sign.verify((folder / "envelope.json").read_bytes(), policy_file.read(folder / "policy.toml"), now=NOW)
    assert found.decision == policy.Decision(("alice", "bob"), ())
    assert (found.facts.name, found.facts.samples, found.facts.files) == ("set.jsonl", 2, 1)


def test_the_bundle(folder: Path) -> None:
    found = check_bundle(folder / "set.jsonl", folder / "bundle.sig", [keys.load_public(folder / "alice.pub")], None)
    assert found == Checked((), ())


def test_the_log_and_its_witness(folder: Path) -> None:
    key, witness = keys.load_public(folder / "alice.pub"), keys.load_public(folder / "w1.pub")
    checked = Log(folder / "log").check(key, {"example.com/w1": witness}, 1)
    assert (checked.checkpoint.size, checked.witnesses, checked.problems) == (300, ("example.com/w1",), ())
    proof = log_proof.read((folder / "entry-0.tlog-proof").read_bytes(), "it")
    assert proof.problems(next(Log(folder / "log").entries()), key, {"example.com/w1": witness}, 1) == ()


def test_the_attestations(folder: Path) -> None:
    asked = policy_file.read(folder / "policy.toml")
    found = training.check(None, [folder / "step-1.json", folder / "step-2.json"], asked, now=NOW)
    assert (found.signers, found.problems) == (("alice",), ())
    assert [one.step for one in found.trainings] == [1, 2]
