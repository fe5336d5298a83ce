"""OpenSSF Model Signing v1.0 bundles: what `model_signing` writes and reads, written and read here without it.

A bundle is a Sigstore bundle around a DSSE envelope around an in-toto statement that lists files and their digests. The
format leaves things out, by design: git's own files, sizes and modes, and in shards empty files. `strict` closes that.
Source: OpenSSF model signing specification v1.0; model_signing 1.1.1.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from untaint.errors import BadInput
from untaint.provenance import dsse, json_text
from untaint.provenance.keys import PrivateKey, PublicKey

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
"""Never covered by the format: its verifiers leave them out whatever a bundle says."""
WHOLE = "."
"""Name of the one resource where a single file is signed."""

Hash: TypeAlias = Literal["sha256", "blake2b", "blake3"]
_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64,128}$")]


@final
@dataclass(frozen=True)
class Resource:
    """A file, or a part of one.  name: relative, with `/`.  end: first byte after it, None = the whole file."""

    name: str
    digest: bytes
    start: int = 0
    end: int | None = None


@final
@dataclass(frozen=True)
class Manifest:
    """What a bundle says.  ignored: paths that the signer left out, apart from git's own.  root: SHA-256 over all digests."""

    name: str
    resources: tuple[Resource, ...]
    hash: Hash = "sha256"
    allow_symlinks: bool = False
    ignored: tuple[str, ...] = ()
    shards: bool = False

    @property
    def root(self) -> str:
        """The digest by which other documents refer to this set: over digests in order, so names are not in it."""
        return hashlib.sha256(b"".join(resource.digest for resource in self.resources)).hexdigest()


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Resource(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)  # the one place where the format lets others add fields
    name: Annotated[str, Field(min_length=1)]
    digest: _Hex
    algorithm: str


class _Serialization(_Part):
    method: Literal["files", "shards"]
    hash_type: Hash
    allow_symlinks: bool
    shard_size: Annotated[int | float, Field(ge=1)] | None = None  # model_signing writes 1000000000.0
    ignore_paths: list[str] = []


class _Predicate(_Part):
    serialization: _Serialization
    resources: Annotated[list[_Resource], Field(min_length=1)]


class _Subject(_Part):
    name: str
    digest: Annotated[dict[str, _Hex], Field(min_length=1)]


class _Statement(_Part):
    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[list[_Subject], Field(min_length=1, max_length=1)]
    predicate_type: Annotated[Literal["https://model_signing/signature/v1.0"], Field(alias="predicateType")]
    predicate: _Predicate


def covered(name: str) -> bool:
    """Whether the format can cover a file of this name: not git's own, and text (no lone surrogates)."""
    return name.split("/", 1)[0] not in GIT_PATHS and _is_text(name)


def statement(manifest: Manifest) -> bytes:
    """The in-toto statement of whole files, the same bytes every time.

    Raises BadInput when nothing is listed, a name is listed twice or leads outside, or the manifest is of shards, which we
    read but do not write: verifiers stumble over file names with a colon, and nothing signs empty files.
    """
    if manifest.shards:
        raise BadInput("bundles are written of whole files, not of shards.", advice="List each file once.")
    ordered = sorted(manifest.resources, key=lambda resource: resource.name)
    whole = Manifest(manifest.name, tuple(ordered), manifest.hash, manifest.allow_symlinks, manifest.ignored)
    _check_names(whole, "the list of files")
    document = {
        "_type": STATEMENT,
        "subject": [{"name": whole.name, "digest": {"sha256": whole.root}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": whole.hash,
                "allow_symlinks": whole.allow_symlinks,
                "ignore_paths": sorted({*whole.ignored, *GIT_PATHS}),
            },
            "resources": [
                {"name": resource.name, "digest": resource.digest.hex(), "algorithm": whole.hash} for resource in whole.resources
            ],
        },
    }
    return json_text.canonical(document)


def sign(manifest: Manifest, key: PrivateKey) -> bytes:
    """A bundle signed with one key. Raises BadInput for a key that is not on a P curve: the format has no other."""
    if not key.public.kind.startswith("p"):
        advice = "Give a P-256 key as well (`untaint key new`), or do without a bundle: our own envelope takes any key."
        raise BadInput(f"an OpenSSF model signing bundle cannot be signed with a key of kind {key.public.kind}.", advice=advice)
    payload = statement(manifest)
    signature = key.sign(dsse.pae(dsse.IN_TOTO, payload))
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.public.fingerprint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": dsse.IN_TOTO,
            "signatures": [{"sig": base64.b64encode(signature).decode("ascii"), "keyid": ""}],
        },
    }
    return json_text.canonical(document) + b"\n"


def verify(bundle: bytes, keys: Sequence[PublicKey], what: str) -> Manifest | None:
    """What a bundle says, if one of these keys signed it; None when none of them did.

    what: how errors call the bundle. Raises BadInput when it is malformed, of another version, signed by certificate
    (see `keyless`), inconsistent in itself, or names files outside the root.
    """
    envelope, hint = read(bundle, what)
    hinted = [key for key in keys if hint in ("", key.fingerprint)]  # a hint that fits no key is a wrong key
    return parse(envelope, what) if envelope.signers(hinted) else None


