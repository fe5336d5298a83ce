"""Seals signed and checked as a person would meet them: a folder, keys, a policy, and somebody who changes things."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from untaint.errors import BadInput
from untaint.provenance import dsse, keys, oms, oms_names, policy, sign, strict
from untaint.provenance.log import Log
from untaint.provenance.oms_check import check
from untaint.provenance.policy import Policy
from untaint.provenance.seal import seal
from untaint.provenance.sealed import Seal, read_seal
from untaint.provenance.strict import Facts

ALICE, BOB = keys.generate("p256"), keys.generate("ed25519")
BY_ALICE = policy.of_key(ALICE.public, "alice.pub")


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config").write_text("[core]", encoding="utf-8")
    (root / "__init__.py").touch()
    (root / "set.jsonl").write_text("".join(f'{{"text": "text {n}", "label": "{n % 2}"}}\n' for n in range(9)), encoding="utf-8")
    (root / "col:on\nline.txt").write_text("odd", encoding="utf-8")
    return root


@pytest.fixture
def sealed(data: Path) -> Seal:
    return seal(data)


def problems(sealed: Seal, asked: Policy = BY_ALICE, now: datetime | None = None) -> tuple[str, ...]:
    return sign.verify_seal(read_seal(sealed.folder), asked, now=now or clock()).decision.problems


def test_a_seal_is_signed_and_verified(sealed: Seal, data: Path) -> None:
    assert sign.sign_seal(sealed, [ALICE], now=clock(), data=data) == ()
    found = sign.verify_seal(sealed, BY_ALICE, now=clock())
    assert found.decision == policy.Decision(("alice.pub",), ())
    assert found.facts.root.hex() == sealed.sealed.root
    assert {path.name for path in sealed.folder.iterdir()} >= {"envelope.json", "bundle.sig", "log"}
    bundle = oms.verify((sealed.folder / "bundle.sig").read_bytes(), [ALICE.public], "bundle.sig")
    assert bundle is not None
    assert check(data, bundle).problems == ()


def test_the_payload_is_an_in_toto_statement(sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock())
    envelope = dsse.read((sealed.folder / "envelope.json").read_bytes(), "it")
    document = json.loads(envelope.payload)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["name"] for subject in document["subject"]] == ["statement.json"]
    assert document["predicate"]["files"]["count"] == "4"
    assert strict.statement(strict.parse(envelope.payload, "it")) == envelope.payload


def test_a_vetter_adds_a_signature(sealed: Seal) -> None:
    rules = Policy(
        tuple(policy.Trusted(name, key.public, frozenset(policy.ROLES)) for name, key in (("alice", ALICE), ("bob", BOB))),
        {"vetter": 2},
        what="policy.toml",
    )
    sign.sign_seal(sealed, [ALICE], now=clock())
    assert problems(sealed, rules) == ("policy.toml requires 2 signers as vetter, and alice signed as such",)
    (note,) = sign.sign_seal(sealed, [BOB], now=clock())
    assert "not in the log" in note
    assert "is signed with another key" in note
    assert problems(sealed, rules) == ()


def test_an_ed25519_key_alone_writes_no_bundle(sealed: Seal, data: Path) -> None:
    (note,) = sign.sign_seal(sealed, [BOB], now=clock(), data=data)
    assert note.startswith("no bundle.sig for other tools was written: it takes a key on P-256")
    assert problems(sealed, policy.of_key(BOB.public, "bob.pub")) == ()


def test_an_unsigned_seal_is_no_pass(sealed: Seal) -> None:
    with pytest.raises(BadInput, match="is not signed"):
        problems(sealed)


def test_a_wrong_key(sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock())
    assert problems(sealed, policy.of_key(BOB.public, "bob.pub")) == ("it is not signed with the key bob.pub",)


def test_the_log_of_another_signer(sealed: Seal) -> None:
    """Who trusts bob only can say nothing about alice's log; it is no reason to mistrust what bob signed, unless a log is required."""
    sign.sign_seal(sealed, [ALICE], now=clock())
    sign.sign_seal(sealed, [BOB], now=clock())
    by_bob = policy.of_key(BOB.public, "bob.pub")
    assert problems(sealed, by_bob) == ()
    (problem,) = problems(sealed, Policy(by_bob.keys, everybody=True, what="policy.toml", log=True))
    assert problem.startswith("policy.toml requires a log, and none of its keys signed the one in")


def test_an_expired_seal_and_a_clock_in_the_past(sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock(), expires=clock() + timedelta(days=30))
    assert problems(sealed) == ()
    assert "counted until" in problems(sealed, now=clock() + timedelta(days=31))[0]
    assert "one clock is wrong" in problems(sealed, now=clock() - timedelta(days=31))[0]


