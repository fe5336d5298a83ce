import base64
import hashlib
from datetime import UTC, datetime

import pytest

from untaint.errors import BadInput
from untaint.provenance import keys, notes
from untaint.provenance.keys import PublicKey
from untaint.provenance.notes import Checkpoint, Note

LOG, WITNESS, ECDSA = keys.generate("ed25519"), keys.generate("ed25519"), keys.generate("p256")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HEAD = Checkpoint("example.com/log", 20852163, bytes(range(32)))


def from_raw(raw: bytes) -> PublicKey:
    der = bytes.fromhex("302a300506032b6570032100") + raw
    text = base64.b64encode(der).decode()
    return keys.parse_public(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode(), "it")


def test_a_note_that_go_signed() -> None:
    """The example of golang.org/x/mod/sumdb/note."""
    raw = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    key = from_raw(raw[1:])
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    note = notes.read(f"{text}\n{line}".encode(), "it")
    assert note.text == text
    assert note.signed_by("PeterNeumann", key)
    assert notes.verifier("PeterNeumann", key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert note.dump() == f"{text}\n{line}".encode()


def test_the_id_of_a_key_in_use() -> None:
    """The checksum database of Go."""
    key = from_raw(base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")[1:])
    assert notes.key_id("sum.golang.org", key).hex() == "033de0ae"


def test_a_checkpoint_is_read_again() -> None:
    note = HEAD.note().signed(HEAD.origin, LOG).seen("w1", WITNESS, NOW)
    read = notes.read(note.dump(), "it")
    assert read == note
    assert notes.checkpoint(read, "it") == HEAD
    assert read.signed_by(HEAD.origin, LOG.public)
    assert read.seen_by("w1", WITNESS.public) == NOW
    assert read.dump().decode().split("\n")[:4] == [HEAD.origin, "20852163", base64.b64encode(HEAD.root).decode(), ""]


def test_a_countersignature_is_that_of_the_specification() -> None:
    note = HEAD.note().seen("w1", WITNESS, NOW)
    (line,) = note.lines
    assert line.id == hashlib.sha256(b"w1\n\x04" + WITNESS.public.raw).digest()[:4]
    signed = f"cosignature/v1\ntime {int(NOW.timestamp())}\n{note.text}".encode()
    assert line.value == int(NOW.timestamp()).to_bytes(8, "big") + WITNESS.sign(signed)


def test_the_key_of_another() -> None:
    note = HEAD.note().signed("log", LOG).seen("w1", WITNESS, NOW)
    assert not note.signed_by("log", WITNESS.public)
    assert not note.signed_by("Log", LOG.public)
    assert note.seen_by("w2", WITNESS.public) is None
    assert note.seen_by("w1", LOG.public) is None
    assert not note.signed_by("w1", WITNESS.public)  # a countersignature is no signature


def test_a_note_that_was_changed() -> None:
    note = HEAD.note().signed("log", LOG).seen("w1", WITNESS, NOW)
    other = Note(note.text.replace("20852163", "20852164"), note.lines)
    with pytest.raises(BadInput, match="the signature of 'log' does not fit"):
        other.signed_by("log", LOG.public)
    with pytest.raises(BadInput, match="the countersignature of 'w1' does not fit"):
        other.seen_by("w1", WITNESS.public)


def test_the_time_is_signed() -> None:
    note = HEAD.note().seen("w1", WITNESS, NOW)
    (line,) = note.lines
    for time in (0, 2**64 - 1):
        with pytest.raises(BadInput, match="does not fit"):
            HEAD.note().with_line(notes.Line("w1", line.id, time.to_bytes(8, "big") + line.value[8:])).seen_by(
                "w1", WITNESS.public
            )


def test_signing_again_replaces() -> None:
    note = HEAD.note().seen("w1", WITNESS, NOW).seen("w1", WITNESS, NOW)
    assert len(note.lines) == 1


def test_ecdsa_signs_notes_and_is_no_witness() -> None:
    note = notes.read(HEAD.note().signed("log", ECDSA).dump(), "it")
    assert note.signed_by("log", ECDSA.public)
    assert note.lines[0].id == hashlib.sha256(ECDSA.public.der).digest()[:4]
    with pytest.raises(BadInput, match="a key of kind ed25519 is needed, this is p256"):
        note.seen("w1", ECDSA, NOW)


def test_one_key_is_one_witness() -> None:
    note = HEAD.note().seen("w1", WITNESS, NOW).seen("w2", WITNESS, NOW)
    assert len(notes.witnessed(note, {"w1": WITNESS.public, "w2": WITNESS.public})) == 1


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_names_that_would_break_a_line(name: str) -> None:
    with pytest.raises(BadInput, match="cannot be the name"):
        HEAD.note().signed(name, LOG)


GOOD = HEAD.note().signed("log", LOG).dump()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it needs text"),
        (b"\xff\n\n" + GOOD, "it is not UTF-8"),
        (GOOD[:-1], "it needs text"),
        (GOOD.replace(b"\n", b"\r\n"), "without control characters"),
        (GOOD.replace(b"\n\n", b"\n"), "it needs text"),
        (GOOD + b"\n", "it needs text"),
        (GOOD + "— a\n".encode(), "is no signature line"),
        (GOOD + b"- log YWFhYWFh\n", "is no signature line"),
        (GOOD + "— a YWFh\n".encode(), "too short"),
        (GOOD + "— a b YWFhYWFhYWFh\n".encode(), "is not base64"),
        (GOOD + "— a YWFhYW FhYWFh\n".encode(), "is not base64"),
        (GOOD + "— a YWFhYWFhYWFh\n".encode() * 64, "more than 64 signatures"),
        (b"x" * (1 << 21), "more than 1,048,576 bytes"),
    ],
)
def test_bad_notes(content: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        notes.read(content, "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log\n", "needs an origin, a size and a root"),
        ("log\n1\n\nAAAA\n", "needs an origin"),
        ("\n1\nAAAA\n", "needs an origin"),
        ("log\n01\nAAAA\n", "'01' is no number of entries"),
        ("log\n-1\nAAAA\n", "no number"),
        ("log\n1\u0661\nAAAA\n", "no number"),
        ("log\n" + "9" * 30 + "\nAAAA\n", "no number"),
        ("log\n1\nAAAA\n", "its root has 3 bytes, not 32"),
        ("log\n1\n?\n", "is not base64"),
    ],
)
def test_bad_checkpoints(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        notes.checkpoint(Note(text), "it")


def test_extension_lines_are_kept_and_signed() -> None:
    note = notes.read(Note(HEAD.note().text + "more\n").signed("log", LOG).dump(), "it")
    assert notes.checkpoint(note, "it") == HEAD
    assert note.signed_by("log", LOG.public)
