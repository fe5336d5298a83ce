import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from untaint.errors import BadInput
from untaint.provenance import dsse, keys
from untaint.provenance.dsse import Envelope, Signature

ALICE, BOB, EVE = keys.generate("ed25519"), keys.generate("p256"), keys.generate("ed25519")
PUBLIC = [ALICE.public, BOB.public]


def changed(**fields: object) -> bytes:
    document = dsse.sign(b"{}", [ALICE]).document() | fields
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def test_the_encoding_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.pae("", b"") == b"DSSEv1 0  0 "
    assert dsse.pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"


def test_who_signed() -> None:
    envelope = dsse.read(dsse.sign(b'{"a": 1}', [ALICE, BOB]).dump(), "it")
    assert envelope.payload == b'{"a": 1}'
    assert envelope.signers([*PUBLIC, EVE.public]) == (ALICE.public, BOB.public)
    assert envelope.signers([BOB.public, BOB.public]) == (BOB.public,)
    assert envelope.signers([]) == ()


def test_a_later_signature_is_added_once() -> None:
    envelope = dsse.sign(b"{}", [ALICE]).also_signed([BOB, ALICE]).also_signed([BOB])
    assert len(envelope.signatures) == 2
    assert envelope.signers(PUBLIC) == (ALICE.public, BOB.public)


def test_payload_and_type_are_both_signed() -> None:
    signed = dsse.sign(b"{}", [ALICE])
    for other in (Envelope(b"{ }", signed.type, signed.signatures), Envelope(b"{}", "text/plain", signed.signatures)):
        assert other.signers(PUBLIC) == ()


def test_key_ids_are_not_believed() -> None:
    signed = dsse.sign(b"{}", [EVE])
    claimed = Envelope(signed.payload, signed.type, (Signature(ALICE.public.fingerprint, signed.signatures[0].value),))
    assert claimed.signers([*PUBLIC, EVE.public]) == (EVE.public,)


def test_fields_of_others_and_the_other_base64_are_read() -> None:
    payload = bytes(range(256))
    envelope = dsse.sign(payload, [ALICE])
    document = envelope.document() | {"more": 1, "payload": base64.urlsafe_b64encode(payload).decode()}
    document["signatures"][0]["extension"] = {}
    del document["signatures"][0]["keyid"]
    assert dsse.read(json.dumps(document).encode(), "it").signers(PUBLIC) == (ALICE.public,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not a JSON object"),
        (b"[]", "it is a list"),
        (b"\xff", "it is not a JSON object"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"payload": "", "payload": ""}', "the key 'payload' comes twice"),
        (b"[" * 100_000, "nested too deeply|is not a JSON object"),
        (b'{"a": ' + b"1" * 5000 + b"}", "is not a JSON object"),
        (b"{}", "it must have `payload`"),
        (changed(payload=None), "it must have `payload`"),
        (changed(payload=3), "it must have `payload`"),
        (changed(signatures=[]), "it has 0 signatures"),
        (changed(signatures=[{"sig": "YQ=="}] * 65), "it has 65 signatures"),
        (changed(signatures=[{}]), "its signature 1 has no `sig`"),
        (changed(signatures=[{"sig": ""}]), "its signature 1 has no `sig`"),
        (changed(signatures=["YQ=="]), "its signature 1 has no `sig`"),
        (changed(signatures=[{"sig": "YQ==\n"}]), "its signature 1 is not base64"),
        (changed(payload="Y Q="), "its payload is not base64"),
        (changed(payload="é"), "its payload is not base64"),
        (changed(payloadType="\ud800"), "its type is no text"),
    ],
)
def test_bad_envelopes(content: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        dsse.read(content, "it")


def test_nobody_signs() -> None:
    with pytest.raises(BadInput, match="nobody signs"):
        dsse.sign(b"{}", [])


def reference() -> Any:
    return pytest.importorskip("securesystemslib.dsse", reason="securesystemslib is not installed")


def test_securesystemslib_accepts_ours() -> None:
    theirs = reference()
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    document = dsse.sign(b'{"a": 1}', [ALICE, BOB]).document()
    pairs = [SSlibKey.from_crypto(serialization.load_pem_public_key(key.pem), key.fingerprint) for key in PUBLIC]
    accepted = theirs.Envelope.from_dict(document).verify(pairs, 2)
    assert set(accepted) == {key.fingerprint for key in PUBLIC}


def test_ours_accepts_securesystemslib() -> None:
    theirs = reference()
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    signers = [CryptoSigner(key._key) for key in (ALICE, BOB)]
    envelope = theirs.Envelope(b'{"a": 1}', dsse.IN_TOTO, {})
    for signer in signers:
        envelope.sign(signer)
    assert dsse.read(json.dumps(envelope.to_dict()).encode(), "it").signers(PUBLIC) == (ALICE.public, BOB.public)
