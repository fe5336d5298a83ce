"""Keys on disk: ECDSA on P-256, Ed25519 and ML-DSA-65, as PEM files that OpenSSL reads too. No network, no agent, no configuration."""

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, final, get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import pkcs8

Kind: TypeAlias = Literal["p256", "ed25519", "mldsa65"]
"""Kinds of keys we make. p256: every format we write can be signed with it, the OpenSSF bundle included.  ed25519: the one
kind that a witness of a log may have.  mldsa65: what a quantum computer cannot forge (FIPS 204), for envelopes only."""
KINDS: tuple[Kind, ...] = get_args(Kind)

_HASH_OF_CURVE: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("p256", hashes.SHA256()),
    "secp384r1": ("p384", hashes.SHA384()),
    "secp521r1": ("p521", hashes.SHA512()),
}
"""OpenSSF Model Signing v1.0 pairs each curve with this hash. We make P-256 only, and accept what others sign."""

_MAX_FILE = 1 << 16
"""Bytes; a PEM file of one key has about 300."""


@final
@dataclass(frozen=True)
class PublicKey:
    """What a signature is checked with.  kind: p256, p384, p521, ed25519 or mldsa65.  fingerprint: SHA-256 of the PEM text, in hex."""

    kind: str
    pem: bytes
    fingerprint: str

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the owner of this key made the signature over exactly these bytes."""
        key = serialization.load_pem_public_key(self.pem)
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, message, ec.ECDSA(_HASH_OF_CURVE[key.curve.name][1]))
            elif _is_mldsa(key):
                key.verify(signature, message)  # type: ignore[union-attr, call-arg]
            else:
                return False
        except (InvalidSignature, ValueError):  # of ML-DSA a length that cannot be
            return False
        return True

    @property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        key = serialization.load_pem_public_key(self.pem)
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def raw(self) -> bytes:
        """The 32 bytes of an Ed25519 key. Raises BadInput for another kind."""
        key = serialization.load_pem_public_key(self.pem)
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise BadInput(f"a key of kind ed25519 is needed, this is {self.kind}.", advice="`untaint key new --kind ed25519`")
        return key.public_bytes_raw()


@final
@dataclass(frozen=True)
class PrivateKey:
    """What signs.  public: its other half.  notes: what its owner should know, such as that others can read the file."""

    public: PublicKey
    _key: Any
    notes: tuple[str, ...] = ()

    def sign(self, message: bytes) -> bytes:
        """A signature: 64 bytes for Ed25519 (RFC 8032), DER for ECDSA, 3,309 bytes for ML-DSA-65, another one each time.

        Of the others the same message gives the same signature (RFC 6979).
        """
        if not isinstance(self._key, ec.EllipticCurvePrivateKey):
            return bytes(self._key.sign(message))
        digest = _HASH_OF_CURVE[self._key.curve.name][1]
        try:
            return self._key.sign(message, ec.ECDSA(digest, deterministic_signing=True))
        except UnsupportedAlgorithm:  # OpenSSL before 3.2: as secure, with another signature each time
            return self._key.sign(message, ec.ECDSA(digest))


def generate(kind: Kind = "p256") -> PrivateKey:
    """A new key in memory. Raises BadInput where the `cryptography` package that is installed cannot make one of this kind."""
    if kind == "p256":
        return _private(ec.generate_private_key(ec.SECP256R1()))
    if kind == "ed25519":
        return _private(ed25519.Ed25519PrivateKey.generate())
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa

        return _private(mldsa.MLDSA65PrivateKey.generate())
    except (ImportError, UnsupportedAlgorithm) as error:
        raise BadInput("the installed `cryptography` has no ML-DSA.", advice="Update it: pip install -U cryptography.") from error


def new(path: Path, *, kind: Kind = "p256", password: bytes | None) -> PrivateKey:
    """Make a key and write it to `path`, for its owner's eyes only, and its public half beside it, ending in `.pub`.

    password: what encrypts the file, None = written as it is.
    Raises BadInput for an unknown kind, an empty password or a file that is there already; CannotWrite when it cannot be written.
    """
    if kind not in KINDS:
        raise BadInput(f"no kind of key is called {kind!r}.", advice=f"Take one of: {', '.join(KINDS)}.")
    if password == b"":
        raise BadInput("the password is empty.", advice="Give one, or say --unencrypted.")
    beside = public_path(path)
    if beside == path:
        raise BadInput(f"{path}: a private key is not called .pub.", advice="Name it KEY.pem; the public half becomes KEY.pub.")
    for taken in (path, beside):
        if os.path.lexists(taken):
            raise BadInput(f"{taken} is there already, and a key is never overwritten.", advice="Choose another name.")
    key = generate(kind)
    _write(path, _pem(key, password), 0o600)
    _write(beside, key.public.pem, 0o644)
    return key


def public_path(path: Path) -> Path:
    """Where the public half of the key at `path` lies."""
    return path.with_suffix(".pub")


def load_private(path: Path, password: bytes | None = None) -> PrivateKey:
    """The private key in a PEM file; `notes` has a warning when others can read the file.

    Raises BadInput when there is none, it is encrypted and the password is missing or wrong, or it is of another kind.
    """
    content = _read(path)
    if b"-----BEGIN PUBLIC KEY-----" in content:
        raise BadInput(f"{path} is a public key; signing needs the private one.", advice="Give the .pem file beside it.")
    try:
        key = serialization.load_pem_private_key(content, password)
    except TypeError as error:
        why, advice = (
            ("is encrypted", "Give its password: --password-file FILE, or UNTAINT_KEY_PASSWORD.")
            if password is None
            else ("is not encrypted, and a password was given", "Leave the password out.")
        )
        raise BadInput(f"{path} {why}.", advice=advice) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "is not a private key in PEM" if password is None else "cannot be opened with this password"
        raise BadInput(f"{path} {why}.", advice="`untaint key new` makes a key.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) and not _is_mldsa(key):
        raise _unsupported(str(path), type(key).__name__)
    return _private(key, str(path), _warnings(path))


def is_alone(path: Path) -> bool:
    """Whether this is a private key without its public half beside it. Raises BadInput when there is none."""
    return b"PRIVATE KEY-----" in _read(path) and not public_path(path).exists()


def is_encrypted(path: Path) -> bool:
    """Whether the private key in a PEM file needs a password. Raises BadInput when there is none."""
    return b"ENCRYPTED" in _read(path)


def load_public(path: Path) -> PublicKey:
    """The public key in a PEM file. Raises BadInput when there is none, or it is of another kind."""
    return parse_public(_read(path), str(path))


def public_half(path: Path) -> PublicKey:
    """The public half of a key, from either of its two files. Raises BadInput for a private key without a `.pub` beside it."""
    beside = public_path(path)
    return load_public(beside if beside != path and beside.exists() else path)


def parse_public(pem: bytes, what: str) -> PublicKey:
    """The public key in PEM text. what: how errors call it. Raises BadInput."""
    if b"PRIVATE KEY-----" in pem:
        raise BadInput(f"{what} is a private key; the public one is needed, and only its owner should have this one.")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{what} is not a public key in PEM.", advice="`untaint key show KEY` prints it.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) and not _is_mldsa(key):
        raise _unsupported(what, type(key).__name__)
    return _public(key, what)


def _private(key: Any, what: str = "the key", notes: tuple[str, ...] = ()) -> PrivateKey:
    return PrivateKey(_public(key.public_key(), what), key, notes)


def _is_mldsa(key: object) -> bool:
    """Whether a key, or half of one, is of ML-DSA-65. By name, since older releases of `cryptography` do not know the kind."""
    return any(kind.__name__ in {"MLDSA65PrivateKey", "MLDSA65PublicKey"} for kind in type(key).__mro__)


def _public(key: Any, what: str) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind = _HASH_OF_CURVE.get(key.curve.name, ("", None))[0]
    else:
        kind = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "mldsa65"
    if not kind:
        raise _unsupported(what, "a key on another curve")
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kind, pem, hashlib.sha256(pem).hexdigest())


def _unsupported(what: str, kind: str) -> BadInput:
    return BadInput(
        f"{what} is of a kind that is not supported ({kind}).", advice=f"Supported: {', '.join(KINDS)}; `untaint key new`."
    )


def _pem(key: PrivateKey, password: bytes | None) -> bytes:
    plain = key._key.private_bytes(  # noqa: SLF001 - of this file
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    if password is None:
        return pkcs8.pem("PRIVATE KEY", plain)
    return pkcs8.pem("ENCRYPTED PRIVATE KEY", pkcs8.encrypt(plain, password, secrets.token_bytes(32)))


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}.", advice="Choose a folder you may write to.") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise BadInput(f"no key at {path}: {error.strerror}.", advice="`untaint key new` makes one.") from error
    if len(content) > _MAX_FILE:
        raise BadInput(f"{path} is too large to be a key.", advice="Give a PEM file with one key.")
    return content


def _warnings(path: Path) -> tuple[str, ...]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "posix" or not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return ()
    return (f"others can read the private key {path} (mode {mode:04o}): chmod 600 it, and make a new one if they may have",)
