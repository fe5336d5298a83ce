"""OpenSSF bundles: ours by our own reading of the format and by the reference implementation, theirs by ours."""

import base64
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from untaint.errors import BadInput
from untaint.provenance import dsse, keys, oms
from untaint.provenance.oms import Manifest, Resource
from untaint.provenance.oms_check import Checked, check

KEY, OTHER, ED = keys.generate("p256"), keys.generate("p256"), keys.generate("ed25519")
SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "oms-v1.0.schema.json").read_text(encoding="utf-8"))
NAMES = ("a.txt", "sub/b.bin", "sub/deep/c", "empty", "colon:1:2", "new\nline", "ünicode", "sub.txt", ".hidden")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if name == "empty" else name.encode() * 10)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_bytes(b"git")
    return folder


def digests(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).digest() for path in files}


def manifest(root: Path, **fields: Any) -> Manifest:
    listed = tuple(Resource(name, digest) for name, digest in digests(root).items() if oms.covered(name))
    return Manifest(root.name, listed, **fields)


def checked(root: Path, bundle: bytes | None = None) -> Checked:
    found = oms.verify(bundle or oms.sign(manifest(root), KEY), [KEY.public], "it")
    assert found is not None
    return check(root, found)


def statement(bundle: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))


def signed(document: object) -> bytes:
    """Any statement, signed all right."""
    payload = json.dumps(document).encode()
    bundle = json.loads(oms.sign(Manifest("x", (Resource("a", bytes(32)),)), KEY))
    bundle["dsseEnvelope"] = dsse.sign(payload, [KEY]).document()
    return json.dumps(bundle).encode()


def test_a_bundle_keeps_to_the_format(root: Path) -> None:
    bundle = oms.sign(manifest(root), KEY)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(bundle))
    inner = statement(bundle)
    jsonschema.Draft202012Validator({**SCHEMA, "$ref": "#/$defs/statement"}).validate(inner)
    names = [resource["name"] for resource in inner["predicate"]["resources"]]
    assert names == sorted(NAMES)
    raw = b"".join(bytes.fromhex(resource["digest"]) for resource in inner["predicate"]["resources"])
    assert inner["subject"] == [{"name": "data", "digest": {"sha256": hashlib.sha256(raw).hexdigest()}}]
    assert inner["predicate"]["serialization"]["ignore_paths"] == [".git", ".gitattributes", ".github", ".gitignore"]


def test_the_same_files_give_the_same_bundle(root: Path) -> None:
    turned = Manifest(root.name, manifest(root).resources[::-1], ignored=("b", "a"))
    assert oms.sign(turned, KEY) == oms.sign(manifest(root, ignored=("a", "b")), KEY)


def test_what_is_untouched_verifies(root: Path) -> None:
    assert checked(root) == Checked((), ("'.git' is not covered by the bundle",))


def test_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    bundle = oms.sign(Manifest("model.bin", (Resource(oms.WHOLE, hashlib.sha256(b"weights").digest()),)), KEY)
    assert checked(path, bundle) == Checked((), ())
    path.write_bytes(b"Weights")
    assert checked(path, bundle).problems == ("'model.bin' has changed",)


def added(root: Path) -> None:
    (root / "evil.py").write_text("", encoding="utf-8")


def swapped(root: Path) -> None:
    one, other = (root / "a.txt").read_bytes(), (root / "sub" / "b.bin").read_bytes()
    (root / "a.txt").write_bytes(other)
    (root / "sub" / "b.bin").write_bytes(one)


def piped(root: Path) -> None:
    (root / "a.txt").unlink()
    os.mkfifo(root / "a.txt")


