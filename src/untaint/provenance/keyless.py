"""Signatures without keys, by Sigstore: who signed is an identity such as a mail address or a CI job, vouched for by its issuer.

Signing needs the network (an identity provider, Fulcio, Rekor), and is done only when asked for by name. Verifying needs none: the
roots of trust come with the `sigstore` package or from a file. Optional: `pip install 'untaint[keyless]'`.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint.errors import BadInput, MissingExtra, UntaintError
from untaint.provenance import dsse, json_text


@final
@dataclass(frozen=True)
class Identity:
    """Whom to trust.  name: as the certificate has it.  issuer: URL of who vouches for it.  roots: file, None = Sigstore's own."""

    name: str
    issuer: str
    roots: Path | None = None


def sign(statement: bytes, *, token: str | None = None, roots: Path | None = None) -> bytes:
    """An in-toto statement as a Sigstore bundle, over the network.

    token: of an identity provider, None = that of the CI job this runs in, else a browser is opened.  roots: trust configuration.
    Raises MissingExtra without the `sigstore` package, UntaintError when a service cannot be reached or refuses.
    """
    _needs_sigstore()
    from sigstore import oidc
    from sigstore.dsse import Statement
    from sigstore.errors import Error
    from sigstore.sign import SigningContext

    try:
        trust = _trust(roots)
        given = token or oidc.detect_credential()
        found = oidc.IdentityToken(given) if given else oidc.Issuer(trust.signing_config.get_oidc_url()).identity_token()
        with SigningContext.from_trust_config(trust).signer(found) as signer:
            return signer.sign_dsse(Statement(statement)).to_json().encode()
    except (Error, oidc.IdentityError, OSError, ValueError) as error:
        advice = "It needs the network and an identity provider; a key needs neither (`untaint key new`)."
        raise UntaintError(f"nothing was signed by Sigstore: {_told(error)}.", advice=advice) from error


def verify(bundle: bytes, identity: Identity, what: str) -> dsse.Envelope | str:
    """The payload of a Sigstore bundle that this identity signed; in words, why it is not to be believed. Offline.

    what: how errors call it. Raises BadInput when it is no bundle, MissingExtra without the `sigstore` package.
    """
    _needs_sigstore()
    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it would warn that offline is offline
    from sigstore.errors import Error
    from sigstore.models import Bundle, InvalidBundle
    from sigstore.verify import Verifier, policy

    json_text.parse(bundle, what)
    try:
        found = Bundle.from_json(bundle)
    except (InvalidBundle, ValueError) as error:
        raise BadInput(f"{what} is no Sigstore bundle: {_told(error)}.", advice="With a key it is verified by --key.") from error
    trust = (
        Verifier.production(offline=True)
        if identity.roots is None
        else Verifier(trusted_root=_trust(identity.roots).trusted_root)
    )
    try:
        kind, payload = trust.verify_dsse(found, policy.Identity(identity=identity.name, issuer=identity.issuer))
    except Error as error:
        return f"it is not signed by {identity.name} of {identity.issuer}: {_told(error)}"
    return dsse.Envelope(payload, kind, ())


def _trust(roots: Path | None) -> Any:
    from sigstore.models import ClientTrustConfig

    if roots is None:
        return ClientTrustConfig.production()
    try:
        return ClientTrustConfig.from_json(roots.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"no trust configuration at {roots}: {error.strerror}.", advice="Give Sigstore's JSON file.") from error
    except Exception as error:  # whatever a parser of JSON into messages makes of a file that is none
        raise BadInput(f"{roots} is no trust configuration: {_told(error)}.", advice="Give Sigstore's JSON file.") from error


def _needs_sigstore() -> None:
    try:
        import sigstore  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingExtra("signing without a key", "keyless") from error


def _told(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
