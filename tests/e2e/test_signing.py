"""Keys, signatures and the log from the command line."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from tests.e2e.cases import refused, untaint

from untaint import api
from untaint.cli.options import PASSWORD
from untaint.errors import BadInput
from untaint.provenance import keys, pkcs8


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs8, "ROUNDS", 1000)
    monkeypatch.delenv(PASSWORD, raising=False)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A seal, and the keys of three people beside it."""
    (tmp_path / "set.jsonl").write_text("".join(f'{{"text": "t{n}", "label": "{n % 2}"}}\n' for n in range(5)), encoding="utf-8")
    assert untaint("seal", tmp_path / "set.jsonl", "--quiet", "--processes", 1).code == 0
    for name, kind in (("alice", "p256"), ("bob", "ed25519"), ("w1", "ed25519")):
        assert untaint("key", "new", tmp_path / f"{name}.pem", "--kind", kind, "--unencrypted", "--quiet").code == 0
    return tmp_path / "set.jsonl.untaint"


def test_a_key_is_made_and_shown(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("secret\n", encoding="utf-8")
    made = untaint("key", "new", "a.pem", "--password-file", "word", cwd=tmp_path)
    assert made.code == 0
    assert "PRIVATE" not in made.out
    fingerprint = made.out.split("fingerprint: ")[1].strip()
    for name in ("a.pem", "a.pub"):
        shown = untaint("key", "show", name, cwd=tmp_path)
        assert shown.code == 0
        assert f"fingerprint: {fingerprint}\n-----BEGIN PUBLIC KEY-----" in shown.out
    assert b"ENCRYPTED" in (tmp_path / "a.pem").read_bytes()
    refused(untaint("key", "new", "a.pem", "--unencrypted", cwd=tmp_path), "a.pem is there already")
    (tmp_path / "a.pub").unlink()
    refused(untaint("key", "show", "a.pem", cwd=tmp_path), "a.pem is encrypted")
    again = untaint("key", "show", "a.pem", "--password-file", "word", cwd=tmp_path)
    assert again.out == shown.out


def test_a_key_without_a_password_is_asked_for(tmp_path: Path) -> None:
    refused(untaint("key", "new", "a.pem", cwd=tmp_path), "needs a password", PASSWORD, "--unencrypted")
    refused(untaint("key", "new", "a.pem", "--password-file", "none", cwd=tmp_path), "no password in none")
    refused(untaint("key", "new", "a.pem", "--password-file", "x", "--unencrypted", cwd=tmp_path), "exclude each other")
    refused(untaint("key", "show", "a.pem", cwd=tmp_path), "no key at a.pem")
    refused(untaint("key", "burn", "a.pem", cwd=tmp_path), "burn")
    assert not list(tmp_path.iterdir())


def test_the_password_comes_from_the_environment(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "secret")
    assert untaint("key", "new", sealed.parent / "c.pem").code == 0
    assert untaint("sign", sealed, "--key", sealed.parent / "c.pem").code == 0
    monkeypatch.delenv(PASSWORD)
    refused(untaint("sign", sealed, "--key", sealed.parent / "c.pem"), "c.pem is encrypted", "--password-file")


def test_a_seal_is_signed_by_two(sealed: Path) -> None:
    root = sealed.parent
    first = untaint("sign", sealed, "--key", root / "alice.pem", "--data", root / "set.jsonl", "--expires", "2099-01-01")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("signed by ")
    (root / "bob.pem").chmod(0o644)
    second = untaint("sign", sealed, "--key", root / "bob.pem")
    assert second.code == 0
    assert "warning: others can read the private key" in second.err
    assert len(json.loads((sealed / "envelope.json").read_bytes())["signatures"]) == 2
    assert (sealed / "bundle.sig").exists()


def test_signing_what_cannot_be(sealed: Path) -> None:
    root = sealed.parent
    refused(untaint("sign", sealed), "nobody signs", "--key")
    refused(untaint("sign", root, "--key", root / "alice.pem"), "holds no seal")
    refused(untaint("sign", sealed, "--key", root / "alice.pub"), "is a public key; signing needs the private one")
    assert not (sealed / "envelope.json").exists()


def test_a_log_is_checked_witnessed_and_proven(sealed: Path) -> None:
    root = sealed.parent
    untaint("sign", sealed, "--key", root / "alice.pem")
    shown = untaint("log", "show", sealed)
    assert shown.out.startswith('0  {"keys":')
    checked = untaint("log", "check", sealed, "--key", root / "alice.pub")
    assert (checked.code, checked.out.split(" of ")[0]) == (0, "1 entries")
    lacking = untaint("log", "check", sealed, "--key", root / "alice.pub", "--witness", f"w1={root / 'w1.pub'}", "--least", 1)
    assert lacking.code == 1
    assert "problem: 1 witnesses are required, and nobody countersigned" in lacking.err
    who = ("--as", "w1", "--witness-key", root / "w1.pem", "--memory", root / "memory")
    shutil.copytree(sealed / "log", root / "copy")
    seen = untaint("log", "witness", root / "copy", "--key", root / "alice.pub", *who, "--out", root / "seen")
    assert (seen.code, seen.out) == (0, "countersigned as w1\n")
    shutil.copy(root / "seen", sealed / "log" / "checkpoint")
    again = untaint("log", "check", sealed, "--key", root / "alice.pub", "--witness", f"w1={root / 'w1.pub'}", "--least", 1)
    assert again.code == 0
    assert "countersigned by w1" in again.out
    assert untaint("log", "prove", sealed, "--entry", 0, "--out", root / "0.tlog-proof").code == 0
    assert (root / "0.tlog-proof").read_bytes().startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n")
    (tile,) = (sealed / "log" / "tile" / "0").rglob("1")
    tile.write_bytes(bytes(32))
    broken = untaint("log", "check", sealed, "--key", root / "alice.pub")
    assert broken.code == 1
    assert "another root than its checkpoint" in broken.err


def test_what_the_log_needs(sealed: Path) -> None:
    root = sealed.parent
    refused(untaint("log", "show", sealed), "no log at")
    untaint("sign", sealed, "--key", root / "alice.pem")
    refused(untaint("log", "check", sealed), "`untaint log check` needs --key")
    refused(untaint("log", "prove", sealed, "--entry", 0), "`untaint log prove` needs --out")
    refused(untaint("log", "prove", sealed, "--entry", 1, "--out", root / "x"), "there is no leaf 1 in a tree of 1")
    refused(untaint("log", "check", sealed, "--key", root / "alice.pub", "--witness", "w1"), "--witness w1 is not NAME=FILE")
    refused(untaint("log", "witness", sealed, "--key", root / "alice.pub", "--witness-key", root / "w1.pem"), "needs --as")
    alice = ("--as", "a", "--witness-key", root / "alice.pem", "--memory", root / "memory")
    refused(untaint("log", "witness", sealed, "--key", root / "alice.pub", *alice), "a key of kind ed25519 is needed")


def test_a_run_is_attested_checkpoint_by_checkpoint(sealed: Path) -> None:
    root, model = sealed.parent, sealed.parent / "model.bin"
    key, public = ("--key", root / "alice.pem"), ("--key", root / "alice.pub")
    given = ("--data", sealed, "--settings", root / "set.jsonl", "--consumed", "ab" * 32 + ":4", "--parameter", "seed=7")
    model.write_bytes(b"1")
    first = untaint("attest", "new", model, *key, *given, "--step", 1, "--out", root / "1.json")
    assert (first.code, first.err) == (0, "")
    model.write_bytes(b"2")
    assert untaint("attest", "new", model, *key, *given, "--step", 2, "--parent", root / "1.json").code == 0
    files = (root / "1.json", root / "model.bin.attest.json")
    good = untaint("attest", "check", model, *files, *public)
    assert good.code == 0
    assert good.out.startswith("2 checkpoints of one run, signed by ")
    gap = untaint("attest", "check", model, files[1], *public)
    assert gap.code == 1
    assert "names a parent that is not here" in gap.err
    model.write_bytes(b"3")
    other = untaint("attest", "check", model, *files, *public)
    assert other.code == 1
    assert "is not the model that" in other.err


def test_what_attesting_needs(sealed: Path) -> None:
    root, key = sealed.parent, ("--key", sealed.parent / "alice.pem")
    refused(untaint("attest", "new", root / "alice.pub"), "nobody signs")
    refused(untaint("attest", "new", root / "none", *key), "no such file or folder")
    refused(untaint("attest", "new", root / "alice.pub", *key, "--parameter", "seed"), "--parameter seed is not NAME=")
    refused(untaint("attest", "new", root / "alice.pub", *key, "--consumed", "ab"), "--consumed ab is not ROOT:COUNT")
    refused(untaint("attest", "new", root / "alice.pub", *key, "--policy", "x"), "takes no policy")
    refused(untaint("attest", "check", root / "alice.pub", "x.json"), "needs --key or --policy")
    refused(untaint("attest", "check", root / "alice.pub", "--key", root / "alice.pub"), "nothing was checked")
    refused(untaint("attest", "check", root / "alice.pub", "x.json", "--key", root / "alice.pub"), "no attestation at x.json")
    assert not list(root.glob("*.attest.json"))


def test_data_are_sealed_signed_and_verified(sealed: Path) -> None:
    root = sealed.parent
    data, alice, bob = root / "set.jsonl", ("--key", root / "alice.pub"), ("--key", root / "bob.pub")
    plain = untaint("verify", data, "--processes", 1)
    assert plain.code == 0
    assert "signatures: not checked" in plain.out
    refused(untaint("verify", data, *alice), "is not signed")
    made = untaint("seal", data, "--replace", "--key", root / "alice.pem", "--expires", "2099-12-31", "--processes", 1)
    assert made.code == 0
    assert "signed by " in made.out
    assert "Not signed" not in made.out
    good = untaint("verify", data, *alice, "--processes", 1, "--out", root / "found.json")
    assert good.code == 0, good
    assert "signed by " in good.out
    assert json.loads((root / "found.json").read_bytes())["signatures"]["accepted"] is True
    wrong = untaint("verify", data, *bob, "--processes", 1)
    assert wrong.code == 1
    assert wrong.out.startswith("NOT TRUSTED")
    assert "it is not signed with the key" in wrong.out
    both = untaint("verify", data, *alice, *bob, "--processes", 1)
    assert both.code == 1
    untaint("sign", sealed, "--key", root / "bob.pem")
    assert untaint("verify", data, *alice, *bob, "--processes", 1, "--quiet").code == 0


def test_a_policy_is_asked(sealed: Path) -> None:
    root, data = sealed.parent, sealed.parent / "set.jsonl"
    (root / "who.toml").write_text(
        '[require]\nvetter = 2\n[[key]]\nname = "a"\nfile = "alice.pub"\nroles = ["vetter"]\n'
        '[[key]]\nname = "b"\nfile = "bob.pub"\nroles = ["vetter"]\n',
        encoding="utf-8",
    )
    untaint("sign", sealed, "--key", root / "alice.pem")
    lacking = untaint("verify", data, "--policy", root / "who.toml", "--processes", 1)
    assert lacking.code == 1
    assert "requires 2 signers as vetter, and a signed as such" in " ".join(lacking.out.split())
    untaint("sign", sealed, "--key", root / "bob.pem")
    assert untaint("verify", data, "--policy", root / "who.toml", "--processes", 1).code == 0
    (root / "empty.toml").touch()
    refused(untaint("verify", data, "--policy", root / "empty.toml"), "requires no signature, so anything would pass it")
    refused(untaint("verify", data, "--policy", root / "who.toml", "--key", root / "alice.pub"), "exclude each other")
    refused(untaint("seal", data, "--replace", "--expires", "2099-01-01", "--processes", 1), "--expires without a signature")


def test_whoever_seals_changed_data_anew_is_seen(sealed: Path) -> None:
    root, data = sealed.parent, sealed.parent / "set.jsonl"
    untaint("sign", sealed, "--key", root / "alice.pem")
    data.write_text('{"text": "evil", "label": "1"}\n', encoding="utf-8")
    untaint("seal", data, "--replace", "--quiet", "--processes", 1)
    (envelope,) = (sealed / "earlier").rglob("envelope.json")
    shutil.copy(envelope, sealed)
    assert untaint("verify", data, "--processes", 1).code == 0
    found = untaint("verify", data, "--key", root / "alice.pub", "--processes", 1)
    assert found.code == 1
    assert "statement.json is not the seal that was signed" in found.out


def test_a_bundle_is_checked_without_a_seal(sealed: Path) -> None:
    root, data = sealed.parent, sealed.parent / "set.jsonl"
    untaint("sign", sealed, "--key", root / "alice.pem", "--data", data)
    bundle = sealed / "bundle.sig"
    good = untaint("verify", data, "--bundle", bundle, "--key", root / "alice.pub")
    assert (good.code, good.out.split("  ")[0]) == (0, "AS SIGNED")
    wrong = untaint("verify", data, "--bundle", bundle, "--key", root / "w1.pub")
    assert wrong.code == 1
    assert "is not signed with any of these keys" in wrong.out
    data.write_text("other", encoding="utf-8")
    changed = untaint("verify", data, "--bundle", bundle, "--key", root / "alice.pub")
    assert changed.code == 1
    assert "'set.jsonl' has changed" in changed.out
    refused(untaint("verify", data, "--bundle", bundle), "is checked against --key, or against --identity")
    refused(untaint("verify", data, "--bundle", root / "none", "--key", root / "alice.pub"), "no bundle at")
    refused(untaint("verify", data, "--bundle", data, "--key", root / "alice.pub"), "is not a JSON object")
    refused(untaint("verify", data, "--identity", "a@example.com"), "--identity and --issuer go together")
    who = ("--identity", "a@example.com", "--issuer", "https://example.com")
    refused(untaint("verify", data, *who), "is not signed by Sigstore")


def test_a_clean_up_is_entered_in_the_log_of_the_seal(tmp_path: Path) -> None:
    data = tmp_path / "train.jsonl"
    rows = [{"text": f"sentence number {row}", "label": "ab"[row % 2]} for row in range(40)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    api.audit(data, out=tmp_path / "audit", budget="fast")
    owner = keys.new(tmp_path / "k.pem", kind="p256", password=None)
    with pytest.raises(BadInput, match="holds no seal"):
        api.clean(data, audit=tmp_path / "audit", out=tmp_path / "out", key=owner)
    assert not (tmp_path / "out").exists()
    seal = api.seal(data)
    held = api.clean(data, audit=tmp_path / "audit", out=tmp_path / "out", key=owner)
    (entry,) = map(json.loads, api.log(seal.folder).entries())
    assert (entry["type"], entry["clean"], entry["quarantine"]) == ("clean", held.n_clean, held.n_held)
    assert entry["ledger"] == hashlib.sha256(held.ledger.read_bytes().split(b"\n")[0]).hexdigest()