def linked(root: Path) -> None:
    (root / "a.txt").rename(root.parent / "a.txt")
    (root / "a.txt").symlink_to(root.parent / "a.txt")


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (lambda root: (root / "a.txt").write_bytes(b"A.txt" * 10), ["'a.txt' has changed"]),
        (lambda root: (root / "a.txt").write_bytes(b"a.txt" * 9), ["'a.txt' has changed"]),
        (lambda root: (root / "empty").write_bytes(b" "), ["'empty' has changed"]),
        (lambda root: (root / "a.txt").unlink(), ["'a.txt' is missing"]),
        (lambda root: (root / "a.txt").rename(root / "b.txt"), ["'a.txt' is missing", "'b.txt' is not signed"]),
        (lambda root: (root / "new\nline").unlink(), ["'new\\nline' is missing"]),
        (added, ["'evil.py' is not signed"]),
        (swapped, ["'a.txt' has changed", "'sub/b.bin' has changed"]),
        (linked, ["'a.txt' is a link, and the signer allowed none"]),
        (lambda root: os.mkfifo(root / "pipe"), ["'pipe' is not signed"]),
        (piped, ["'a.txt' is no file"]),
        (lambda root: ((root / "a.txt").unlink(), (root / "a.txt").mkdir()), ["'a.txt' is missing"]),
        (lambda root: (root / "loop").symlink_to("."), ["'loop' is not signed"]),
    ],
)
def test_what_was_changed_is_said(root: Path, change: Callable[[Path], object], problems: Sequence[str]) -> None:
    bundle = oms.sign(manifest(root), KEY)
    change(root)
    assert list(checked(root, bundle).problems) == problems


def test_links_that_were_signed(root: Path) -> None:
    (root / "link").symlink_to("a.txt")
    bundle = oms.sign(manifest(root, allow_symlinks=True), KEY)
    assert checked(root, bundle).problems == ()
    (root.parent / "a.txt").write_bytes((root / "a.txt").read_bytes())
    (root / "link").unlink()
    (root / "link").symlink_to("../a.txt")
    assert checked(root, bundle).problems == ("'link' is a link that leads outside",)
    (root / "link").unlink()
    (root / "link").symlink_to("link")
    assert checked(root, bundle).problems == ("'link' is a link to no file",)


def test_a_wrong_key(root: Path) -> None:
    bundle = oms.sign(manifest(root), KEY)
    assert oms.verify(bundle, [OTHER.public, ED.public], "it") is None
    assert oms.verify(bundle, [], "it") is None
    assert oms.verify(bundle, [OTHER.public, KEY.public], "it") is not None
    with pytest.raises(BadInput, match="cannot be signed with a key of kind ed25519"):
        oms.sign(manifest(root), ED)


def test_a_bundle_that_was_edited(root: Path) -> None:
    document = json.loads(oms.sign(manifest(root), KEY))
    inner = statement(json.dumps(document).encode())
    inner["predicate"]["resources"].pop()
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(inner).encode()).decode()
    assert oms.verify(json.dumps(document).encode(), [KEY.public], "it") is None


def one(**fields: Any) -> dict[str, Any]:
    """A statement of one file, with parts of it changed."""
    digest = hashlib.sha256(b"").digest()
    document = {
        "_type": oms.STATEMENT,
        "subject": [{"name": "x", "digest": {"sha256": hashlib.sha256(digest).hexdigest()}}],
        "predicateType": oms.PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, **fields.pop("how", {})},
            "resources": [{"name": "a", "digest": digest.hex(), "algorithm": "sha256", **fields.pop("resource", {})}],
        },
    }
    return document | fields


