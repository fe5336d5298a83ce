"""Sigstore without its network: what is refused offline, and what is asked of its package when signing."""

import base64
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, final

import pytest
from tests.sigstore_instance import NOW, Instance

from untaint.errors import BadInput, MissingExtra, UntaintError
from untaint.provenance import dsse, keyless, keys, oms, policy, sign
from untaint.provenance.keyless import Identity
from untaint.provenance.seal import seal

pytest.importorskip("sigstore", reason="sigstore is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
TOKEN = "of an identity provider"  # noqa: S105 - none
ALICE = Identity("alice@example.com", "https://accounts.example.com")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigstore", None)
    for call in (lambda: keyless.sign(b"{}"), lambda: keyless.verify(b"{}", ALICE, "it")):
        with pytest.raises(MissingExtra, match=r"untaint\[keyless\]"):
            call()


@pytest.mark.parametrize(
    ("bundle", "message"),
    [
        (b"", "is not a JSON object"),
        (b"{}", "it is no Sigstore bundle"),
        (b'{"a": 1, "a": 2}', "comes twice"),
        (oms.sign(oms.Manifest("x", (oms.Resource("a", bytes(32)),)), keys.generate("p256")), "it is no Sigstore bundle"),
    ],
)
def test_bad_bundles(bundle: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        keyless.verify(bundle, ALICE, "it")


def test_roots_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no trust configuration at"):
        keyless.sign(b"{}", token=TOKEN, roots=tmp_path / "none")
    for content in ("", "{}", "[1]", '{"mediaType": "x"}'):
        (tmp_path / "bad").write_text(content, encoding="utf-8")
        with pytest.raises(BadInput, match="is no trust configuration"):
            keyless.sign(b"{}", token=TOKEN, roots=tmp_path / "bad")


@final
class FakeSigstore:
    """Stands for signing context, signer and bundle in one; remembers what it was given."""

    given: ClassVar[list[Any]] = []

    @classmethod
    def from_trust_config(cls, trust: object) -> "FakeSigstore":
        cls.given.append(trust)
        return cls()

    def signer(self, token: object) -> "FakeSigstore":
        self.given.append(token)
        return self

    def __enter__(self) -> "FakeSigstore":
        return self

    def __exit__(self, *_error: object) -> None:
        return

    def sign_dsse(self, statement: Any) -> "FakeSigstore":
        self.given.append(statement._contents)
        return self

    def to_json(self) -> str:
        return json.dumps({"signed": self.given[-1].decode()})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    FakeSigstore.given.clear()
    monkeypatch.setattr("sigstore.sign.SigningContext", FakeSigstore)
    monkeypatch.setattr("sigstore.oidc.IdentityToken", lambda text: f"identity of {text}")
    monkeypatch.setattr("sigstore.models.ClientTrustConfig.production", lambda: "roots")
    return FakeSigstore.given


def test_what_sigstore_is_asked_to_sign(fake: list[Any], tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text('{"text": "a", "label": "0"}\n{"text": "b", "label": "1"}\n', encoding="utf-8")
    sealed = seal(tmp_path / "set.jsonl")
    sign.sign_keyless(sealed, token=TOKEN, expires=datetime(2099, 1, 1, tzinfo=UTC))
    assert fake[:2] == ["roots", "identity of " + TOKEN]
    written = json.loads((sealed.folder / sign.KEYLESS).read_bytes())["signed"]
    predicate = json.loads(written)["predicate"]
    assert predicate["samples"]["root"] == sealed.sealed.root
    assert predicate["expires"] == "2099-01-01T00:00:00Z"


def test_a_service_that_refuses(fake: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_text: str) -> None:
        raise ValueError("token expired")

    monkeypatch.setattr("sigstore.oidc.IdentityToken", refuse)
    with pytest.raises(UntaintError, match=r"nothing was signed by Sigstore: token expired\. It needs the network"):
        keyless.sign(b'{"_type": "https://in-toto.io/Statement/v1"}', token=TOKEN)
    assert fake == []


def test_who_signed_a_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set.jsonl").write_text('{"text": "a", "label": "0"}\n{"text": "b", "label": "1"}\n', encoding="utf-8")
    sealed, now = seal(tmp_path / "set.jsonl"), datetime.now(UTC)
    with pytest.raises(BadInput, match="is not signed by Sigstore"):
        sign.verify_keyless(sealed, ALICE, now=now)
    monkeypatch.setattr(keyless, "sign", lambda statement, **_: statement)
    sign.sign_keyless(sealed, expires=datetime(2098, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(keyless, "verify", lambda bundle, *_: dsse.Envelope(bundle, dsse.IN_TOTO, ()))
    assert sign.verify_keyless(sealed, ALICE, now=now).signers == ("alice@example.com",)
    assert sign.verify_keyless(sealed, ALICE, now=now).accepted
    assert "counted until" in sign.verify_keyless(sealed, ALICE, now=datetime(2099, 1, 1, tzinfo=UTC)).problems[0]
    (tmp_path / "set.jsonl").write_text('{"text": "evil", "label": "0"}\n', encoding="utf-8")
    kept = (sealed.folder / sign.KEYLESS).read_bytes()
    again = seal(tmp_path / "set.jsonl", replace=True)
    (again.folder / sign.KEYLESS).write_bytes(kept)
    assert sign.verify_keyless(again, ALICE, now=now).problems == ("statement.json is not the seal that was signed",)
    monkeypatch.setattr(keyless, "verify", lambda *_: "it is not signed by alice")
    assert sign.verify_keyless(again, ALICE, now=now).problems == ("it is not signed by alice",)


# --- against an instance of our own: every step of verification, no network


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance()


@pytest.fixture
def alice(instance: Instance, tmp_path: Path) -> Identity:
    (tmp_path / "trust.json").write_text(instance.configuration(), encoding="utf-8")
    return Identity(ALICE.name, ALICE.issuer, tmp_path / "trust.json")


PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def test_what_an_identity_signed(instance: Instance, alice: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_arguments: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", no_socket)
    found = keyless.verify(instance.bundle(PAYLOAD, alice.name, alice.issuer), alice, "it")
    assert found == dsse.Envelope(PAYLOAD, dsse.IN_TOTO, ())


Change = Callable[[dict[str, Any]], None]


def entry(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def with_payload(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()


def with_body(bundle: dict[str, Any]) -> None:
    entry(bundle)["canonicalizedBody"] = base64.b64encode(b"{}").decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_payload, "DSSE: invalid signature"),
        (with_body, "invalid log entry"),
        (lambda bundle: entry(bundle).update(integratedTime=str(int(NOW.timestamp()) + 3600)), "chain"),
        (lambda bundle: entry(bundle).update(integratedTime=str(int(NOW.timestamp()) + 60)), "SET: invalid inclusion promise"),
        (
            lambda bundle: entry(bundle)["inclusionProof"].update(hashes=[base64.b64encode(bytes(32)).decode()]),
            "invalid log entry",
        ),
        (lambda bundle: entry(bundle)["inclusionProof"].update(logIndex="0"), "invalid log entry"),
    ],
)
def test_a_bundle_that_was_bent(change: Change, message: str, instance: Instance, alice: Identity) -> None:
    bundle = json.loads(instance.bundle(PAYLOAD, alice.name, alice.issuer))
    change(bundle)
    said = keyless.verify(json.dumps(bundle).encode(), alice, "it")
    assert isinstance(said, str)
    assert said.startswith("it is not signed by alice@example.com of https://accounts.example.com: ")
    assert message in said


def test_a_bundle_without_a_time(instance: Instance, alice: Identity) -> None:
    bundle = json.loads(instance.bundle(PAYLOAD, alice.name, alice.issuer))
    del entry(bundle)["inclusionPromise"]
    with pytest.raises(BadInput, match="must contain an inclusion promise or signed timestamp"):
        keyless.verify(json.dumps(bundle).encode(), alice, "it")


def test_parts_of_two_bundles(instance: Instance, alice: Identity) -> None:
    """The certificate of one, the signature and the log entry of another."""
    one, other = (json.loads(instance.bundle(PAYLOAD, alice.name, alice.issuer)) for _ in range(2))
    for part in ("certificate", "tlogEntries"):
        mixed = {**one, "verificationMaterial": {**one["verificationMaterial"], part: other["verificationMaterial"][part]}}
        assert isinstance(keyless.verify(json.dumps(mixed).encode(), alice, "it"), str)


@pytest.mark.parametrize(
    ("name", "issuer"),
    [("eve@example.com", ALICE.issuer), (ALICE.name, "https://eve.example"), ("ALICE@example.com", ALICE.issuer)],
)
def test_another_identity(name: str, issuer: str, instance: Instance, alice: Identity) -> None:
    assert isinstance(keyless.verify(instance.bundle(PAYLOAD, name, issuer), alice, "it"), str)


def test_another_instance(alice: Identity) -> None:
    """Whoever runs a Sigstore of their own can say anything; only the roots that one trusts count."""
    said = keyless.verify(Instance().bundle(PAYLOAD, alice.name, alice.issuer), alice, "it")
    assert isinstance(said, str)
    instance = Instance()
    instance.certificates = Instance().certificates  # the authority is trusted, what it issued was not logged
    assert alice.roots is not None
    alice.roots.write_text(instance.configuration(), encoding="utf-8")
    instance.certificates = Instance().certificates
    assert "SCT" in str(keyless.verify(instance.bundle(PAYLOAD, alice.name, alice.issuer), alice, "it"))


def test_a_seal_from_end_to_end(instance: Instance, alice: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set.jsonl").write_text('{"text": "a", "label": "0"}\n{"text": "b", "label": "1"}\n', encoding="utf-8")
    sealed, now = seal(tmp_path / "set.jsonl"), datetime.now(UTC)
    monkeypatch.setattr(keyless, "sign", lambda statement, **_: instance.bundle(statement, alice.name, alice.issuer))
    sign.sign_keyless(sealed)
    assert sign.verify_keyless(sealed, alice, now=now) == policy.Decision(("alice@example.com",), ())
    (tmp_path / "set.jsonl").write_text('{"text": "evil", "label": "0"}\n', encoding="utf-8")
    kept = (sealed.folder / sign.KEYLESS).read_bytes()
    again = seal(tmp_path / "set.jsonl", replace=True)
    (again.folder / sign.KEYLESS).write_bytes(kept)
    assert sign.verify_keyless(again, alice, now=now).problems == ("statement.json is not the seal that was signed",)
