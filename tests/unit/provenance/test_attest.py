"""Attestations of training runs: what they say, the chain of checkpoints, and what shows when somebody bends them."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from untaint.cli import app
from untaint.errors import BadInput
from untaint.provenance import attest, dsse, keys, materials, policy, training
from untaint.provenance.attest import Material, Training
from untaint.provenance.log import Log
from untaint.provenance.policy import Policy
from untaint.provenance.seal import seal
from untaint.provenance.sealed import read_seal
from untaint.provenance.training import Inputs, Point

TRAINER, OTHER = keys.generate("p256"), keys.generate("ed25519")
BY_TRAINER = policy.of_key(TRAINER.public, "trainer.pub")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data set that is sealed, code, a configuration, an audit and a model."""
    (tmp_path / "set.jsonl").write_text('{"text": "a", "label": "0"}\n{"text": "b", "label": "1"}\n', encoding="utf-8")
    seal(tmp_path / "set.jsonl")
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "train.py").write_text("fit()", encoding="utf-8")
    (tmp_path / "train.yaml").write_text("lr: 1", encoding="utf-8")
    (tmp_path / "audit").mkdir()
    verdict = {"schema": "untaint.audit/v1", "verdict": "no evidence", "alpha": 0.01, "n_samples": 2, "n_flagged": 0}
    (tmp_path / "audit" / "audit.json").write_text(json.dumps(verdict), encoding="utf-8")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"0")
    return tmp_path


def inputs(place: Path) -> Inputs:
    return Inputs(
        data=place / "set.jsonl.untaint",
        code=place / "code",
        config=place / "train.yaml",
        audit=place / "audit",
        consumed=("ab" * 32, 1),
        others={"tokenizer": place / "train.yaml"},
    )


def attested(place: Path, step: int, parent: Path | None = None, now: datetime = NOW) -> Path:
    (place / "model" / "weights").write_bytes(str(step).encode())
    point = Point(step=step, parent=parent, parameters={"seed": "7"})
    path = place / f"{step}.json"
    path.write_bytes(training.attested(place / "model", inputs(place), point, [TRAINER], now=now, tool="test").dump())
    return path


@pytest.fixture
def chain(place: Path) -> list[Path]:
    found: list[Path] = []
    for number in range(4):
        found.append(attested(place, 100 * (number + 1), found[-1] if found else None, NOW + timedelta(hours=number)))
    return found


def problems(
    place: Path, files: Sequence[Path], asked: Policy = BY_TRAINER, now: datetime = NOW + timedelta(days=1)
) -> tuple[str, ...]:
    said = training.check(place / "model", files, asked, now=now).problems
    return tuple(problem.replace(f"{place}/", "") for problem in said)


def test_what_an_attestation_says(place: Path) -> None:
    path = attested(place, 100)
    (found,) = training.check(place / "model", [path], BY_TRAINER, now=NOW).trainings
    assert [material.name for material in found.materials] == [
        "config", "tokenizer", "code", "dataset", "audit", "consumed", "environment",
    ]  # fmt: skip
    data, audit = found.material("dataset"), found.material("audit")
    assert data is not None
    assert data.facts["samples"] == "2"
    assert len(data.facts["root"]) == 64
    assert audit is not None
    assert audit.facts == {"verdict": "no evidence", "alpha": "0.01", "n_samples": "2", "n_flagged": "0"}
    assert found.material("base-model") is None
    assert (found.step, found.parameters, found.parent) == (100, {"seed": "7"}, None)
    payload = dsse.read(path.read_bytes(), "it").payload
    assert attest.statement(found) == payload


def test_it_is_slsa_provenance(place: Path) -> None:
    document = json.loads(dsse.read(attested(place, 100).read_bytes(), "it").payload)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [set(subject) for subject in document["subject"]] == [{"name", "digest", "annotations"}]
    predicate = document["predicate"]
    assert set(predicate) == {"buildDefinition", "runDetails"}
    assert set(predicate["buildDefinition"]) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert set(predicate["runDetails"]) == {"builder", "metadata", "byproducts"}
    assert predicate["runDetails"]["metadata"]["finishedOn"] == "2026-11-27T12:00:00Z"
    for resource in predicate["buildDefinition"]["resolvedDependencies"]:
        assert set(resource) <= {"name", "digest", "annotations", "uri"}
        assert all(isinstance(value, str) for value in resource["annotations"].values())


