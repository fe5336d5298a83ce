"""Digests that samples came with: of an index, a hub or a downloader, made where they were seen first.

They are what shows that a URL serves today what it served when somebody looked (img2dataset, LAION, Croissant). Tools write such fields
and rarely check them: one large hub has had the address of an issue in them for years, which is told as no digest at all.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias, final

from untaint.data.roles import is_missing

SIZES: Final[Mapping[str, int]] = {"sha512": 64, "sha256": 32, "sha1": 20, "md5": 16}
"""Bytes of the digests that are known, the surest first; the size of one says what it is."""
_PREFIXES = ("", "image_", "content_", "file_", "upstream_")
_BY_NAME: Mapping[str, str] = {prefix + name: name for name in SIZES for prefix in _PREFIXES}
NAMES: Final = frozenset(_BY_NAME)
"""Columns that hold such digests."""
_AGED = frozenset({"sha1", "md5"})  # whose makers of collisions are on the web
Content: TypeAlias = Callable[[], bytes]


@final
class Upstream(NamedTuple):
    """What a sample came with. digest: None = what stands there is none.  fits: whether its bytes have it, None = not compared."""

    digest: bytes | None
    fits: bool | None


def upstream_of(record: Mapping[str, object], names: frozenset[str] | set[str]) -> Upstream | None:
    """The surest digest in a record, not compared yet; None for none. names: of its columns that may hold one."""
    order = list(SIZES)
    for name in sorted(names, key=lambda name: (order.index(_BY_NAME[name]), name)):
        value = record.get(name)
        if not is_missing(value) and value != "":
            digest = digest_in(value, _BY_NAME[name])
            return Upstream(digest, None if digest else False)
    return None


def digest_in(value: object, algorithm: str) -> bytes | None:
    """A digest as hexadecimal text, with or without its name before a colon, or as bytes; None for anything else."""
    if isinstance(value, bytes) and len(value) == SIZES[algorithm]:
        return value
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return None
    text = text.strip().lower().removeprefix(f"{algorithm}:")
    hexadecimal = len(text) == 2 * SIZES[algorithm] and not set(text) - set("0123456789abcdef")
    return bytes.fromhex(text) if hexadecimal else None


def compared(claim: Upstream, sha256: bytes, content: Content) -> Upstream:
    """A claim with whether it fits. sha256: of the content, which is read only where another digest is claimed."""
    if claim.digest is None:
        return claim
    algorithm = next(name for name, size in SIZES.items() if size == len(claim.digest))
    if algorithm == "sha256":
        return Upstream(claim.digest, claim.digest == sha256)
    return Upstream(claim.digest, hashlib.new(algorithm, content(), usedforsecurity=False).digest() == claim.digest)


def is_aged(digest: bytes) -> bool:
    """Whether two contents of one such digest can be made by anybody."""
    return any(SIZES[name] == len(digest) for name in _AGED)
