"""A Sigstore of our own, in memory: a certificate authority, a certificate log, a signature log, and their trust configuration.

What it signs is what a client would have got from the public instance (certificate with an embedded timestamp of the certificate log, entry
of kind dsse 0.0.1 with promise, proof and checkpoint), so verification takes every step it takes there, without a network.
"""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from untaint.provenance.dsse import IN_TOTO, pae
from untaint.provenance.merkle import leaf_hash, root_of

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_SHA256 = ec.ECDSA(hashes.SHA256())
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signing, False, False, False, False, not signing, not signing, False, False)


@final
@dataclass
class Instance:
    """One of them. now: when it signs."""

    now: datetime = NOW
    authority: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    certificates: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    log: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def __post_init__(self) -> None:
        self.root = self._root()
        self.root_bytes = _b64(self.root.public_bytes(serialization.Encoding.DER))

    def configuration(self) -> str:
        """The trust configuration of its clients, as JSON."""
        since = {"start": "2020-01-01T00:00:00Z"}

        def instance(key: ec.EllipticCurvePrivateKey, url: str) -> dict[str, Any]:
            der = _der(key)
            public = {"rawBytes": _b64(der), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since}
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": public,
                "logId": {"keyId": _b64(hashlib.sha256(der).digest())},
            }

        chain = {"certificates": [{"rawBytes": self.root_bytes}]}
        trusted = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [instance(self.log, "https://log.example")],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "ca.example"},
                    "uri": "https://ca.example",
                    "certChain": chain,
                    "validFor": since,
                }
            ],
            "ctlogs": [instance(self.certificates, "https://ct.example")],
            "timestampAuthorities": [],
        }
        signing = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        return json.dumps({"mediaType": kind, "trustedRoot": trusted, "signingConfig": signing})

    def bundle(self, payload: bytes, identity: str, issuer: str) -> bytes:
        """A statement that somebody of this identity signed."""
        key = _key()
        certificate = self._certificate(key, identity, issuer)
        signature = key.sign(pae(IN_TOTO, payload), _SHA256)
        envelope = {
            "payload": _b64(payload),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": _b64(signature), "keyid": ""}],
        }
        material = {
            "certificate": {"rawBytes": _b64(certificate.public_bytes(serialization.Encoding.DER))},
            "tlogEntries": [self._entry(envelope, payload, signature, certificate)],
        }
        kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
        return json.dumps({"mediaType": kind, "verificationMaterial": material, "dsseEnvelope": envelope}).encode()

    def _root(self) -> x509.Certificate:
        public = self.authority.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(_name("ca.example"))
            .issuer_name(_name("ca.example"))
            .public_key(public)
            .serial_number(1)
            .not_valid_before(self.now - timedelta(days=365))
            .not_valid_after(self.now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signing=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def _certificate(self, key: ec.EllipticCurvePrivateKey, identity: str, issuer: str) -> x509.Certificate:
        """Valid for ten minutes, with the promise of the certificate log inside."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(minutes=1))
            .not_valid_after(self.now + timedelta(minutes=9))
            .add_extension(_usage(signing=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer.encode()), critical=False)
        )
        before = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        promised = x509.UnrecognizedExtension(_TIMESTAMPS, _octets(self._promise(before)))
        return builder.add_extension(promised, critical=False).sign(self.authority, hashes.SHA256())

    def _promise(self, certificate: bytes) -> bytes:
        """A list of one signed certificate timestamp (RFC 6962, 3.2 and 3.3). certificate: to be signed, without the list."""
        when = int(self.now.timestamp() * 1000)
        entry = hashlib.sha256(_der(self.authority)).digest() + len(certificate).to_bytes(3, "big") + certificate
        signed = struct.pack("!BBQH", 0, 0, when, 1) + entry + b"\0\0"
        signature = self.certificates.sign(signed, _SHA256)
        log = hashlib.sha256(_der(self.certificates)).digest()
        timestamp = struct.pack("!B32sQHBBH", 0, log, when, 0, 4, 3, len(signature)) + signature
        return struct.pack("!HH", len(timestamp) + 2, len(timestamp)) + timestamp

    def _entry(self, envelope: dict[str, Any], payload: bytes, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
        """Number 1 of a log of two."""

        def digest(data: bytes) -> dict[str, str]:
            return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}

        signer = {"signature": _b64(signature), "verifier": _b64(certificate.public_bytes(serialization.Encoding.PEM))}
        spec = {"envelopeHash": digest(json.dumps(envelope).encode()), "payloadHash": digest(payload), "signatures": [signer]}
        body = _canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        first, root = leaf_hash(b"of somebody else"), root_of([leaf_hash(b"of somebody else"), leaf_hash(body)])
        log, when = hashlib.sha256(_der(self.log)).digest(), int(self.now.timestamp())
        promise = self.log.sign(
            _canonical({"body": _b64(body), "integratedTime": when, "logID": log.hex(), "logIndex": 1}), _SHA256
        )
        note = f"log.example\n2\n{_b64(root)}\n"
        checkpoint = f"{note}\n\u2014 log.example {_b64(log[:4] + self.log.sign(note.encode(), _SHA256))}\n"
        proof = {"logIndex": "1", "rootHash": _b64(root), "treeSize": "2", "hashes": [_b64(first)]}
        return {
            "logIndex": "1",
            "logId": {"keyId": _b64(log)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(when),
            "inclusionPromise": {"signedEntryTimestamp": _b64(promise)},
            "inclusionProof": {**proof, "checkpoint": {"envelope": checkpoint}},
            "canonicalizedBody": _b64(body),
        }


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _octets(data: bytes) -> bytes:
    """An OCTET STRING of ASN.1."""
    size = len(data)
    head = bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else bytes([0x82, *size.to_bytes(2, "big")])
    return b"\x04" + head + data