def test_a_whole_chain(place: Path, chain: list[Path]) -> None:
    assert problems(place, chain) == ()
    found = training.check(place / "model", chain, BY_TRAINER, now=NOW + timedelta(days=1))
    assert found.signers == ("trainer.pub",)
    assert len({one.run for one in found.trainings}) == 1


def test_a_gap_a_fork_and_another_order(place: Path, chain: list[Path]) -> None:
    assert problems(place, [chain[0], chain[1], chain[3]]) == (
        "400.json does not follow 200.json: one between them is missing, or it belongs to another history",
    )
    assert problems(place, chain[1:]) == ("200.json names a parent that is not here",)
    turned = problems(place, [chain[0], chain[2], chain[1], chain[3]])
    assert "200.json is at step 200, not after step 300 of 300.json" in turned
    other = place / "other.json"
    other.write_bytes(
        training.attested(
            place / "model", inputs(place), Point(step=350, parent=chain[1]), [TRAINER], now=NOW + timedelta(hours=9)
        ).dump()
    )
    (place / "model" / "weights").write_bytes(b"400")
    assert problems(place, [*chain[:3], other, chain[3]])[0].startswith("other.json does not follow 300.json")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("set.jsonl", '{"text": "evil", "label": "1"}\n{"text": "b", "label": "1"}\n', "dataset"),
        ("code/train.py", "steal()", "code"),
        ("train.yaml", "lr: 2", "config"),
    ],
)
def test_materials_do_not_change_within_a_run(name: str, content: str, said: str, place: Path, chain: list[Path]) -> None:
    (place / name).write_text(content, encoding="utf-8")
    if said == "dataset":
        seal(place / "set.jsonl", replace=True)
    late = attested(place, 500, chain[-1], NOW + timedelta(hours=5))
    assert problems(place, [*chain, late]) == (f"500.json has another {said} than 400.json",)


def test_caches_are_no_code(place: Path) -> None:
    before = materials.of_code(place / "code").digest
    (place / "code" / "__pycache__" / "train.pyc").write_bytes(b"x")
    assert materials.of_code(place / "code").digest == before
    (place / "code" / ".hidden.py").touch()
    assert materials.of_code(place / "code").digest != before


def test_another_model(place: Path, chain: list[Path]) -> None:
    (place / "model" / "weights").write_bytes(b"400!")
    assert problems(place, chain) == ("model is not the model that 400.json is about",)
    (place / "model" / "weights").write_bytes(b"400")
    (place / "model" / "loader.py").touch()
    assert problems(place, chain) == ("model is not the model that 400.json is about",)


def test_what_was_read_is_of_the_data_that_are_named(place: Path) -> None:
    """As verify-on-read counts: different samples, in sealed order."""
    sealed = read_seal(place / "set.jsonl.untaint").sealed
    cases = {
        (sealed.root, 2): (),
        ("ab" * 32, 1): (),
        ("ab" * 32, 2): (
            "m.json: it read every sample of its data set, and came to another root: what was read is not what was sealed",
        ),
        (sealed.root, 3): ("m.json: it read 3 different samples of a set of 2",),
    }
    for consumed, said in cases.items():
        taken = Inputs(data=place / "set.jsonl.untaint", consumed=consumed)
        (place / "m.json").write_bytes(training.attested(place / "model", taken, Point(), [TRAINER], now=NOW).dump())
        assert problems(place, [place / "m.json"]) == said


