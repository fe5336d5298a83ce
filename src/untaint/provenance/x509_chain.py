"""An OpenSSF bundle that was signed by certificate: whether its chain ends at a root one trusts, and which name the certificate has.

The certificate has to be valid now: nothing in such a bundle proves when it was signed. No list of revoked certificates is fetched.
Source: OpenSSF Model Signing v1.0, method `certificate`; RFC 5280 for the path.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from untaint.errors import BadInput
from untaint.provenance import dsse, json_text, keys, oms

_MOST = 16
"""Certificates of a chain; the verifier itself follows eight."""


@final
@dataclass(frozen=True)
class Roots:
    """Whom to trust. certificates: of authorities.  name: mail address, URI, host or common name in the signer's certificate."""

    certificates: tuple[x509.Certificate, ...]
    name: str


def read_roots(path: Path, name: str) -> Roots:
    """Roots in a PEM file. Raises BadInput when there are none."""
    try:
        return Roots(tuple(x509.load_pem_x509_certificates(path.read_bytes())), name)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no certificate in PEM"
        raise BadInput(f"no roots in {path}: {why}.", advice="Give the certificates of the authorities you trust.") from error


def verify(bundle: bytes, roots: Roots, what: str, *, now: datetime) -> dsse.Envelope | str:
    """The envelope of a bundle that somebody with this name signed; in words, why it is not to be believed.

    what: how errors call the bundle. Raises BadInput when it is malformed, or signed by other means.
    """
    envelope, (signer, *between) = _read(bundle, what)
    try:
        _follow(signer, between, roots, now)
        public = keys.parse_public(
            signer.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo), what
        )
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm, ValueError) as error:
        return f"its certificate is not one of these authorities, or not valid now: {' '.join(str(error).split())}"
    if not _may_sign(signer):
        return "its certificate is not one to sign with"
    if roots.name not in _names(signer):
        return f"it is not signed by {roots.name}, but by {', '.join(_names(signer)) or 'nobody with a name'}"
    return envelope if envelope.signers([public]) else "its signature is not that of its certificate"


def _read(bundle: bytes, what: str) -> tuple[dsse.Envelope, list[x509.Certificate]]:
    document = json_text.parse(bundle, what)
    match document.get("verificationMaterial"):
        case {"x509CertificateChain": {"certificates": list(listed)}} if 0 < len(listed) <= _MOST:
            pass
        case _:
            raise BadInput(f"{what} is not signed by a chain of certificates.", advice="With a key it is verified by --key.")
    encoded = [entry.get("rawBytes") if isinstance(entry, dict) else None for entry in listed]
    if not all(isinstance(text, str) for text in encoded):
        raise BadInput(f"{what} names certificates that are none.", advice="Get it again from whoever signed it.")
    try:
        found = [x509.load_der_x509_certificate(dsse.decoded(str(text), what, "certificate")) for text in encoded]
    except ValueError as error:
        raise BadInput(
            f"{what} holds a certificate that is none: {error}.", advice="Get it again from whoever signed it."
        ) from error
    return oms.envelope_in(document, what), found


def _follow(signer: x509.Certificate, between: Sequence[x509.Certificate], roots: Roots, now: datetime) -> None:
    """Raises VerificationError where no path leads to a root."""
    may = verification.Criticality.AGNOSTIC
    above = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.ExtendedKeyUsage, may, None)
    own = verification.ExtensionPolicy.permit_all()  # looked at by `_may_sign`: those of servers are not asked for
    builder = verification.PolicyBuilder().store(verification.Store(list(roots.certificates))).time(now)
    builder.extension_policies(ca_policy=above, ee_policy=own).build_client_verifier().verify(signer, list(between))


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether one of the two extensions that say what a key is for allows signatures, and neither forbids them."""
    allowed = []
    with suppress(x509.ExtensionNotFound):
        allowed.append(certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature)
    with suppress(x509.ExtensionNotFound):
        purposes = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        allowed.append(bool({ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & purposes))
    return bool(allowed) and all(allowed)


def _names(certificate: x509.Certificate) -> list[str]:
    """Alternative names; of a certificate without them its common name."""
    try:
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [str(found.value) for found in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    return [str(name) for kind in kinds for name in value.get_values_for_type(kind)]
