"""What goes into the trace: a seal, an audit's folder, the folder `clean` wrote, an attestation; each recognised by what it holds."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from untaint.errors import BadInput
from untaint.provenance import attest, dsse, json_text
from untaint.provenance.manifest import HASH
from untaint.provenance.on_read import SCHEMA, SCHEMA_KEY
from untaint.provenance.sealed import STATEMENT, read_seal
from untaint.provenance.trace_store import AuditEntry, LedgerEntry, Store
from untaint.quarantine import ledger
from untaint.quarantine.hold import Held
from untaint.report import folder
from untaint.report.wording import title

_LEDGER = "ledger.jsonl"
_MOST = 1 << 24
"""Bytes of an attestation."""


def enter(store: Store, path: Path) -> str:
    """Enter what is at a path; what it was, in a word. Raises BadInput for anything else."""
    if (path / STATEMENT).is_file():
        store.add_set(read_seal(path), _digest((path / STATEMENT).read_bytes()))
        return "seal"
    if (path / folder.AUDIT).is_file():
        store.add_audit(_audit(path))
        return "audit"
    if (path / _LEDGER).is_file():
        store.add_ledger(_ledger(path))
        return "quarantine"
    if path.is_file():
        return _consumed(store, path) if path.suffix == ".parquet" else _attestation(store, path)
    advice = "Name a DATA.untaint, a folder that `untaint audit` or `untaint clean` wrote, or an attestation."
    raise BadInput(f"{path} is nothing that can be traced.", advice=advice)


def cleaned(held: Held, audit: Path) -> Mapping[str, object]:
    """What a log says of a clean-up: the ledger as it began, the audit it acted on, how many samples went where."""
    return {
        "type": "clean",
        "ledger": _digest(held.ledger.read_bytes().partition(b"\n")[0]),
        "audit": _digest((audit / folder.AUDIT).read_bytes()),
        "clean": held.n_clean,
        "quarantine": held.n_held,
        "released": len(held.released),
    }


def _audit(path: Path) -> AuditEntry:
    report = folder.read(path)
    document, table = report.document, report.samples
    named = table.filter(pc.or_(pc.is_valid(table.column("finding")), table.column("flagged")))
    ids = pa.chunked_array([pa.array([bytes.fromhex(each) if each else None for each in named.column("id").to_pylist()], HASH)])
    judged = named.select(["row", "path", "flagged", "finding", "reason", "risk"]).add_column(1, "id", ids)
    findings = [
        {
            "finding": finding.id,
            "kind": finding.kind,
            "alarm": finding.alarm,
            "severity": finding.severity,
            "target": finding.target_label,
            "samples": finding.n_samples,
            "title": title(finding),
        }
        for finding in document.findings
    ]
    shares = [
        {"finding": finding.id, "source": each.name, "samples": each.n, "flagged": each.n_flagged, "p_value": each.p_value}
        for finding in document.findings
        for each in finding.sources
    ]
    facts = {
        "folder": str(path.resolve()),
        "verdict": document.verdict,
        "alpha": document.alpha,
        "p_value": document.p_value,
        "samples": document.n_samples,
        "flagged": document.n_flagged,
    }
    return AuditEntry(_digest((path / folder.AUDIT).read_bytes()), facts, findings, shares, judged)


def _ledger(path: Path) -> LedgerEntry:
    content = (path / _LEDGER).read_bytes()
    book = ledger.read(path / _LEDGER)
    records = book.records
    decisions = pa.table(
        {
            "line": pa.array(np.arange(2, len(records) + 2), pa.int64()),
            "action": pa.array([str(record["action"]) for record in records], pa.string()),
            "row": pa.array([record["row"] for record in records], pa.int64()),
            "id": pa.array([_id(path, record["id"]) for record in records], HASH),
            **{
                name: pa.array([_text(record.get(name)) for record in records], pa.string())
                for name in ("time", "finding", "reason")
            },
        }
    )
    place, time = _text(book.header.get("location")) or "", _text(book.header.get("time")) or ""
    return LedgerEntry(_digest(content.partition(b"\n")[0]), str(path.resolve()), place, time, decisions)


def _consumed(store: Store, path: Path) -> str:
    """What verify-on-read wrote down."""
    try:
        runs = pq.read_table(path, partitioning=None)
        facts = runs.schema.metadata or {}
        if facts.get(SCHEMA_KEY) != SCHEMA or runs.column_names != ["start", "stop"]:
            raise BadInput(f"{path} is not what a checker wrote.", advice="Name the file that `Checker.write` made.")
        store.add_consumed(facts[b"root"].decode(), facts[b"seal"].decode(), runs)
    except (OSError, pa.ArrowException, KeyError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", advice="Name the file that `Checker.write` made.") from error
    return "consumed"


def _attestation(store: Store, path: Path) -> str:
    if path.stat().st_size > _MOST:
        raise BadInput(f"{path} is too large for an attestation.", advice="Name the file that `untaint attest new` wrote.")
    envelope = dsse.parse(json_text.parse(path.read_bytes(), str(path)), str(path))
    training = attest.parse(envelope.payload, str(path))
    store.add_training(training, _digest(envelope.payload), path)
    return "attestation"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _id(path: Path, value: object) -> bytes:
    try:
        return bytes.fromhex(str(value)).rjust(32, b"\0")[:32]
    except ValueError as error:
        raise BadInput(f"{path / _LEDGER} names {value!r} as an id.", advice="Put the ledger back from a copy.") from error


def _text(value: object) -> str | None:
    return None if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
