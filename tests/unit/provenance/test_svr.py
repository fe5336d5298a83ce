"""Results of verifications, signed: what they state, that they keep to the format, and what shows when somebody bends them."""

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from untaint.cli import app
from untaint.errors import BadInput
from untaint.provenance import dsse, keys, policy, svr
from untaint.provenance.attest import Material
from untaint.provenance.policy import Decision, Policy
from untaint.provenance.seal import seal
from untaint.provenance.sealed import read_seal
from untaint.provenance.spot import Ask, Drawn
from untaint.provenance.verify import Tier, verify

VETTER, OTHER = keys.generate("ed25519"), keys.generate("p256")
BY_VETTER = policy.of_key(VETTER.public, "vetter.pub")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SCHEMA = json.loads((Path(__file__).parents[2] / "data/svr-v0.2.schema.json").read_text())
POLICY = Material("policy.toml", {"sha256": "ab" * 32})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(f'{{"text": "text number {n}", "label": "{n % 2}"}}\n' for n in range(500)))
    seal(path)
    return path


def result(data: Path, tier: Tier = "full", ask: Ask | None = None, signed: Decision | None = None) -> svr.Result:
    return svr.result_of(verify(data, tier=tier, ask=ask), signed, [POLICY] if signed else [], now=NOW, tool="untaint 1")


def written(data: Path, found: svr.Result, *signers: keys.PrivateKey) -> Path:
    return dsse.save(dsse.sign(svr.statement(found), signers or [VETTER]), data, None, "verified")


def problems(data: Path, path: Path, asked: Policy = BY_VETTER, now: datetime = NOW, passed: tuple[str, ...] = ()) -> list[str]:
    folder = data.with_name("set.jsonl.untaint")
    found = svr.check(read_seal(folder), [path], asked, now=now, passed=passed)
    return [problem.replace(f"{data.parent}/", "") for problem in found.problems]


@pytest.mark.parametrize(
    ("tier", "ask", "properties"),
    [
        ("full", None, ("UNTAINT_DATA_AS_SEALED",)),
        ("quick", None, ("UNTAINT_DATA_AS_SEALED_BY_SIZE_AND_TIME",)),
        ("spot", Ask(confidence=0.95, below=0.05), ("UNTAINT_DATA_CHANGED_AT_MOST_0.04951_CONFIDENCE_0.95",)),
        ("spot", Ask(share=1.0), ("UNTAINT_DATA_CHANGED_AT_MOST_0_CONFIDENCE_0.99",)),
    ],
)
def test_each_tier_states_what_it_saw_and_no_more(tier: Tier, ask: Ask | None, properties: tuple[str, ...], data: Path) -> None:
    found = result(data, tier, ask)
    assert found.properties == properties
    document = json.loads(svr.statement(found))
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    assert document["predicate"]["verifier"] == {"id": "urn:untaint:verify:v1", "policies": []}
    assert document["predicate"]["untaint_root"] == read_seal(data.with_name("set.jsonl.untaint")).sealed.root
    assert svr.parse(svr.statement(found), "it") == found
    path = written(data, found)
    assert path.name == "set.jsonl.verified.json"
    assert problems(data, path, passed=properties) == []


def test_a_share_is_never_rounded_down() -> None:
    for drawn in (1, 7, 58, 4603, 123_456):
        share = Drawn(drawn, 0, 10**7, 0.99).below
        stated = float(svr._up(share))
        assert share <= stated <= share * 1.002


def test_who_signed_the_seal_is_stated_with_the_policy(data: Path) -> None:
    found = result(data, signed=Decision(("alice", "bob"), ()))
    assert found.properties == ("UNTAINT_DATA_AS_SEALED", "UNTAINT_SEAL_SIGNED_AS_REQUIRED")
    document = json.loads(svr.statement(found))
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    assert document["predicate"]["verifier"]["policies"] == [{"name": "policy.toml", "digest": {"sha256": "ab" * 32}}]
    assert document["predicate"]["untaint_signers"] == "alice, bob"


def test_nothing_is_stated_where_something_was_found(data: Path) -> None:
    with pytest.raises(BadInput, match="found something, so nothing is attested"):
        result(data, signed=Decision((), ("not signed",)))
    data.write_text(data.read_text().replace('"0"', '"1"', 1))
    with pytest.raises(BadInput, match="found something, so nothing is attested"):
        result(data)


