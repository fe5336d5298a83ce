"""Bundles signed by certificate, with authorities made here; the reference tool's own bundles too, where it is installed."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from untaint.errors import BadInput
from untaint.provenance import dsse, oms, x509_chain
from untaint.provenance.listing import listed
from untaint.provenance.oms_check import check_bundle
from untaint.provenance.x509_chain import Roots, read_roots

NOW = datetime.now(UTC)
NAME = "release@example.com"


@dataclass
class Authority:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issued(subject: str, by: Authority | None, *, ca: bool, **how: Any) -> Authority:
    """how: days of validity, san, usage, purposes."""
    key = ec.generate_private_key(ec.SECP256R1())
    above = by or Authority(key, None)  # type: ignore[arg-type]
    usage = how.get("usage", not ca)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(by.certificate.subject if by else name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=how.get("days", 30)))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(usage, False, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()), critical=False)
    )
    if not ca:
        if how.get("san", NAME):
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(how.get("san", NAME))]), critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([how.get("purposes", ExtendedKeyUsageOID.CODE_SIGNING)]), critical=False
        )
    return Authority(key, builder.sign(above.key, hashes.SHA256()))


ROOT = issued("root", None, ca=True)
BETWEEN = issued("between", ROOT, ca=True)
TRUSTED = Roots((ROOT.certificate,), NAME)


def bundle(root: Path, signer: Authority, chain: tuple[Authority, ...] = (BETWEEN,)) -> bytes:
    resources = tuple(
        oms.Resource(entry.name, hashlib.sha256((root / entry.name).read_bytes()).digest()) for entry in listed(root)
    )
    payload = oms.statement(oms.Manifest(root.name, resources))
    signature = signer.key.sign(dsse.pae(dsse.IN_TOTO, payload), ec.ECDSA(hashes.SHA256()))
    certificates = [
        {"rawBytes": base64.b64encode(each.certificate.public_bytes(serialization.Encoding.DER)).decode()}
        for each in (signer, *chain)
    ]
    document = {
        "mediaType": oms.MEDIA_TYPE,
        "verificationMaterial": {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []},
        "dsseEnvelope": dsse.Envelope(payload, dsse.IN_TOTO, (dsse.Signature("", signature),)).document(),
    }
    return json.dumps(document).encode()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    (root / "weights").write_bytes(b"0123")
    (root / "config.json").write_text("{}")
    return root


def problems(model: Path, content: bytes, roots: Roots = TRUSTED) -> str:
    path = model.with_name("model.sig")
    path.write_bytes(content)
    return "; ".join(check_bundle(model, path, [], roots).problems)


def test_a_bundle_of_somebody_with_a_certificate(model: Path) -> None:
    signer = issued("alice", BETWEEN, ca=False)
    assert problems(model, bundle(model, signer)) == ""
    made = bundle(model, signer)
    (model / "weights").write_bytes(b"0124")
    assert "weights" in problems(model, made)


def test_a_name_of_a_certificate_without_alternatives(model: Path) -> None:
    signer = issued("alice", BETWEEN, ca=False, san=None)
    assert problems(model, bundle(model, signer), Roots((ROOT.certificate,), "alice")) == ""


OTHER = issued("other", None, ca=True)


@pytest.mark.parametrize(
    ("signer", "chain", "said"),
    [
        (
            lambda: issued("eve", BETWEEN, ca=False, san="eve@example.com"),
            (BETWEEN,),
            "it is not signed by release@example.com, but by eve@example.com",
        ),
        (lambda: issued("alice", OTHER, ca=False), (OTHER,), "is not one of these authorities"),
        (lambda: issued("alice", BETWEEN, ca=False), (), "is not one of these authorities"),
        (lambda: issued("alice", BETWEEN, ca=False, days=-1), (BETWEEN,), "not valid now"),
        (lambda: issued("alice", BETWEEN, ca=False, usage=False), (BETWEEN,), "is not one to sign with"),
        (
            lambda: issued("alice", BETWEEN, ca=False, purposes=ExtendedKeyUsageOID.SERVER_AUTH),
            (BETWEEN,),
            "is not one to sign with",
        ),
        (lambda: issued("alice", issued("bob", BETWEEN, ca=False), ca=False), (BETWEEN,), "is not one of these authorities"),
    ],
)
def test_who_is_not_believed(signer: Callable[[], Authority], chain: tuple[Authority, ...], said: str, model: Path) -> None:
    assert said in problems(model, bundle(model, signer(), chain))


def test_the_certificate_of_one_and_the_signature_of_another(model: Path) -> None:
    one, other = (json.loads(bundle(model, issued("alice", BETWEEN, ca=False))) for _ in range(2))
    assert (
        problems(model, json.dumps({**one, "dsseEnvelope": other["dsseEnvelope"]}).encode())
        == "its signature is not that of its certificate"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda document: document["verificationMaterial"].update(x509CertificateChain={"certificates": []}),
            "is not signed by a chain",
        ),
        (
            lambda document: document["verificationMaterial"].update(x509CertificateChain={"certificates": [3]}),
            "certificates that are none",
        ),
        (
            lambda document: document["verificationMaterial"].update(
                x509CertificateChain={"certificates": [{"rawBytes": "AAAA"}]}
            ),
            "a certificate that is none",
        ),
        (
            lambda document: document["verificationMaterial"].update(x509CertificateChain={"certificates": [{"rawBytes": "?"}]}),
            "is not base64",
        ),
        (lambda document: document.update(mediaType="x"), "it is of type 'x'"),
    ],
)
def test_bad_bundles(change: Callable[[Any], None], message: str, model: Path) -> None:
    document = json.loads(bundle(model, issued("alice", BETWEEN, ca=False)))
    change(document)
    with pytest.raises(BadInput, match=message):
        x509_chain.verify(json.dumps(document).encode(), TRUSTED, "it", now=NOW)


def test_by_key_it_is_refused_with_the_way_to_do_it(model: Path) -> None:
    with pytest.raises(BadInput, match="Verify it with --roots and --identity"):
        oms.verify(bundle(model, issued("alice", BETWEEN, ca=False)), [], "it")


def test_roots_in_a_file(tmp_path: Path) -> None:
    pem = ROOT.certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "roots.pem").write_bytes(pem + OTHER.certificate.public_bytes(serialization.Encoding.PEM))
    assert len(read_roots(tmp_path / "roots.pem", NAME).certificates) == 2
    (tmp_path / "none.pem").write_bytes(b"hello")
    for path in ("none.pem", "absent.pem"):
        with pytest.raises(BadInput, match="no roots in"):
            read_roots(tmp_path / path, NAME)


@pytest.mark.filterwarnings("ignore")
def test_what_the_reference_tool_signs_by_certificate(model: Path, tmp_path: Path) -> None:
    signing = pytest.importorskip("model_signing.signing", reason="model-signing is not installed", exc_type=ImportError)
    signer = issued("alice", BETWEEN, ca=False)
    key = signer.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    for path, authority in (("cert.pem", signer), ("between.pem", BETWEEN)):
        (tmp_path / path).write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    config = signing.Config().use_certificate_signer(
        private_key=tmp_path / "key.pem",
        signing_certificate=tmp_path / "cert.pem",
        certificate_chain=[tmp_path / "between.pem"],
    )
    config.sign(model, tmp_path / "model.sig")
    assert check_bundle(model, tmp_path / "model.sig", [], TRUSTED).problems == ()
