"""Every parser that meets bytes from others, with a good example to start from: what hypothesis and `make fuzz` throw things at.

A parser may return or raise BadInput. Anything else is a bug.
"""

import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.sigstore_instance import NOW, Instance

from untaint.data.readers.base import Request
from untaint.data.readers.delimited import Layout
from untaint.data.roles import Roles
from untaint.errors import BadInput
from untaint.models.formats import contents
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Window
from untaint.provenance import (
    attest,
    croissant,
    dsse,
    json_text,
    keys,
    log_proof,
    notes,
    oms,
    pkcs8,
    policy_file,
    rdap,
    sealed,
    sources,
    strict,
    svr,
    x509_chain,
)
from untaint.provenance.attest import Material, Training
from untaint.provenance.certificates import certificate_of
from untaint.provenance.fetch import Reply
from untaint.provenance.log import Log
from untaint.provenance.log_proof import LogProof
from untaint.provenance.notes import Checkpoint
from untaint.provenance.pins import FolderPin, MetadataPin, Pin, Pins, WholePin, pins_in
from untaint.provenance.signature import nearness_of, signature_of

KEY = keys.generate("ed25519")
P256 = keys.generate("p256")
_NOTE = (
    Checkpoint("example.com/log", 3, bytes(32))
    .note()
    .signed("example.com/log", KEY)
    .seen("w1", KEY, datetime(2026, 1, 1, tzinfo=UTC))
)
_OMS = oms.Manifest("data", (oms.Resource("a", bytes(32)), oms.Resource("sub/b:1:2", bytes(32))))
_FACTS = strict.Facts(bytes(32), "data", bytes(32), bytes(32), 1, 2, 3, datetime(2026, 1, 1, tzinfo=UTC))
_TRAINING = Training(
    Material("model", {"sha256": "0" * 64}, {"path": "m"}),
    (Material("code", {"sha256": "0" * 64, "gitCommit": "0" * 40}, uri="git+https://example.com"),),
    "urn:x",
    "run",
    7,
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=UTC),
    {"seed": "7"},
    bytes(32),
)
_SEALED = sealed.Sealed("data", "2026-01-01T00:00:00+00:00", "00" * 32, 0, (), "00" * 32, 0, 0, "jsonl", "")
_SOURCES = (
    'schema = "untaint.sources/v1"\n[[source]]\nname = "a"\nkind = "scrape"\nhosts = ["*.example.org"]\nexpires = 2027-01-01\n'
)
_CROISSANT = (
    '{"@type": "sc:Dataset", "name": "a", "creator": {"name": "b"}, "distribution": [{"@type": "cr:FileObject", '
    '"contentUrl": "https://example.org/a.csv", "sha256": "00"}]}'
)
_POLICY = f"""schema = "untaint.policy/v1"
max_age_days = 30
[require]
vetter = 1
[[key]]
name = "a"
roles = ["vetter"]
expires = 2027-01-01
public = \"\"\"{KEY.public.pem.decode()}\"\"\"
"""


def _in_a_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def parse(content: bytes) -> object:
        with tempfile.NamedTemporaryFile(prefix="untaint-fuzz-") as file:
            file.write(content)
            file.flush()
            return read(Path(file.name))

    return parse


def _note(content: bytes) -> object:
    note = notes.read(content, "it")
    note.signed_by("example.com/log", KEY.public)
    note.seen_by("w1", KEY.public)
    assert notes.read(note.dump(), "it") == note
    return notes.checkpoint(note, "it")


def _envelope(content: bytes) -> object:
    envelope = dsse.read(content, "it")
    assert dsse.read(envelope.dump(), "it") == envelope
    return envelope.signers([KEY.public])


def _bundle(content: bytes) -> object:
    envelope, _ = oms.read(content, "it")
    return oms.verify(content, [P256.public], "it") or oms.parse(envelope, "it")


def _signed(content: bytes) -> object:
    """What follows when a signature does fit a payload that an attacker wrote."""
    return oms.parse(dsse.Envelope(content, dsse.IN_TOTO, ()), "it")


def _proof(content: bytes) -> object:
    return log_proof.read(content, "it").problems(b"entry", KEY.public, {"w1": KEY.public}, 1)


def _entries(content: bytes) -> object:
    """A log whose only file of entries has these bytes."""
    with tempfile.TemporaryDirectory(prefix="untaint-fuzz-") as folder:
        log = Log(Path(folder))
        log.publish(Checkpoint("example.com/log", 2, bytes(32)).note().signed("example.com/log", KEY))
        (log.folder / "tile" / "entries" / "000.p").mkdir(parents=True)
        (log.folder / "tile" / "entries" / "000.p" / "2").write_bytes(content)
        return list(log.entries())