def test_who_may_state_it(data: Path) -> None:
    path = written(data, result(data), OTHER)
    assert problems(data, path) == ["set.jsonl.verified.json: it is not signed with the key vetter.pub"]
    rules = Policy((policy.Trusted("v", VETTER.public, frozenset(["vetter"])),), verification={"vetter": 1}, what="policy.toml")
    assert problems(data, written(data, result(data)), rules) == []
    seals_only = Policy(rules.keys, {"vetter": 1}, what="policy.toml")
    assert problems(data, path, seals_only)[0].endswith("policy.toml asks for nothing here, so nothing meets it")


def test_what_is_not_stated_or_of_another_seal(data: Path) -> None:
    path = written(data, result(data, "quick"))
    assert problems(data, path, passed=(svr.AS_SEALED,)) == ["nobody states UNTAINT_DATA_AS_SEALED"]
    assert "one clock is wrong" in problems(data, path, now=NOW - timedelta(days=1))[0]
    data.write_text(data.read_text().replace('"0"', '"1"', 1))
    seal(data, replace=True)
    found = problems(data, path, passed=(svr.QUICK,))
    assert found[0] == "set.jsonl.verified.json: it is about another seal than the one in set.jsonl.untaint"
    assert found[1] == f"nobody states {svr.QUICK}"


def test_an_edited_result(data: Path) -> None:
    path = written(data, result(data, "quick"))
    document = json.loads(path.read_text())
    payload = base64.b64decode(document["payload"]).replace(svr.QUICK.encode(), svr.AS_SEALED.encode())
    path.write_text(json.dumps(document | {"payload": base64.b64encode(payload).decode()}))
    assert problems(data, path)[0].endswith("it is not signed with the key vetter.pub")


def edited(**change: Any) -> bytes:
    document = json.loads(svr.statement(svr.Result(bytes(32), NOW, (svr.AS_SEALED,))))
    for where, value in change.items():
        held = document if where in document else document["predicate"]
        held[where] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "is not a JSON object"),
        (edited(predicateType="https://in-toto.io/attestation/svr/v0.9"), "is of version 'v0.9', this release reads v0.2"),
        (edited(predicateType="https://slsa.dev/provenance/v1"), "predicateType"),
        (edited(subject=[]), "subject"),
        (edited(verifier={"id": "x"}), "predicate.verifier.policies"),
        (edited(verifier={"id": "x", "policies": [{"name": "p"}]}), "predicate.verifier.policies.0.digest"),
        (edited(timeCreated="2026-02-30T00:00:00Z"), "day is out of range"),
        (edited(timeCreated="soon"), "predicate.timeCreated"),
        (edited(properties="UNTAINT_DATA_AS_SEALED"), "predicate.properties"),
    ],
)
def test_bad_statements(payload: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        svr.parse(payload, "it")


def test_fields_of_others_are_ignored_as_in_toto_says() -> None:
    found = svr.parse(edited(other={"a": 1}, untaint_tier="full", verifier={"id": "x", "policies": [], "more": 1}), "it")
    assert (found.facts, found.verifier) == ({"tier": "full"}, "x")


def test_from_the_command_line(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("vetter", "alice"):
        keys.new(data.with_name(f"{name}.pem"), kind="ed25519" if name == "vetter" else "p256", password=None)

    def untaint(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["untaint", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        said = capsys.readouterr()
        return int(str(ended.value.code)), " ".join((said.out + said.err).split())

    folder = data.parent
    untaint("sign", folder / "set.jsonl.untaint", "--key", folder / "alice.pem")
    code, said = untaint("verify", data, "--key", folder / "alice.pub", "--attest", folder / "vetter.pem")
    made = folder / "set.jsonl.verified.json"
    assert (code, f"attested in {made}" in said) == (0, True)
    check = ("attest", "check", folder / "set.jsonl.untaint", made, "--key", folder / "vetter.pub")
    code, said = untaint(*check, "--property", svr.AS_SEALED, "--property", svr.SIGNED)
    assert (code, said.startswith("UNTAINT_DATA_AS_SEALED, UNTAINT_SEAL_SIGNED_AS_REQUIRED at 20")) == (0, True)
    assert untaint(*check[:-1], folder / "alice.pub")[0] == 1
    assert untaint(*check, "--property", "SLSA_BUILD_LEVEL_3") == (1, "problem: nobody states SLSA_BUILD_LEVEL_3")
    made.unlink()
    data.write_text(data.read_text().replace('"0"', '"1"', 1))
    code, said = untaint("verify", data, "--attest", folder / "vetter.pem")
    assert (code, made.exists()) == (1, False)
