import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import dsse, keys, pkcs8
from untaint.provenance.keys import KINDS, Kind
from untaint.provenance.log import Log


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs8, "ROUNDS", 1000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("password", [None, b"correct horse"])
def test_a_new_key_is_read_again(kind: Kind, password: bytes | None, tmp_path: Path) -> None:
    made = keys.new(tmp_path / "a.pem", kind=kind, password=password)
    read = keys.load_private(tmp_path / "a.pem", password)
    assert read.public == made.public == keys.load_public(tmp_path / "a.pub")
    assert read.public.kind == kind
    assert read.notes == ()
    assert made.public.verifies(read.sign(b"text"), b"text")
    assert not made.public.verifies(read.sign(b"text"), b"Text")
    assert not made.public.verifies(b"no signature", b"text")
    assert not keys.generate(kind).public.verifies(read.sign(b"text"), b"text")


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_the_same_message_gives_the_same_signature(kind: Kind) -> None:
    key = keys.generate(kind)
    assert key.sign(b"text") == key.sign(b"text")


def test_only_the_owner_can_read_a_private_key(tmp_path: Path) -> None:
    os.umask(os.umask(0o022))
    keys.new(tmp_path / "a.pem", password=None)
    assert (tmp_path / "a.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    keys.new(tmp_path / "a.pem", password=None)
    (tmp_path / "a.pem").chmod(0o640)
    (note,) = keys.load_private(tmp_path / "a.pem").notes
    assert "others can read the private key" in note
    assert "mode 0640" in note
    assert "chmod 600" in note


def test_the_fingerprint_is_that_of_the_pem_text(tmp_path: Path) -> None:
    made = keys.new(tmp_path / "a.pem", password=None)
    assert made.public.fingerprint == hashlib.sha256((tmp_path / "a.pub").read_bytes()).hexdigest()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("kind", ["p256", "ed25519"])  # mldsa65 by OpenSSL 3.5, which few systems have
def test_openssl_opens_an_encrypted_key(kind: Kind, tmp_path: Path) -> None:
    made = keys.new(tmp_path / "a.pem", kind=kind, password=b"secret")
    command = ["openssl", "pkey", "-in", str(tmp_path / "a.pem"), "-passin", "pass:secret", "-pubout"]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    assert done.stdout == made.public.pem
    shown = subprocess.run(["openssl", "asn1parse", "-in", str(tmp_path / "a.pem")], capture_output=True, check=True, text=True)  # noqa: S603, S607
    assert "PBKDF2" in shown.stdout
    assert "aes-256-cbc" in shown.stdout
    assert ":03E8" in shown.stdout  # 1000 rounds


@pytest.mark.parametrize("length", [1, 15, 16, 17, 127, 128, 200, 300])
def test_any_length_is_encrypted(length: int) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    plain = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    password = b"p" * length
    found = serialization.load_der_private_key(pkcs8.encrypt(plain, password, os.urandom(32)), password)
    assert found.public_key() == key.public_key()


def test_todays_number_of_rounds() -> None:
    assert pkcs8.encrypt.__globals__["ROUNDS"] == 1000  # the fixture's
    assert "ROUNDS = 600_000" in Path(pkcs8.__file__).read_text(encoding="utf-8")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_text("mine", encoding="utf-8")
    (tmp_path / "b.pem").symlink_to(tmp_path / "nowhere")
    for name in ("a.pem", "b.pem"):
        with pytest.raises(BadInput, match="is there already, and a key is never overwritten"):
            keys.new(tmp_path / name, password=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pub", "b.pem"]


def test_bad_wishes(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no kind of key is called 'rsa'.*p256, ed25519"):
        keys.new(tmp_path / "a.pem", kind="rsa", password=None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="password is empty"):
        keys.new(tmp_path / "a.pem", password=b"")
    with pytest.raises(BadInput, match="a private key is not called .pub"):
        keys.new(tmp_path / "a.pub", password=None)
    with pytest.raises(CannotWrite, match="No such file or directory"):
        keys.new(tmp_path / "no" / "a.pem", password=None)
    assert not list(tmp_path.iterdir())


def test_bad_files(tmp_path: Path) -> None:
    plain, secret = tmp_path / "plain.pem", tmp_path / "secret.pem"
    keys.new(plain, password=None)
    keys.new(secret, password=b"right")
    for password, words in [(None, "is encrypted.*--password-file"), (b"wrong", "cannot be opened with this password")]:
        with pytest.raises(BadInput, match=words):
            keys.load_private(secret, password)
    with pytest.raises(BadInput, match="is not encrypted, and a password was given"):
        keys.load_private(plain, b"right")
    with pytest.raises(BadInput, match="is a public key; signing needs the private one"):
        keys.load_private(tmp_path / "plain.pub")
    with pytest.raises(BadInput, match="is a private key; the public one is needed"):
        keys.load_public(plain)
    for content in (b"", b"hello", plain.read_bytes()[:60], b"\xff" * 99):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(BadInput, match="is not a private key in PEM"):
            keys.load_private(tmp_path / "bad")
        with pytest.raises(BadInput, match="is not a public key in PEM|is a private key"):
            keys.load_public(tmp_path / "bad")
    (tmp_path / "bad").write_bytes(bytes(1 << 17))
    with pytest.raises(BadInput, match="too large to be a key"):
        keys.load_public(tmp_path / "bad")
    for missing in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(BadInput, match="no key at"):
            keys.load_private(missing)


def test_other_kinds_are_refused() -> None:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())):
        with pytest.raises(BadInput, match="is of a kind that is not supported"):
            keys.parse_public(key.public_key().public_bytes(serialization.Encoding.PEM, public), "it")


def test_ml_dsa_signs_envelopes_and_nothing_else(tmp_path: Path) -> None:
    """Beside another key, so that either has to be forged; logs and OpenSSF bundles have no such signatures."""
    quantum, classical = keys.generate("mldsa65"), keys.generate("p256")
    envelope = dsse.read(dsse.sign(b"{}", [classical, quantum]).dump(), "it")
    assert envelope.signers([quantum.public, classical.public]) == (quantum.public, classical.public)
    assert not quantum.public.verifies(b"", b"{}")
    assert len(quantum.sign(b"text")) == 3309
    with pytest.raises(BadInput, match="checkpoints have no signatures of kind mldsa65"):
        Log(tmp_path / "log").append([b"{}"], quantum)
    with pytest.raises(BadInput, match="a key of kind ed25519 is needed, this is mldsa65"):
        _ = quantum.public.raw


def test_an_old_release_of_cryptography(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    monkeypatch.delattr("cryptography.hazmat.primitives.asymmetric.mldsa", raising=False)
    with pytest.raises(BadInput, match="the installed `cryptography` has no ML-DSA"):
        keys.new(tmp_path / "a.pem", kind="mldsa65", password=None)
    assert list(tmp_path.iterdir()) == []
