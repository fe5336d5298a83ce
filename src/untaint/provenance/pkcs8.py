"""PKCS#8 key files encrypted by a password (RFC 8018: PBES2 with PBKDF2 and AES-256), with as many rounds as today needs.

The `cryptography` package writes them with 2,048 rounds, which a graphics card tries by the hundred million; every reader
takes the number from the file, so files from here open everywhere.
"""

import base64
import textwrap

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

ROUNDS = 600_000
"""OWASP's password storage cheat sheet for PBKDF2 with HMAC-SHA-256; about a quarter of a second."""

_PBES2 = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")  # 1.2.840.113549.1.5.12
_HMAC_SHA256 = bytes.fromhex("300c06082a864886f70d02090500")  # 1.2.840.113549.2.9, with NULL parameters
_AES256_CBC = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42


def encrypt(plain: bytes, password: bytes, random: bytes) -> bytes:
    """EncryptedPrivateKeyInfo (DER) of a PrivateKeyInfo (DER).  random: 32 fresh random bytes, half salt, half start of the chain."""
    salt, start = random[:16], random[16:32]
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, ROUNDS).derive(password)
    padder = padding.PKCS7(128).padder()
    padded = padder.update(plain) + padder.finalize()
    cipher = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    derivation = _der(0x30, _PBKDF2 + _der(0x30, _der(0x04, salt) + _integer(ROUNDS) + _HMAC_SHA256))
    scheme = _der(0x30, _AES256_CBC + _der(0x04, start))
    how = _der(0x30, _PBES2 + _der(0x30, derivation + scheme))
    return _der(0x30, how + _der(0x04, cipher.update(padded) + cipher.finalize()))


def pem(label: str, content: bytes) -> bytes:
    """DER as PEM text (RFC 7468)."""
    lines = "\n".join(textwrap.wrap(base64.b64encode(content).decode("ascii"), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode("ascii")


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))  # a leading zero bit: it is positive


def _der(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