def resealed(sealed: Seal) -> None:
    """Somebody without the key seals changed data again."""
    kept = [sealed.folder / name for name in ("envelope.json", "log")]
    held = sealed.folder.parent / "held"
    held.mkdir()
    for path in kept:
        path.rename(held / path.name)
    data = sealed.folder.with_name("data")
    (data / "set.jsonl").write_text('{"text": "evil", "label": "1"}\n', encoding="utf-8")
    seal(data, replace=True)
    for path in kept:
        (held / path.name).rename(path)


def edited(sealed: Seal) -> None:
    path = sealed.folder / "envelope.json"
    document = json.loads(path.read_bytes())
    found = strict.parse(dsse.read(path.read_bytes(), "it").payload, "it")
    other = Facts(**{**vars(found), "samples": 8})
    document["payload"] = dsse.Envelope(strict.statement(other), dsse.IN_TOTO, ()).document()["payload"]
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (resealed, "statement.json is not the seal that was signed"),
        (edited, "it is not signed with the key alice.pub"),
        (
            lambda sealed: (sealed.folder / "log" / "tile" / "entries" / "000.p" / "1").write_bytes(b"\0\1x"),
            "entry 0 is not the one",
        ),
        (lambda sealed: (sealed.folder / "log" / "tile" / "0" / "000.p" / "1").write_bytes(bytes(31)), "has 31 bytes, not 32"),
        (lambda sealed: shutil.rmtree(sealed.folder / "log" / "tile"), "is missing"),
    ],
)
def test_what_was_changed_is_said(change: Callable[[Seal], object], message: str, sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock())
    change(sealed)
    assert any(message in problem for problem in problems(sealed)), problems(sealed)


def test_a_log_that_is_gone(sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock())
    shutil.rmtree(sealed.folder / "log")
    assert problems(sealed) == ()
    asked = Policy(BY_ALICE.keys, everybody=True, what="policy.toml", log=True)
    assert "policy.toml requires a log, and there is none" in problems(sealed, asked)[0]


def test_a_log_of_another_seal(sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock())
    shutil.rmtree(sealed.folder / "log")
    Log(sealed.folder / "log").append([b'{"seal": "another"}'], ALICE)
    assert problems(sealed) == ("the log has no entry for this seal",)


def test_the_signature_of_another_seal_is_not_built_on(sealed: Seal) -> None:
    sign.sign_seal(sealed, [ALICE], now=clock())
    resealed(sealed)
    with pytest.raises(BadInput, match="is around another seal than statement.json"):
        sign.sign_seal(read_seal(sealed.folder), [BOB], now=clock())


def test_statements_of_others_are_not_signed(sealed: Seal) -> None:
    with pytest.raises(BadInput, match="is not the statement of a seal"):
        sign.sign(b'{"_type": "https://in-toto.io/Statement/v1"}', [ALICE])
    newer = {"predicateType": "urn:untaint:seal:v2"}
    with pytest.raises(BadInput, match="is of version 'v2', this release reads v1"):
        strict.parse(json.dumps(newer).encode(), "it")
    other = dsse.sign(b"{}", [ALICE], type="text/plain")
    with pytest.raises(BadInput, match="an envelope around 'text/plain'"):
        sign.verify(other.dump(), BY_ALICE, now=clock())
    (sealed.folder / "envelope.json").write_bytes(b" " * (1 << 21))
    with pytest.raises(BadInput, match="is larger than 1,048,576 bytes"):
        problems(sealed)


FACTS = Facts(bytes(32), "data", bytes(32), bytes(32), 1, 2, 3, datetime(2026, 11, 27, tzinfo=UTC))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"count":"1"', b'"count":1', "samples.count"),
        (b'"count":"1"', b'"count":"01"', "samples.count"),
        (b'"count":"1"', b'"count":"-1"', "samples.count"),
        (b"2026-11-27", b"2026-02-30", "day is out of range"),
        (b"2026-11-27T00:00:00Z", b"2026-11-27", "created"),
        (b"untaint.leaf/v1", b"untaint.leaf/v2", "samples.leaf"),
        (b"0" * 64, b"0" * 63, "digest.sha256|samples.root|identity"),
        (b'"name":"data"', b'"name":"data","more":1', "more"),
    ],
)
def test_bad_statements(old: bytes, new: bytes, message: str) -> None:
    content = strict.statement(FACTS)
    assert old in content
    with pytest.raises(BadInput, match=message):
        strict.parse(content.replace(old, new), "it")


def table(*rows: tuple[str, str, str | None, bytes | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"name": name, "raw": None, "kind": kind, "size": 1, "mode": 0o644, "target": target, "sha256": digest}
            for name, kind, target, digest in rows
        ],
        schema=pa.schema(
            [(name, pa.string()) for name in ("name", "kind", "target")]
            + [("raw", pa.binary()), ("size", pa.int64()), ("mode", pa.int32()), ("sha256", pa.binary(32))]
        ),
    )


