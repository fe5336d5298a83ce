"""What a TLS certificate says of who holds a host, as it was shown when the host was asked."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

_LONGEST = 256  # characters of a name


@final
@dataclass(frozen=True)
class Certificate:
    """issuer, subject: who signed it and for whom.  key: SHA-256 of the public key, hexadecimal.  since: when it began to count."""

    issuer: str
    subject: str
    key: str
    since: datetime


def certificate_of(der: bytes | None) -> Certificate | None:
    """A certificate; None for none, and for bytes that are none. Organisations where it names them, else the whole names."""
    if der is None:
        return None
    try:
        found = x509.load_der_x509_certificate(der)
        key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Certificate(_name(found.issuer), _name(found.subject), hashlib.sha256(key).hexdigest(), found.not_valid_before_utc)
    except Exception:  # noqa: BLE001 - crafted ones raise anything: ValueError, UnsupportedAlgorithm, and what Rust panics with
        return None


def _name(name: x509.Name) -> str:
    """`O=Example Ltd` where an organisation stands for itself: of the rest, machines choose new words all the time."""
    found = name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (f"O={found[0].value!s}" if found else name.rfc4514_string())[:_LONGEST]


def another_owner(old: Certificate | None, new: Certificate | None) -> str:
    """Why a certificate is of somebody else than an older one, in words; empty where nothing says so.

    A new key alone says nothing: most hosts take one with every renewal, some every week.
    """
    if old is None or new is None or old.key == new.key:
        return ""
    if old.subject.startswith("O=") or new.subject.startswith("O="):
        return f"its certificate was of {old.subject}, now of {new.subject}" if old.subject != new.subject else ""
    return f"its certificate was from {old.issuer}, now from {new.issuer}, with another key" if old.issuer != new.issuer else ""
