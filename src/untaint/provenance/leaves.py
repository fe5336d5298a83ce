"""What a leaf of the tree binds: five digests, apart from each other, so that a verification can say which of them changed.

leaf = SHA-256(0x00 ‖ content ‖ label ‖ source ‖ transform ‖ split), 32 bytes each: the leaf hash of RFC 6962 over 160 bytes.

- content: the sample's `id` as an audit knows it, SHA-256 of the payload, where its record holds nothing else; otherwise
  SHA-256("untaint.content/v1" ‖ id ‖ rest), rest being the SHA-256 of the other fields as JSON, keys in order.
- label, source, transform, split: SHA-256("untaint.<field>/v1:" ‖ UTF-8 of the text); `ABSENT` where there is none, which no text gives.
"""

import hashlib
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Field: TypeAlias = Literal["label", "source", "transform", "split"]
FIELDS: Final[tuple[Field, ...]] = ("label", "source", "transform", "split")
ABSENT: Final = hashlib.sha256(b"untaint.absent/v1").digest()
_LEAF = b"\x00"
_CACHED = 65_536  # texts whose digests are kept; labels and sources are few


@lru_cache(_CACHED)
def text_digest(field: Field, text: str | None) -> bytes:
    """Digest of a label, a source, a transform or a split."""
    if text is None:
        return ABSENT
    return hashlib.sha256(f"untaint.{field}/v1:".encode() + text.encode("utf-8", "surrogatepass")).digest()


@lru_cache(_CACHED)
def claims(label: str | None, source: str | None, transform: str | None, split: str | None) -> bytes:
    """The four digests that follow the content."""
    return b"".join(map(text_digest, FIELDS, (label, source, transform, split)))


def content_digest(sample: bytes, rest: bytes | None) -> bytes:
    """First digest of a leaf. sample: the 32 bytes of its id.  rest: SHA-256 of its other fields, None = it has none."""
    if rest is None:
        return sample
    return hashlib.sha256(b"untaint.content/v1" + sample + rest).digest()


def leaf(content: bytes, claimed: bytes) -> bytes:
    """The leaf hash. content: 32 bytes.  claimed: of `claims`."""
    return hashlib.sha256(_LEAF + content + claimed).digest()
