import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import keys, log_proof, notes
from untaint.provenance.log import Log, record
from untaint.provenance.log_proof import LogProof
from untaint.provenance.merkle import leaf_hash, root_of
from untaint.provenance.notes import Note
from untaint.provenance.witness import Witness

KEY, OTHER, WITNESS = keys.generate("p256"), keys.generate("ed25519"), keys.generate("ed25519")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def entries(start: int, stop: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(start, stop)]


def grown(folder: Path, *sizes: int) -> Log:
    log, before = Log(folder), 0
    for size in sizes:
        log.append(entries(before, size), KEY)
        before = size
    return log


def problems(log: Log) -> Sequence[str]:
    return log.check(KEY.public, {}).problems


@pytest.mark.parametrize("sizes", [(1,), (3, 4), (255, 256), (256,), (1, 255, 257), (300, 700)])
def test_a_log_is_what_was_appended(sizes: Sequence[int], tmp_path: Path) -> None:
    log, last = grown(tmp_path, *sizes), sizes[-1]
    assert list(log.entries()) == entries(0, last)
    assert list(log.entries(last - 1)) == entries(last - 1, last)
    assert log.checkpoint.size == last
    assert log.checkpoint.root == root_of([leaf_hash(entry) for entry in entries(0, last)])
    assert problems(log) == ()
    for size in sizes:
        root = root_of([leaf_hash(entry) for entry in entries(0, size)])
        assert log.follows(notes.Checkpoint(log.checkpoint.origin, size, root))
        assert not log.follows(notes.Checkpoint(log.checkpoint.origin, size, bytes(32)))
    assert not log.follows(notes.Checkpoint("another", 1, root_of([leaf_hash(b"entry 0")])))


def test_the_files_are_those_of_the_format(tmp_path: Path) -> None:
    grown(tmp_path, 257)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {
        ".lock",
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    }
    assert (tmp_path / "tile/entries/001.p/1").read_bytes() == b"\x00\x09entry 256"


def test_no_two_logs_have_one_name(tmp_path: Path) -> None:
    one, other = grown(tmp_path / "one", 1), grown(tmp_path / "other", 1)
    assert one.checkpoint.origin != other.checkpoint.origin
    assert Log(tmp_path / "named").append([b"a"], KEY, origin="example.com/log").origin == "example.com/log"


def test_who_may_append(tmp_path: Path) -> None:
    log = grown(tmp_path, 3)
    before = (tmp_path / "checkpoint").read_bytes()
    with pytest.raises(BadInput, match="is signed with another key"):
        log.append([b"a"], OTHER)
    with pytest.raises(BadInput, match="calls itself untaint/"):
        log.append([b"a"], KEY, origin="example.com/log")
    for bad in ([], [b"x" * 65_536]):
        with pytest.raises(BadInput, match="at most 65,535 bytes"):
            log.append(bad, KEY)
    assert (tmp_path / "checkpoint").read_bytes() == before
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotWrite, match="the log in .*file cannot be written"):
        Log(tmp_path / "file").append([b"a"], KEY)


def edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / path).write_bytes(change((folder / path).read_bytes()))

    return act