A, B = bytes(31) + b"a", bytes(31) + b"b"
TWO = table(("a", "file", None, A), ("b", "file", None, B))


@pytest.mark.parametrize(
    "other",
    [
        table(("a", "file", None, B), ("b", "file", None, A)),
        table(("a", "file", None, A), ("c", "file", None, B)),
        table(("a", "file", None, A), ("b", "file", None, B), ("c", "folder", None, None)),
        table(("a", "file", None, A), ("b", "link", "a", None)),
        table(("a", "file", None, A)),
        table(("a4:file", "file", None, A), ("b", "file", None, B)),
        TWO.set_column(5, "mode", pa.array([0o644, 0o755], pa.int32())) if TWO.column_names[5] == "mode" else TWO.slice(1),
    ],
)
def test_the_identity_of_a_set(other: pa.Table) -> None:
    identity = strict.listing_digest(strict.rows_of_table(TWO))
    assert strict.listing_digest(strict.rows_of_table(other)) != identity


def test_the_identity_is_that_of_the_folder(sealed: Seal, data: Path) -> None:
    (data / "loop").symlink_to("loop")
    (data / "empty").mkdir()
    again = seal(data, replace=True)
    identity = strict.listing_digest(strict.rows_of_table(again.files()))
    assert strict.listing_digest(strict.rows_of_folder(data)) == identity
    shutil.copytree(data, data.with_name("copy"), symlinks=True)
    assert strict.listing_digest(strict.rows_of_folder(data.with_name("copy"))) == identity
    (data / "loop").unlink()
    assert strict.listing_digest(strict.rows_of_folder(data)) != identity


def test_the_order_is_that_of_the_listing(tmp_path: Path) -> None:
    for name in ("a/b", "a-b", "a.txt", "B/c", "a/\U0001f600", "a/\uffff"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name, encoding="utf-8")
    Path(os.fsdecode(os.fsencode(tmp_path / "data" / "a") + b"/\xff")).write_text("odd", encoding="utf-8")
    rows = list(strict.rows_of_table(seal(tmp_path / "data").files()))
    assert rows == list(strict.rows_of_folder(tmp_path / "data"))
    names = [row.name + (b"/" if row.kind == "folder" else b"") for row in rows]
    assert names[:4] == [b"B/", b"B/c", b"a-b", b"a.txt"]


def test_what_a_bundle_may_list(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("a", "file", None, A), ("sub", "folder", None, None), ("sub/l", "link", "../a", None), ("d", "link", "sub", None)]
    found = oms_names.manifest(table(*rows, (".git/x", "file", None, B)), "data", whole=False)
    assert isinstance(found, oms.Manifest)
    assert [(resource.name, resource.digest) for resource in found.resources] == [("a", A), ("sub/l", A)]
    assert found.allow_symlinks
    for target in ("../../a", "/a", "none", "l", "../sub/l"):
        said = oms_names.manifest(table(("a", "file", None, A), ("sub/l", "link", target, None)), "data", whole=False)
        assert said == "the link 'sub/l' leads to nothing that was sealed"
    assert oms_names.manifest(table(("p", "other", None, None)), "x", whole=False) == "'p' is neither file nor folder"
    assert oms_names.manifest(table((".git/x", "file", None, B)), "x", whole=False) == "there is no file that it could list"
    single = oms_names.manifest(table(("a", "file", None, A)), "a", whole=True)
    assert isinstance(single, oms.Manifest)
    assert [resource.name for resource in single.resources] == [oms.WHOLE]
    monkeypatch.setattr(oms_names, "MOST", 1)
    assert oms_names.manifest(TWO, "x", whole=False) == "there are more than 1 files"


WATCHED: list[list[str]] = []


def watch(event: str, _arguments: object) -> None:
    """The interpreter reports every socket here, whoever opens it; a hook cannot be taken away again, so it looks whether it is asked."""
    if WATCHED and event.startswith("socket."):
        WATCHED[-1].append(event)


def test_no_socket_is_opened(data: Path, tmp_path: Path) -> None:
    """From making a key to verifying."""
    sys.addaudithook(watch)
    WATCHED.append([])
    try:
        keys.new(tmp_path / "k.pem", password=None)
        sealed = seal(data)
        sign.sign_seal(sealed, [keys.load_private(tmp_path / "k.pem")], now=clock(), data=data)
        assert problems(sealed, policy.of_key(keys.load_public(tmp_path / "k.pub"), "k")) == ()
        assert WATCHED[-1] == []
        socket.socket().close()
        assert WATCHED[-1] == ["socket.__new__"]  # the watch is awake
    finally:
        WATCHED.clear()