def read(bundle: bytes, what: str) -> tuple[dsse.Envelope, str]:
    """The envelope in a bundle, and the fingerprint of the key that is said to have signed it, if any. Nothing is verified."""
    document = json_text.parse(bundle, what)
    if document.get("mediaType") != MEDIA_TYPE:  # before anything else is said of it
        raise _bad(what, f"it is of type {document.get('mediaType')!r}, this release reads {MEDIA_TYPE}")
    match document.get("verificationMaterial"):
        case {"publicKey": {"hint": str(hint)}}:
            pass
        case {"publicKey": dict()}:
            hint = ""
        case {"certificate": _}:
            raise _bad(what, "it is signed by certificate, not by key. Verify it with --identity and --issuer")
        case {"x509CertificateChain": _}:
            raise _bad(what, "it is signed by certificate, not by key. Verify it with --roots and --identity")
        case _:
            raise _bad(what, "it does not say how to verify it")
    return envelope_in(document, what), hint


def envelope_in(document: Mapping[str, Any], what: str) -> dsse.Envelope:
    """The envelope of a bundle, whatever it is verified by. Raises BadInput."""
    if document.get("mediaType") != MEDIA_TYPE:
        raise _bad(what, f"it is of type {document.get('mediaType')!r}, this release reads {MEDIA_TYPE}")
    if unknown := document.keys() - {"mediaType", "verificationMaterial", "dsseEnvelope"}:
        raise _bad(what, f"it has the unknown field {min(unknown)!r}")
    envelope = dsse.parse(document.get("dsseEnvelope"), what)
    if len(envelope.signatures) != 1:
        raise _bad(what, f"it has {len(envelope.signatures)} signatures, and the format has one")
    return envelope


def parse(envelope: dsse.Envelope, what: str) -> Manifest:
    """The manifest in an envelope whose signature has been verified. Raises BadInput."""
    if envelope.type != dsse.IN_TOTO:
        raise _bad(what, f"its payload is of type {envelope.type!r}")
    document = json_text.parse(envelope.payload, f"the statement in {what}")
    if document.get("predicateType") != PREDICATE:
        raise _bad(what, f"its predicate is {document.get('predicateType')!r}, this release reads {PREDICATE}")
    try:
        found = _Statement.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(what, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    manifest = _manifest(found, what)
    _check_names(manifest, what)
    if manifest.root != found.subject[0].digest.get("sha256"):
        raise _bad(what, "its digests do not add up to the digest of the whole")
    return manifest


def _manifest(found: _Statement, what: str) -> Manifest:
    how = found.predicate.serialization
    algorithms = {resource.algorithm for resource in found.predicate.resources}
    sharded = how.method == "shards"
    if sharded and how.shard_size is None:
        raise _bad(what, "it is of shards, and does not say of which size")
    expected = {how.hash_type} | ({f"{how.hash_type}-sharded-{int(how.shard_size or 0)}"} if sharded else set())
    if not algorithms <= expected:
        raise _bad(what, f"its digests are {', '.join(sorted(algorithms))}, and it says {how.hash_type}")
    resources = tuple(_resource(resource, sharded, what) for resource in found.predicate.resources)
    ignored = tuple(path for path in how.ignore_paths if path not in GIT_PATHS)
    return Manifest(found.subject[0].name, resources, how.hash_type, how.allow_symlinks, ignored, sharded)


def _resource(found: _Resource, sharded: bool, what: str) -> Resource:
    digest = bytes.fromhex(found.digest)
    if not sharded:
        return Resource(found.name, digest)
    name, *ends = found.name.rsplit(":", 2)  # a file name may have colons of its own
    if len(ends) != 2 or not all(end.isascii() and end.isdigit() for end in ends) or int(ends[0]) >= int(ends[1]):
        raise _bad(what, f"the shard {found.name!r} does not say from which byte to which")
    return Resource(name, digest, int(ends[0]), int(ends[1]))


def _check_names(manifest: Manifest, what: str) -> None:
    if not manifest.resources:
        raise _bad(what, "it lists no file, and the format needs at least one")
    keys = [(resource.name, resource.start) for resource in manifest.resources]
    if len(set(keys)) < len(keys):
        raise _bad(what, f"it lists {min(key for key in set(keys) if keys.count(key) > 1)[0]!r} twice")
    for name in (resource.name for resource in manifest.resources):
        alone = name == WHOLE and len({resource.name for resource in manifest.resources}) == 1
        if not alone and not inside(name):
            raise _bad(what, f"the name {name!r} leads outside the folder, or is no path")


def inside(name: str) -> bool:
    """Whether a name stays in its folder: relative, no empty, `.` or `..` part, no NUL, text."""
    return _is_text(name) and "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _bad(what: str, why: str) -> BadInput:
    return BadInput(
        f"{what} is not an OpenSSF model signing bundle that can be used: {why}.", advice="Get it again, or sign again."
    )