def swap(one: str, other: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        held = (folder / one).read_bytes()
        (folder / one).write_bytes((folder / other).read_bytes())
        (folder / other).write_bytes(held)

    return act


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("tile/0/000", lambda held: held[:-32]), "tile/0/000 has 8,160 bytes, not 8,192"),
        (edit("tile/0/000", lambda held: held + held), "tile/0/000 has 16,384 bytes"),
        (edit("tile/0/000", lambda held: held[32:64] + held[:32] + held[64:]), "tile/0/000 does not fit the tiles above"),
        (swap("tile/0/000", "tile/0/001"), "tile/0/000 does not fit the tiles above"),
        (edit("tile/1/000.p/2", lambda held: held[32:] + held[:32]), "another root than its checkpoint"),
        (lambda folder: (folder / "tile/0/002.p/88").unlink(), "tile/0/002.p/88 is missing"),
        (lambda folder: (folder / "tile/0/001").unlink(), "tile/0/001 is missing"),
        (
            edit("tile/entries/000", lambda held: held.replace(b"entry 7", b"entry 8", 1)),
            "entry 7 is not the one that was logged",
        ),
        (edit("tile/entries/000", lambda held: held[:-1]), "tile/entries/000 was cut short"),
        (edit("tile/entries/002.p/88", lambda held: held + b"\x00\x01x"), "tile/entries/002.p/88 was cut short, or grew"),
        (swap("tile/entries/000", "tile/entries/001"), "entry 0 is not the one that was logged, and 511 more are not those"),
        (lambda folder: shutil.rmtree(folder / "tile/entries/002.p"), "tile/entries/002 is missing"),
        (
            edit("checkpoint", lambda held: held.replace(b"\n600\n", b"\n599\n")),
            "the signature of 'untaint/.*' does not fit the note",
        ),
    ],
)
def test_what_was_changed_is_said(change: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    log = grown(tmp_path, 600)
    change(tmp_path)
    (problem,) = problems(log)
    with pytest.raises(BadInput, match=message):
        raise BadInput(problem)


def test_a_changed_log_is_never_signed_again(tmp_path: Path) -> None:
    log = grown(tmp_path, 3)
    edit("tile/0/000.p/3", lambda held: held[32:] + held[:32])(tmp_path)
    with pytest.raises(BadInput, match="was changed since it was signed"):
        log.append([b"a"], KEY)
    edit("tile/0/000.p/3", lambda held: held[64:] + held[:64])(tmp_path)
    edit("tile/entries/000.p/3", lambda held: held.replace(b"0", b"9"))(tmp_path)
    with pytest.raises(BadInput, match="entries of the log in .* were changed"):
        log.append([b"a"], KEY)


def test_a_crash_before_the_checkpoint_leaves_the_old_log(tmp_path: Path) -> None:
    log = grown(tmp_path, 255)
    old = (tmp_path / "checkpoint").read_bytes()
    log.append([b"lost"], KEY)  # makes a whole tile of a part of one
    (tmp_path / "checkpoint").write_bytes(old)
    assert problems(log) == ()
    log.append(entries(255, 258), KEY)
    assert list(log.entries()) == entries(0, 258)
    assert problems(log) == ()


def test_records_have_times(tmp_path: Path) -> None:
    log = Log(tmp_path)
    record(log, {"type": "seal"}, KEY, now=NOW)
    record(log, {"type": "sign"}, KEY, now=NOW - timedelta(minutes=4))
    assert [json.loads(entry) for entry in log.entries()] == [
        {"type": "seal", "time": "2026-11-27T12:00:00Z"},
        {"type": "sign", "time": "2026-11-27T11:56:00Z"},
    ]
    with pytest.raises(BadInput, match=r"is of 2026-11-27T11:56:00Z, after now \(2026-11-26T12:00:00Z\). Set the clock"):
        record(log, {"type": "sign"}, KEY, now=NOW - timedelta(days=1))


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no log at"):
        problems(Log(tmp_path))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_a_proof_needs_no_log(size: int, tmp_path: Path) -> None:
    log = grown(tmp_path, size)
    for index in {0, size // 2, size - 1}:
        proof = log_proof.read(log_proof.prove(log, index).dump(), "it")
        assert proof.problems(f"entry {index}".encode(), KEY.public, {}) == ()
        assert proof.problems(b"entry -1", KEY.public, {}) == (f"the entry is not number {index} of the log",)
        assert proof.problems(f"entry {index}".encode(), OTHER.public, {}) == (
            "the checkpoint is not signed by the key of the log",
        )
    with pytest.raises(BadInput, match="there is no leaf"):
        log_proof.prove(log, size)


def test_a_proof_that_was_changed(tmp_path: Path) -> None:
    log = grown(tmp_path, 5)
    proof = log_proof.prove(log, 1)
    for other in (
        LogProof(2, proof.path, proof.note),
        LogProof(1, proof.path[1:], proof.note),
        LogProof(1, proof.path * 2, proof.note),
    ):
        assert other.problems(b"entry 1", KEY.public, {})
    renamed = Note(proof.note.text.replace("\n5\n", "\n6\n"), proof.note.lines)
    assert "does not fit the note" in LogProof(1, proof.path, renamed).problems(b"entry 1", KEY.public, {})[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin with"),
        (b"c2sp.org/tlog-proof@v2\nindex 0\n\n", "does not begin with"),
        (b"c2sp.org/tlog-proof@v1\n\n", "does not say which entry"),
        (b"c2sp.org/tlog-proof@v1\nindex -1\n\n", "does not say which entry"),
        (b"c2sp.org/tlog-proof@v1\nindex 01\n\n", "does not say which entry"),
        (b"c2sp.org/tlog-proof@v1\nindex 1\n?\n\n", "is not base64"),
        (b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n", "a hash has 3 bytes"),
        (b"c2sp.org/tlog-proof@v1\nindex 1" + b"\nAAAA" * 64 + b"\n\n", "more than 63 hashes"),
        (b"c2sp.org/tlog-proof@v1\nextra AAAA\nindex 1\n\n", "is not a signed note"),
        (b"c2sp.org/tlog-proof@v1\nindex \xff\n\n", "it is not ASCII"),
    ],
)
def test_bad_proofs(content: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        log_proof.read(content, "it")


def witnessed(log: Log, memory: Path, now: datetime = NOW) -> tuple[str, ...]:
    return Witness("w1", WITNESS, memory).countersign(log, KEY.public, now=now)


def test_a_witness_countersigns_what_goes_on(tmp_path: Path) -> None:
    log = grown(tmp_path / "log", 3)
    for size in (3, 3, 300):
        if size > log.checkpoint.size:
            log.append(entries(log.checkpoint.size, size), KEY)
        assert witnessed(log, tmp_path / "memory") == ()
        checked = log.check(KEY.public, {"w1": WITNESS.public}, 1)
        assert (checked.witnesses, checked.problems) == (("w1",), ())
    log.append([b"more"], KEY)  # a new checkpoint nobody has seen
    assert log.check(KEY.public, {"w1": WITNESS.public}, 1).problems == ("1 witnesses are required, and nobody countersigned",)


def test_a_witness_sees_what_was_rewritten(tmp_path: Path) -> None:
    """By somebody who holds the key of the log."""
    log = grown(tmp_path / "log", 5)
    shutil.copytree(tmp_path / "log", tmp_path / "old")
    log.append(entries(5, 8), KEY)
    assert witnessed(log, tmp_path / "memory") == ()
    assert witnessed(Log(tmp_path / "old"), tmp_path / "memory") == (
        "the log has 5 entries, and had 8 at 2026-11-27T12:00:00Z: it was rolled back",
    )
    Log(tmp_path / "old").append([b"another", b"past", b"for", b"you"], KEY)
    assert witnessed(Log(tmp_path / "old"), tmp_path / "memory") == (
        "the log does not begin with the 8 entries it had at 2026-11-27T12:00:00Z: its history was rewritten",
    )


def test_a_witness_vouches_for_nothing_that_does_not_fit(tmp_path: Path) -> None:
    log = grown(tmp_path / "log", 5)
    found = Witness("w1", WITNESS, tmp_path / "memory").countersign(log, OTHER.public, now=NOW)
    assert found == (f"the checkpoint of {log.checkpoint.origin} is not signed by this key",)
    assert not (tmp_path / "memory").exists()


def test_the_memory_of_a_witness(tmp_path: Path) -> None:
    log = grown(tmp_path / "log", 5)
    witnessed(log, tmp_path / "memory")
    with pytest.raises(BadInput, match="Set the clock"):
        witnessed(log, tmp_path / "memory", NOW - timedelta(hours=1))
    with pytest.raises(BadInput, match="was not written by the witness w2"):
        Witness("w2", OTHER, tmp_path / "memory").countersign(log, KEY.public, now=NOW)
    (path,) = (tmp_path / "memory").iterdir()
    path.write_bytes(path.read_bytes().replace(b"\n5\n", b"\n4\n"))
    with pytest.raises(BadInput, match="the countersignature of 'w1' does not fit"):
        witnessed(log, tmp_path / "memory")