def _registry(content: bytes) -> object:
    """What a registry, or the list of them, may answer."""
    boot = b'{"services": [[["org"], ["https://r.test/"]]]}'
    asked = rdap.Registries(lambda url: Reply(url, status=200, body=boot if "boot" in url else content), "https://boot.test/")
    listed = rdap.Registries(lambda url: Reply(url, status=200, body=content), "https://boot.test/")
    return [found.registered("example.org") for found in (asked, listed)]


def _served(content: bytes) -> object:
    """A body that a server sent."""
    made = signature_of(content)
    return certificate_of(content), nearness_of(made, made)


_RECORD = {"text": "some words", "label": "a", "n": 3, "more": [1, None], "url": "https://a.org/1"}
_READING = json_text.canonical(
    Pins(
        Pin(
            Roles("text", "text", ("text",), "label", None, "by name"),
            url="url",
            layout=Layout(("text", "label"), ",", header=True),
        ),
        {"a.jsonl": None},
        FolderPin(False, {"": MetadataPin("metadata.csv", "label")}),
        WholePin("by name", "label", payload="text"),
    ).document()
)


def _reading(content: bytes) -> object:
    """Columns that a statement may name, and a record read by them."""
    found = pins_in(json_text.parse(content, "it"), "it")
    assert pins_in(found.document(), "it") == found
    pins = [found.every, *found.files.values()]
    return [pin.reading(None).sample(_RECORD) for pin in pins if pin is not None], found.again(Request())


def _model(content: bytes) -> object:
    """A model file of whatever format, and a file of its configuration."""
    found = Notes(contents.look)
    for name in ("model", "config.json", "config.yaml", "chat.jinja"):
        contents.look(Window.of(content), name, found, 0)
    assert not any(flaw.what.startswith(contents.FAULT) for flaw in found.flaws.values())
    return found.flaws


_RESULT = svr.Result(bytes(32), NOW, (svr.AS_SEALED,), (Material("policy.toml", {"sha256": "0" * 64}),), {"tier": "full"})
_INSTANCE = Instance()
_ROOTS = x509_chain.Roots((_INSTANCE.root,), "alice@example.com")
_CHAIN = json_text.canonical(
    {
        **json_text.parse(oms.sign(_OMS, P256), "it"),
        "verificationMaterial": {"x509CertificateChain": {"certificates": [{"rawBytes": _INSTANCE.root_bytes}]}},
    }
)

PARSERS: Mapping[str, tuple[Callable[[bytes], object], bytes]] = {
    "json": (lambda content: json_text.parse(content, "it"), b'{"a": [1, "b", null, {"c": 1.5e3}]}'),
    "envelope": (_envelope, dsse.sign(b"{}", [KEY, P256]).dump()),
    "bundle": (_bundle, oms.sign(_OMS, P256)),
    "bundle statement": (_signed, oms.statement(_OMS)),
    "strict statement": (lambda content: strict.statement(strict.parse(content, "it")), strict.statement(_FACTS)),
    "attestation": (lambda content: attest.statement(attest.parse(content, "it")), attest.statement(_TRAINING)),
    "statement": (lambda content: sealed.from_statement(content, "it").statement(), _SEALED.statement()),
    "note": (_note, _NOTE.dump()),
    "proof": (_proof, LogProof(1, (bytes(32), bytes(32)), _NOTE).dump()),
    "entries": (_entries, b"\x00\x03one\x00\x03two"),
    "policy": (_in_a_file(policy_file.read), _POLICY.encode()),
    "verification": (lambda content: svr.statement(svr.parse(content, "it")), svr.statement(_RESULT)),
    "reading": (_reading, _READING),
    "chain": (lambda content: x509_chain.verify(content, _ROOTS, "it", now=NOW), _CHAIN),
    "sources": (_in_a_file(sources.read_sources), _SOURCES.encode()),
    "croissant": (_in_a_file(croissant.read_croissant), _CROISSANT.encode()),
    "registry": (_registry, b'{"events": [{"eventAction": "registration", "eventDate": "2020-01-01T00:00:00Z"}]}'),
    "body": (_served, b"<html>a page</html>"),
    "model": (_model, b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00aK\x01u."),
    "public key": (lambda content: keys.parse_public(content, "it"), P256.public.pem),
    "private key": (_in_a_file(keys.load_private), pkcs8.pem("PRIVATE KEY", bytes(40))),
}


def survives(parse: Callable[[bytes], object], content: bytes) -> bool:
    """Whether the parser took it; False where it refused as it should. Anything else it raises comes through."""
    try:
        parse(content)
    except BadInput:
        return False
    return True
