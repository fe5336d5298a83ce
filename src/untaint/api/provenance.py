"""What vouches for data and models: seals, signatures, logs, attestations, traces."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import Unpack

from untaint.data.readers.base import Asked
from untaint.errors import BadInput
from untaint.provenance import dsse, keys, log_proof, oms_check, trace_store, training
from untaint.provenance import seal as sealing
from untaint.provenance import sign as signing
from untaint.provenance import verify as verifying
from untaint.provenance.beside import Beside
from untaint.provenance.croissant import read_croissant
from untaint.provenance.keyless import Identity
from untaint.provenance.keys import Kind, PrivateKey, PublicKey
from untaint.provenance.log import Checked as CheckedLog
from untaint.provenance.log import Log, found_in
from untaint.provenance.oms_check import Checked as CheckedBundle
from untaint.provenance.on_read import Checker
from untaint.provenance.policy import Decision, Policy
from untaint.provenance.sealed import Seal, folder_for, read_seal
from untaint.provenance.source_risk import Exposure, exposure
from untaint.provenance.spot import Ask
from untaint.provenance.trace import Answer, Tracer
from untaint.provenance.trace import Kind as TraceKind
from untaint.provenance.trace_signatures import Signatures
from untaint.provenance.training import Attested, Inputs, Point
from untaint.provenance.verify import Verified
from untaint.provenance.x509_chain import Roots
from untaint.report import folder, traced
from untaint.report.described import Described, Terms, exports


def seal(
    data: str | Path,
    *,
    out: str | Path | None = None,
    replace: bool = False,
    processes: int | None = 1,
    format: str | None = None,
    beside: Beside | None = None,
    **asked: Unpack[Asked],
) -> Seal:
    """Write down what data at a path are, sample by sample and file by file. out: folder, None = `DATA.untaint` beside the data.

    replace: keep an older seal in `earlier/` and make a new one.  processes: that share the work, None = one per core; with more than
    one a script needs `if __name__ == "__main__":`.  asked: label, source, payload, time, the names of columns.
    beside: what else it is to hold. Raises BadInput for data that cannot be read or a seal that is there, CannotWrite for the folder.
    """
    chosen = sealing.settings(processes, format, **asked)
    return sealing.seal(Path(data), _path(out), chosen, replace=replace, beside=beside or Beside())


def seal_init(
    data: str | Path,
    *,
    out: str | Path | None = None,
    format: str | None = None,
    croissant: str | Path | None = None,
    **asked: Unpack[Asked],
) -> Path:
    """Write a `sources.toml` to be filled in, with the source that a Croissant file describes. Raises CannotWrite when there is one."""
    described = None if croissant is None else read_croissant(Path(croissant))
    return sealing.init(Path(data), _path(out), sealing.settings(1, format, **asked), described)


def verify(
    data: str | Path, *, seal: str | Path | None = None, quick: bool = False, spot: Ask | None = None, processes: int | None = 1
) -> Verified:
    """Check data at a path against their seal. seal: its folder, None = beside the data.  processes: as for `seal`.

    quick: read only files whose size, times or inode changed.  spot: read only samples drawn at random, `Ask(confidence=.99, below=.001)`.
    What changed is in the result; BadInput is raised where there is no seal, or it is damaged itself.
    """
    tier: verifying.Tier = "quick" if quick else "full" if spot is None else "spot"
    return verifying.verify(Path(data), _path(seal), sealing.settings(processes), tier, spot)


def checker(seal: str | Path) -> Checker:
    """Checks samples against the seal in a folder while training reads them: see `untaint.provenance.wrapped`."""
    return Checker(read_seal(Path(seal)))


def source_risks(seal: str | Path, *, hits: Mapping[str, float] | None = None) -> Exposure:
    """How much trust sealed data place in each source, and the fewest domains that hold a share of them. hits: flagged shares by source."""
    found = read_seal(Path(seal))
    return exposure(found, verifying.sources_of(found), datetime.now(UTC).date(), hits)


def export(
    data: str | Path,
    format: str = "croissant",
    *,
    seal: str | Path | None = None,
    audit: str | Path | None = None,
    out: str | Path | None = None,
    terms: Terms | None = None,
) -> Path:
    """Describe sealed data in a format that other tools read; the file written. format: croissant, cyclonedx.

    seal: its folder, None = beside the data.  audit: folder of an audit of the same data.  out: file, None = in the seal's folder.
    terms: what no seal can know, such as a licence.
    Raises BadInput for an unknown format, a seal that is absent or damaged, or an audit of other data; CannotWrite for the file.
    """
    kinds = exports()
    if format not in kinds:
        raise BadInput(f"no export format is called {format!r}.", advice=f"One of: {', '.join(kinds)}.")
    whole = Path(data)
    found = read_seal(_path(seal) or folder_for(whole))
    told = None if audit is None else folder.read(Path(audit)).document
    if told is not None and told.n_samples != found.sealed.size:
        message = f"{audit} is an audit of {told.n_samples:,} samples, the seal is of {found.sealed.size:,}."
        raise BadInput(message, advice="Name the audit of the data that were sealed, or seal the data that were audited.")
    path = _path(out) or found.folder / kinds[format].file
    folder.write_text(path, kinds[format]().render(Described(found, whole, path.parent, told, terms or Terms())))
    return path


def trace(
    data: str | Path,
    what: str | None = None,
    *,
    kind: TraceKind | None = None,
    seal: str | Path | None = None,
    add: Sequence[str | Path] = (),
    store: str | Path | None = None,
    asked: Policy | None = None,
) -> Answer:
    """Where a sample, a source or a model comes from, what audits and people said of it, and every model that ate it.

    what: the beginning of an id, a place such as `train.jsonl:17`, a source, or a model; None = all that is entered.  seal: of the
    data, None = beside them.  add: folders of audits, of `clean` and of seals, and attestations, remembered from then on.
    store: file, None = `trace.duckdb` in the seal's folder.  asked: who must have signed seals and attestations, None = not checked.
    Raises BadInput for what is not known, MissingExtra without DuckDB.
    """
    own = read_seal(_path(seal) or folder_for(Path(data)))
    with trace_store.opened(_path(store) or own.folder / trace_store.FILE) as opened:
        traced.enter(opened, own.folder)
        for path in add:
            traced.enter(opened, Path(path))
        now = datetime.now(UTC)
        return Tracer(opened, now.date(), Signatures(asked, now)).answer(what, kind)


def new_key(path: str | Path, *, kind: Kind = "p256", password: bytes | None) -> PublicKey:
    """Make a key to sign with; its public half. kind: p256 or ed25519.  password: None = it is written without one."""
    return keys.new(Path(path), kind=kind, password=password).public


def public_key(path: str | Path) -> PublicKey:
    """The public half of a key, from either file. Raises BadInput for a private key without its public half beside it."""
    return keys.public_half(Path(path))


def sign(
    seal: str | Path, signers: Sequence[PrivateKey], *, data: str | Path | None = None, expires: datetime | None = None
) -> tuple[str, ...]:
    """Add signatures to a seal; notes for a person. data: what was sealed, for an OpenSSF bundle.  expires: last day it counts."""
    last = None if expires is None else expires.replace(hour=23, minute=59, second=59, tzinfo=UTC)
    whole = None if data is None else Path(data)
    return signing.sign_seal(read_seal(Path(seal)), signers, now=datetime.now(UTC), data=whole, expires=last)


def check_signatures(seal: str | Path, asked: Policy | Identity) -> Decision:
    """Who signed a seal, and whether that is enough. asked: `policy_file.read(file)`, `policy.of_key(key, name)`, or who by Sigstore."""
    found, now = read_seal(Path(seal)), datetime.now(UTC)
    if isinstance(asked, Identity):
        return signing.verify_keyless(found, asked, now=now)
    return signing.verify_seal(found, asked, now=now).decision


def check_bundle(
    data: str | Path, bundle: str | Path, *, public: Sequence[PublicKey] = (), who: Identity | Roots | None = None
) -> CheckedBundle:
    """Check data against an OpenSSF model signing bundle. public, who: who must have signed it, by key, Sigstore or certificate."""
    return oms_check.check_bundle(Path(data), Path(bundle), public, who)


def log(folder: str | Path) -> Log:
    """The log of a seal, or the one in this folder."""
    return found_in(Path(folder))


def check_log(
    folder: str | Path, key: str | Path, *, witnesses: Mapping[str, PublicKey] | None = None, least: int = 0
) -> CheckedLog:
    """Verify a log by its public key. least: how many of these witnesses must have countersigned."""
    return log(folder).check(public_key(key), witnesses or {}, least)


def prove_entry(folder: str | Path, entry: int, out: str | Path) -> None:
    """Write a proof that an entry is in a log, a `.tlog-proof` file."""
    Path(out).write_bytes(log_proof.prove(log(folder), entry).dump())


def attest(
    model: str | Path,
    signers: Sequence[PrivateKey],
    *,
    inputs: Inputs | None = None,
    point: Point | None = None,
    out: str | Path | None = None,
) -> Path:
    """Write a signed attestation of a checkpoint: what it was made of. out: None = `MODEL.attest.json` beside the model."""
    now, path = datetime.now(UTC), Path(model)
    envelope = training.attested(path, inputs or Inputs(), point or Point(), signers, now=now, tool=sealing.tool())
    return dsse.save(envelope, path, _path(out))


def check_attestations(model: str | Path | None, attestations: Sequence[str | Path], asked: Policy) -> Attested:
    """Check the attestations of a run, oldest first. model: that the newest is about, None = it is not at hand."""
    path = None if model is None else Path(model)
    return training.check(path, [Path(file) for file in attestations], asked, now=datetime.now(UTC))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
