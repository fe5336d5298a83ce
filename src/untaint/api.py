"""One short function per verb. Everything the command line does can be done from here."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Unpack

from untaint.attacks.base import PACKAGE as ATTACKS
from untaint.attacks.base import Attack, Poisoned
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data import load as reading
from untaint.data import schema as schemas
from untaint.data.dataset import Dataset
from untaint.data.readers.base import Asked
from untaint.data.schema import Schema
from untaint.data.writers.edits import write_edited
from untaint.data.writers.parquet import write_dataset
from untaint.errors import BadInput, CannotWrite
from untaint.evidence.finding import AuditResult
from untaint.features.settings import Budget
from untaint.provenance import dsse, keys, log_proof, oms_check, trace_store, training
from untaint.provenance import seal as sealing
from untaint.provenance import sign as signing
from untaint.provenance import verify as verifying
from untaint.provenance.beside import Beside
from untaint.provenance.croissant import read_croissant
from untaint.provenance.joined import Joined, advised, joined
from untaint.provenance.keyless import Identity
from untaint.provenance.keys import Kind, PrivateKey, PublicKey
from untaint.provenance.log import Checked as CheckedLog
from untaint.provenance.log import Log, found_in, record
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
from untaint.provenance.witness import Witness
from untaint.provenance.x509_chain import Roots
from untaint.quarantine.hold import Held, hold
from untaint.quarantine.impute import Impute
from untaint.quarantine.restore import Restored
from untaint.quarantine.restore import restore as put_back
from untaint.registry import build
from untaint.report import folder, traced
from untaint.report.base import Report
from untaint.report.described import Described, Terms, exports

CACHE = "cache"
"""Folder inside an audit folder that keeps costly features, so that a stopped audit resumes."""


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


def load(
    data: object,
    *,
    label: str | None = None,
    source: str | None = None,
    payload: str | None = None,
    time: str | None = None,
    table: str | None = None,
    query: str | None = None,
    format: str | None = None,
) -> Dataset:
    """A data set from a local path or a Python object. See `untaint list formats`.

    label, source, payload, time: names of columns, None = find them.  table: of a database.  query: SQL that makes the rows.
    """
    asked = {"label": label, "source": source, "payload": payload, "time": time, "table": table, "query": query, "format": format}
    return data if isinstance(data, Dataset) else reading.load(data, **asked)


def audit(
    data: object,
    *,
    label: str | None = None,
    source: str | None = None,
    payload: str | None = None,
    time: str | None = None,
    table: str | None = None,
    query: str | None = None,
    out: str | Path | None = None,
    alpha: float = 0.01,
    budget: Budget = "standard",
    seed: int = 0,
    model: Any = None,
    encoder: Any = None,
    fluency: Any = None,
    rounds: int | None = None,
    schema: str | Path | None = None,
    seal: str | Path | None = None,
    progress: Any = None,
) -> AuditResult:
    """Look for poison in a data set. out: folder for the report and resumable work, None = keep nothing on disk.

    data: a path, or what a program holds: a frame of pandas or polars, an Arrow table, a relation of DuckDB, arrays and others.
    label, source, payload, time: names of columns, None = find them.  table: of a database.  query: SQL that makes the rows.
    alpha: false-alarm rate per audit.  model: safetensors path or torch module to use in place of the house proxy.
    encoder: `efficientnet-lite0`, an .onnx path, `module:factory`, a torch module or a function, to judge what images show; for
    texts `all-minilm-l6-v2`, an .onnx path, `module:factory`, a function or an object with `encode`.
    fluency: `smollm2-135m`, a folder, `module:factory` or a function: a language model that is asked about triggers in texts.
    rounds: how often to look at most, each time without what was accused before; None = 3, on budget `fast` 1.
    schema: of tables, a file that `schema` wrote; rows that break it are told and not judged.
    seal: folder, None = the one beside the data, if any; sources and times that the data lack are taken from it.
    Raises BadInput for unusable data, NothingChecked when no detector could run, CannotWrite for the folder.
    """
    dataset = load(data, label=label, source=source, payload=payload, time=time, table=table, query=query)
    target = None if out is None else _spared(writable(Path(out), dataset.location), dataset.location)
    extra = {} if progress is None else {"report_progress": progress}
    if schema is not None:
        dataset = schemas.checked(dataset, schemas.read(Path(schema)), progress or _quiet)
    vouched = _vouched(dataset, _path(seal))
    dataset = dataset if vouched is None else vouched.dataset
    cache = None if target is None else target / CACHE
    chosen = Path(model) if isinstance(model, str) else model
    settings = AuditSettings(
        alpha=alpha,
        budget=budget,
        seed=seed,
        model=chosen,
        encoder=encoder,
        fluency=fluency,
        cache=cache,
        rounds=rounds,
        **extra,
    )
    result = run(dataset, settings)
    if vouched is not None:
        result = replace(
            result, verdict=advised(result.verdict, vouched), dataset={**result.dataset, "seal": dict(vouched.facts)}
        )
    if target is not None:
        folder.write(result, dataset, target)
    return result


def _vouched(dataset: Dataset, seal: Path | None) -> Joined | None:
    """A data set joined with its seal. seal: its folder, None = the one beside the data; one that is damaged is told, not used."""
    if seal is not None:
        return joined(dataset, read_seal(seal))
    if dataset.location is None or not (beside := folder_for(dataset.location)).is_dir():
        return None
    try:
        return joined(dataset, read_seal(beside))
    except BadInput as error:
        note = f"the seal in {beside} was not used: {error}"
        return Joined(replace(dataset, notes=(*dataset.notes, note)), {"problem": str(error)}, None)


def schema(data: object, *, out: str | Path | None = None, progress: Any = None, **columns: str | None) -> Schema:
    """What the columns of a table may hold, inferred from data. out: file to write it to, for `audit(…, schema=FILE)`.

    Raises BadInput for data that are no table, CannotWrite for the file.
    """
    found = schemas.infer(load(data, **columns), progress or _quiet)
    if out is not None:
        try:
            with Path(out).open("x", encoding="utf-8") as file:
                file.write(found.text())
        except FileExistsError as error:
            raise CannotWrite(f"{out} is there already.", advice="Name a new file with --out.") from error
        except OSError as error:
            raise CannotWrite(f"cannot write to {out}: {error.strerror or error}.", advice="Name another file.") from error
    return found


def clean(
    data: object,
    *,
    audit: str | Path,
    out: str | Path,
    release: Collection[str] = (),
    impute: Impute = "none",
    key: PrivateKey | None = None,
    **columns: str | None,
) -> Held:
    """Write `out/clean` and `out/quarantine` from a data set and the folder of its audit; the input is never touched.

    impute: of a table, `robust` also writes `out/imputed`, the clean rows with cells that hold no usable value filled: with the
    median of numbers, the most frequent of words. Every one is in the ledger.
    key: of the log in the seal beside the data, which then says what was set aside; the seal must be there. Asked for before anything
    is written: BadInput where there is none.
    """
    report = folder.read(Path(audit))
    dataset = load(data, **columns)
    kept = None if key is None else _log_of(dataset)
    held = hold(dataset, report.samples, Path(out), release=release, audit=Path(audit), impute=impute)
    if key is not None and kept is not None:
        record(kept, traced.cleaned(held, Path(audit)), key, now=datetime.now(UTC))
    return held


def _log_of(dataset: Dataset) -> Log:
    """The log of the seal beside data. Raises BadInput when there is no such seal."""
    if dataset.location is None:
        raise BadInput("data that lie in no file have no seal, so nothing can be logged.", advice="Leave the key out.")
    return Log(read_seal(folder_for(dataset.location)).folder / signing.LOG)


def restore(out: str | Path, ids: Sequence[str]) -> Restored:
    """Move samples of a cleaned folder back from quarantine: ids, `row:N`, a finding such as `F1`, or `all`.

    Of rows that are not in quarantine, and with `cells` of all, cells that were filled are put back as they were.
    """
    return put_back(Path(out), ids)


def report(audit: str | Path) -> Report:
    """Read an audit folder."""
    return folder.read(Path(audit))


def attack(data: object, name: str, *, seed: int = 0, **parameters: object) -> Poisoned:
    """Poison a copy of a data set, ground truth included. name: an attack's id or spec, `badnets(rate=0.01)`."""
    if seed < 0:
        raise BadInput(f"a seed is a whole number of at least 0, not {seed}.")
    chosen: Attack = build(Attack, ATTACKS, name, **parameters)  # type: ignore[type-abstract]
    return chosen.poison(load(data), np.random.default_rng(seed))