def test_wrong_key_and_wrong_role(place: Path, chain: list[Path]) -> None:
    assert (
        problems(place, chain[:1], policy.of_key(OTHER.public, "other.pub"))[0]
        == "100.json: it is not signed with the key other.pub"
    )
    trusted = (
        policy.Trusted("t", TRAINER.public, frozenset({"collector"})),
        policy.Trusted("o", OTHER.public, frozenset({"trainer"})),
    )
    asked = Policy(trusted, training={"trainer": 1}, what="policy.toml")
    assert (
        problems(place, chain[:1], asked)[0] == "100.json: policy.toml requires one signer as trainer, and nobody signed as such"
    )
    of_data = Policy(trusted, require={"collector": 1}, what="policy.toml")
    assert problems(place, chain[:1], of_data)[0] == "100.json: policy.toml asks for nothing here, so nothing meets it"


def test_an_edited_attestation(place: Path, chain: list[Path]) -> None:
    document = json.loads(chain[-1].read_bytes())
    found = attest.parse(dsse.read(chain[-1].read_bytes(), "it").payload, "it")
    kept = tuple(material for material in found.materials if material.name != "audit")
    payload = attest.statement(Training(**{**vars(found), "materials": kept}))
    document["payload"] = dsse.Envelope(payload, dsse.IN_TOTO, ()).document()["payload"]
    chain[-1].write_text(json.dumps(document), encoding="utf-8")
    assert problems(place, chain) == ("400.json: it is not signed with the key trainer.pub",)


def test_clocks(place: Path, chain: list[Path]) -> None:
    assert "one clock is wrong" in problems(place, chain, now=NOW)[0]
    late = attested(place, 500, chain[-1], NOW)
    assert problems(place, [*chain, late])[-1] == (
        "500.json was finished at 2026-11-27T12:00:00Z, before 400.json (2026-11-27T15:00:00Z)"
    )


def test_bad_wishes(place: Path, chain: list[Path]) -> None:
    with pytest.raises(BadInput, match="step 400 is not after step 400"):
        attested(place, 400, chain[-1])
    with pytest.raises(BadInput, match="nobody signs"):
        training.attested(place / "model", Inputs(), Point(), [], now=NOW)
    with pytest.raises(BadInput, match="no such file or folder"):
        training.attested(place / "none", Inputs(), Point(), [TRAINER], now=NOW)
    with pytest.raises(BadInput, match="no such file or folder.*Give the config by its path"):
        training.attested(place / "model", Inputs(config=place / "none"), Point(), [TRAINER], now=NOW)
    with pytest.raises(BadInput, match="is not the root of a tree"):
        Inputs(consumed=("xyz", 1)).measured()
    with pytest.raises(BadInput, match="no audit at"):
        Inputs(audit=place / "model").measured()
    with pytest.raises(BadInput, match="the material 'config' is named twice"):
        attest.statement(Training(**{**vars(made()), "materials": (Material("config", {"sha256": "0" * 64}),) * 2}))
    with pytest.raises(BadInput, match="the material 'parent' is named twice, or has a name that is taken"):
        attest.statement(Training(**{**vars(made()), "materials": (Material("parent", {"sha256": "0" * 64}),)}))
    with pytest.raises(BadInput, match="nothing was checked"):
        training.check(None, [], BY_TRAINER, now=NOW)
    with pytest.raises(BadInput, match="no attestation at"):
        training.check(None, [place / "none"], BY_TRAINER, now=NOW)


def made(**fields: Any) -> Training:
    return Training(Material("model", {"sha256": "0" * 64}), (), "urn:x", "run", 1, NOW, NOW, **fields)


def edit(*path: str | int, value: object) -> Callable[[Any], None]:
    def act(document: Any) -> None:
        for part in path[:-1]:
            document = document[part]
        document[path[-1]] = value

    return act