def test_a_statement_of_others_is_read() -> None:
    found = oms.verify(
        signed(one(resource={"size": 0, "mediaType": "text/plain"}, how={"ignore_paths": ["x", ".git"]})), [KEY.public], "it"
    )
    assert found is not None
    assert found.ignored == ("x",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (one(resource={"name": "../a"}), "the name '../a' leads outside"),
        (one(resource={"name": "/etc/passwd"}), "leads outside"),
        (one(resource={"name": "a/../../b"}), "leads outside"),
        (one(resource={"name": "a//b"}), "leads outside"),
        (one(resource={"name": "a\0b"}), "leads outside"),
        (one(resource={"name": "\ud800"}), "predicate.resources.0.name"),
        (one(resource={"name": ".."}), "leads outside"),
        (one(resource={"name": ""}), "predicate.resources.0.name"),
        (one(resource={"digest": "00"}), "predicate.resources.0.digest"),
        (one(resource={"algorithm": "md5"}), "its digests are md5, and it says sha256"),
        (one(how={"method": "shards"}), "does not say of which size"),
        (one(how={"method": "shards", "shard_size": 5}, resource={"name": "a:5:2"}), "the shard 'a:5:2' does not say"),
        (one(how={"method": "shards", "shard_size": 5}, resource={"name": "a"}), "the shard 'a' does not say"),
        (one(how={"hash_type": "md5"}), "hash_type"),
        (one(how={"extra": 1}), "extra"),
        (one(subject=[]), "subject"),
        (one(subject=one()["subject"] * 2), "subject"),
        (one(subject=[{"name": "x", "digest": {"sha256": "0" * 64}}]), "do not add up"),
        (one(subject=[{"name": "x", "digest": {"blake2b": "0" * 64}}]), "do not add up"),
        (one(predicateType="https://model_signing/signature/v2.0"), "signature/v2.0', this release reads"),
        (one(predicateType=None), "its predicate is None"),
        (one(_type="https://in-toto.io/Statement/v0.1"), "_type"),
        (one(more=1), "more"),
        ([], "it is a list"),
    ],
)
def test_bad_statements(document: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        oms.verify(signed(document), [KEY.public], "it")


def test_a_name_listed_twice() -> None:
    document = one()
    document["predicate"]["resources"] *= 2
    with pytest.raises(BadInput, match="it lists 'a' twice"):
        oms.verify(signed(document), [KEY.public], "it")
    with pytest.raises(BadInput, match="lists no file"):
        oms.sign(Manifest("x", ()), KEY)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mediaType": "application/vnd.dev.sigstore.bundle.v0.2+json"}, "bundle.v0.2.json', this release reads"),
        ({"verificationMaterial": {"certificate": {"rawBytes": ""}}}, "signed by certificate"),
        ({"verificationMaterial": {"x509CertificateChain": {}}}, "signed by certificate"),
        ({"verificationMaterial": {}}, "does not say how to verify it"),
        ({"dsseEnvelope": None}, "must have `payload`"),
        ({"messageSignature": {}}, "unknown field 'messageSignature'"),
    ],
)
def test_bad_bundles(fields: dict[str, Any], message: str) -> None:
    document = json.loads(signed(one())) | fields
    with pytest.raises(BadInput, match=message):
        oms.verify(json.dumps(document).encode(), [KEY.public], "it")


def test_two_signatures_are_refused() -> None:
    document = json.loads(signed(one()))
    document["dsseEnvelope"]["signatures"] *= 2
    with pytest.raises(BadInput, match="it has 2 signatures, and the format has one"):
        oms.verify(json.dumps(document).encode(), [KEY.public], "it")


def key_files(folder: Path) -> tuple[Path, Path]:
    (folder / "k.pem").write_bytes(keys._pem(KEY, None))
    (folder / "k.pub").write_bytes(KEY.public.pem)
    return folder / "k.pem", folder / "k.pub"


def reference(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            f"model_signing.{name}", reason="model_signing with pyOpenSSL is not installed", exc_type=ImportError
        )


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_reference_implementation_accepts_ours(root: Path, tmp_path: Path) -> None:
    config = reference("verifying").Config().use_elliptic_key_verifier(public_key=key_files(tmp_path)[1])
    (tmp_path / "ours.sig").write_bytes(oms.sign(manifest(root), KEY))
    config.verify(root, tmp_path / "ours.sig")
    (root / "sub" / "b.bin").write_bytes(b"other")
    with pytest.raises(ValueError, match="sub/b.bin"):
        config.verify(root, tmp_path / "ours.sig")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("hash_type", ["sha256", "blake2", "blake3"])
@pytest.mark.parametrize("shards", [False, True])
def test_ours_accepts_the_reference_implementation(root: Path, tmp_path: Path, hash_type: str, shards: bool) -> None:
    """Its shards too, which it cannot verify itself: it writes their size as 7.0."""
    config, hashing = (
        reference("signing").Config().use_elliptic_key_signer(private_key=key_files(tmp_path)[0]),
        reference("hashing"),
    )
    if shards:
        how = hashing.Config().use_shard_serialization(hashing_algorithm=hash_type, shard_size=7)
    else:
        how = hashing.Config().use_file_serialization(hashing_algorithm=hash_type)
    config.set_hashing_config(how).sign(root, tmp_path / "theirs.sig")
    bundle = (tmp_path / "theirs.sig").read_bytes()
    sharded = shards and hash_type != "blake3"  # it does not cut for BLAKE3
    found = checked(root, bundle)
    assert found.problems == ()
    assert ("'empty' is empty, and a bundle of shards does not cover empty files" in found.notes) == sharded
    (root / "a.txt").write_bytes(b"a.txt" * 9 + b"a.txT")
    assert checked(root, bundle).problems == ("'a.txt' has changed",)
    (root / "a.txt").write_bytes(b"a.txt" * 10 + b"!")
    assert checked(root, bundle).problems == (f"'a.txt' {'is longer than what was signed' if sharded else 'has changed'}",)