def write_poisoned(poisoned: Poisoned, out: str | Path, description: str) -> Path:
    """Write a poisoned set with its truth: `data/`, `truth.parquet` (row, id, poisoned, cover), `attack.json`.

    A table keeps its format, its columns and their types, where they hold what was planted; all else is written as `data/data.parquet`.
    """
    target = writable(Path(out), poisoned.dataset.location)
    if any(target.iterdir()):
        raise CannotWrite(f"{target} is not empty.", advice="Name a new folder with --out.")
    everything = np.arange(len(poisoned.dataset))
    if poisoned.dataset.modality == "table":
        written = write_edited(poisoned.dataset, poisoned.mask | poisoned.covers, target / "data")
    else:
        written = write_dataset(poisoned.dataset, everything, target / "data")
    truth = {"row": everything, "id": poisoned.dataset.ids, "poisoned": poisoned.mask, "cover": poisoned.covers}
    pq.write_table(pa.table(truth), target / "truth.parquet")
    counts = {"n": len(everything), "n_poisoned": int(poisoned.mask.sum()), "n_covers": int(poisoned.covers.sum())}
    facts = {"attack": description, "target": poisoned.target, "source": poisoned.source, **counts}
    (target / "attack.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return written


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


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


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


def writable(out: Path, data: Path | None) -> Path:
    """The folder, made if need be. Raises CannotWrite when it cannot be, BadInput when it lies in the data or is the data."""
    if data is not None and (out.resolve() == data.resolve() or (data.is_dir() and data.resolve() in out.resolve().parents)):
        raise BadInput(f"the output folder {out} lies inside the data.", advice="Name a folder elsewhere with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".untaint-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotWrite(
            f"cannot write to {out}: {error.strerror or error}.", advice="Choose another folder with --out."
        ) from error
    return out


def _spared(out: Path, data: Path | None) -> Path:
    """The folder of an audit. Raises BadInput when writing the report would replace the data."""
    names = {folder.AUDIT, folder.SAMPLES, folder.PICTURES, *(renderer.file for renderer in folder.renderers().values())}
    if data is not None and data.name in names and data.resolve().parent == out.resolve():
        raise BadInput(f"the report would replace the data, {data}.", advice="Name another folder with --out.")
    return out


__all__ = [
    "Ask",
    "Identity",
    "Inputs",
    "Point",
    "Witness",
    "attack",
    "attest",
    "audit",
    "check_attestations",
    "check_bundle",
    "check_log",
    "check_signatures",
    "checker",
    "clean",
    "load",
    "log",
    "new_key",
    "prove_entry",
    "public_key",
    "report",
    "restore",
    "schema",
    "seal",
    "seal_init",
    "sign",
    "source_risks",
    "verify",
    "writable",
    "write_poisoned",
]