BUILD, DETAILS = ("predicate", "buildDefinition"), ("predicate", "runDetails")
DIGEST: Mapping[str, str] = {"sha256": "0" * 64}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("_type", value="x"), "_type"),
        (edit("predicateType", value="https://slsa.dev/provenance/v2"), "predicateType"),
        (edit(*BUILD, "buildType", value="urn:untaint:train:v2"), "is of version 'v2', this release reads v1"),
        (edit(*BUILD, "buildType", value="https://example.com"), "buildType"),
        (edit(*BUILD, "externalParameters", value={"seed": 7}), "seed"),
        (edit(*BUILD, "internalParameters", value={"step": "-1"}), "its step is '-1'"),
        (edit(*BUILD, "internalParameters", value={}), "its step is ''"),
        (
            edit(*BUILD, "resolvedDependencies", value=[{"name": "parent", "digest": {"sha512": "0" * 128}}]),
            "its parent has no SHA-256",
        ),
        (edit(*BUILD, "resolvedDependencies", value=[{"name": "a", "digest": DIGEST}] * 2), "'a' is named twice"),
        (edit(*BUILD, "resolvedDependencies", value=[{"name": "a", "digest": {}}]), "digest"),
        (edit(*BUILD, "more", value=1), "more"),
        (edit(*DETAILS, "metadata", "startedOn", value="2026-13-01T00:00:00Z"), "does not match format"),
        (edit(*DETAILS, "builder", value={}), "builder.id"),
        (edit("subject", value=[]), "subject"),
        (edit("predicate", value=None), "predicate"),
    ],
)
def test_bad_statements(change: Callable[[Any], None], message: str) -> None:
    document = json.loads(attest.statement(made()))
    change(document)
    with pytest.raises(BadInput, match=message):
        attest.parse(json.dumps(document).encode(), "it")


def test_the_commit_that_is_checked_out(tmp_path: Path) -> None:
    assert materials.git_commit(tmp_path) is None
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)  # noqa: S603, S607
    done = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)  # noqa: S603, S607
    assert materials.git_commit(tmp_path) == done.stdout.strip()
    subprocess.run(["git", "-C", str(tmp_path), "pack-refs", "--all"], check=True)  # noqa: S603, S607
    assert materials.git_commit(tmp_path) == done.stdout.strip()
    assert materials.of_code(tmp_path).digest["gitCommit"] == done.stdout.strip()
    for head in ("ref: ../../secret", "ref: refs/../../secret", "ref: refs/heads/none", "hello", "\udcff"):
        (tmp_path / ".git" / "HEAD").write_bytes(head.encode("utf-8", "surrogateescape"))
        assert materials.git_commit(tmp_path) is None


def test_an_attestation_in_the_log_of_its_data(place: Path, chain: list[Path]) -> None:
    folder = place / "set.jsonl.untaint"
    envelopes = [dsse.load(path) for path in chain]
    training.log(envelopes[0], folder, [TRAINER], now=NOW)
    assert training.unlogged(envelopes[0], folder, BY_TRAINER) == []
    assert training.unlogged(envelopes[0], folder / "log", BY_TRAINER) == []
    assert training.unlogged(envelopes[1], folder, BY_TRAINER) == ["the log has no entry for this attestation"]
    entry = json.loads(next(Log(folder / "log").entries()))
    assert entry["type"] == "attest"
    assert entry["attestation"] == hashlib.sha256(envelopes[0].payload).hexdigest()
    assert (entry["step"], entry["keys"]) == ("100", [TRAINER.public.fingerprint])
    with pytest.raises(BadInput, match="the attestation is not in the log: the log in .* is signed with another key"):
        training.log(envelopes[1], folder, [OTHER], now=NOW)
    training.log(envelopes[1], folder, [OTHER, TRAINER], now=NOW)
    assert training.unlogged(envelopes[1], folder, BY_TRAINER) == []
    (problem,) = training.unlogged(envelopes[0], folder, policy.of_key(OTHER.public, "other"))
    assert "none of the keys of the command line signed the log" in problem
    assert training.unlogged(envelopes[0], place, BY_TRAINER) == [f"there is no log in {place}"]


def test_the_log_from_the_command_line(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def untaint(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["untaint", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        return int(str(ended.value.code))

    keys.new(place / "t.pem", password=None)
    seal_folder, made = place / "set.jsonl.untaint", place / "a.json"
    new = ("attest", "new", place / "model", "--key", place / "t.pem", "--data", seal_folder)
    check = ("attest", "check", place / "model", made, "--key", place / "t.pub", "--log", seal_folder)
    assert untaint(*new, "--out", made) == 0
    assert untaint(*check) == 1
    assert "there is no log in" in capsys.readouterr().err
    assert untaint(*new, "--out", made, "--log", seal_folder) == 0
    assert untaint(*check) == 0
