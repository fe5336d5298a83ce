"""What is known of samples, sources and models, in one DuckDB file: seals, audits, decisions and attestations, joined by digest.

`DATA.untaint/trace.duckdb`. Manifests stay where they are, as Parquet: a set of any size costs a line. Entering the same thing twice
changes nothing; a folder that was moved is entered again, and found under its new name.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import pyarrow as pa
from pyarrow import dataset

from untaint.errors import BadInput, MissingExtra
from untaint.provenance.attest import Training
from untaint.provenance.manifest import SAMPLES, part_name
from untaint.provenance.sealed import Seal

FILE: Final = "trace.duckdb"
VERSION: Final = 1
_TABLES: Mapping[str, str] = {
    "about": "version INTEGER",
    "sets": "seal TEXT PRIMARY KEY, name TEXT, root TEXT, samples BIGINT, created TEXT, folder TEXT",
    "audits": "audit TEXT PRIMARY KEY, folder TEXT, verdict TEXT, alpha DOUBLE, p_value DOUBLE, samples BIGINT, flagged BIGINT",
    "findings": "audit TEXT, finding TEXT, kind TEXT, alarm BOOLEAN, severity TEXT, target TEXT, samples BIGINT, title TEXT",
    "shares": "audit TEXT, finding TEXT, source TEXT, samples BIGINT, flagged BIGINT, p_value DOUBLE",
    "judged": "audit TEXT, row BIGINT, id BLOB, path TEXT, flagged BOOLEAN, finding TEXT, reason TEXT, risk DOUBLE",
    "ledgers": "ledger TEXT PRIMARY KEY, folder TEXT, location TEXT, time TEXT",
    "decisions": "ledger TEXT, line BIGINT, action TEXT, row BIGINT, id BLOB, time TEXT, finding TEXT, reason TEXT",
    "consumed": "root TEXT, seal TEXT, start BIGINT, stop BIGINT",
    "models": "attestation TEXT PRIMARY KEY, file TEXT, name TEXT, digest TEXT, run TEXT, step BIGINT, parent TEXT, started TEXT, "
    "finished TEXT, builder TEXT, seal TEXT, audit TEXT, base TEXT, consumed TEXT, consumed_samples BIGINT",
}
_SHUT: Mapping[str, str] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "1GB",
    "threads": "2",
}
"""No other file, nothing fetched, and variables of this program are no tables; manifests come in through Arrow."""


@final
@dataclass(frozen=True)
class AuditEntry:
    """An audit as it is entered. audit: SHA-256 of audit.json.  facts, findings, shares: rows of the tables of those names, by column.

    judged: Arrow table of the samples that a finding names, columns as the table's without `audit`.
    """

    audit: str
    facts: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    shares: Sequence[Mapping[str, Any]]
    judged: pa.Table


@final
@dataclass(frozen=True)
class LedgerEntry:
    """What `clean` did, and what people did after it. ledger: SHA-256 of its first line.  decisions: columns as the table's."""

    ledger: str
    folder: str
    location: str
    time: str
    decisions: pa.Table


@final
class Store:
    """The file, open."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What a query finds, a mapping per row."""
        found = self._connection.execute(query, values)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def rows_of(self, seal: Seal, query: str, *values: Any) -> list[dict[str, Any]]:
        """What a query over the table `manifest`, the samples of a set, finds. Nothing for a set of files without samples."""
        parts = [str(seal.manifest.folder / part_name(number)) for number in range(len(seal.sealed.parts))]
        if not parts:
            return []
        try:
            samples = dataset.dataset(parts, schema=SAMPLES, format="parquet")
            self._connection.register("manifest", samples)
            return self.rows(query, *values)
        except (pa.ArrowException, OSError) as error:
            message = f"the manifest in {seal.manifest.folder} cannot be read: {error}."
            raise BadInput(message, advice="Restore the seal, or seal again.") from error
        finally:
            self._connection.unregister("manifest")

    def add_set(self, seal: Seal, digest: str) -> None:
        """A sealed set. digest: SHA-256 of its statement."""
        sealed = seal.sealed
        values = (digest, sealed.name, sealed.root, sealed.size, sealed.created, str(seal.folder.resolve()))
        self._replace("sets", "seal", values)

    def add_audit(self, entry: AuditEntry) -> None:
        """An audit, its findings and the samples they name."""
        names = ("folder", "verdict", "alpha", "p_value", "samples", "flagged")
        self._replace("audits", "audit", (entry.audit, *(entry.facts[name] for name in names)))
        for table in ("findings", "shares", "judged"):
            self._connection.execute(f"DELETE FROM {table} WHERE audit = ?", [entry.audit])  # noqa: S608 - names of our own
        for table, rows in (("findings", entry.findings), ("shares", entry.shares)):
            for row in rows:
                self._insert(table, (entry.audit, *row.values()))
        self._put("judged", "audit", entry.audit, entry.judged)

    def add_ledger(self, entry: LedgerEntry) -> None:
        """A ledger with all its lines."""
        self._replace("ledgers", "ledger", (entry.ledger, entry.folder, entry.location, entry.time))
        self._connection.execute("DELETE FROM decisions WHERE ledger = ?", [entry.ledger])
        self._put("decisions", "ledger", entry.ledger, entry.decisions)

    def add_consumed(self, root: str, seal: str, runs: pa.Table) -> None:
        """Samples of a set that training read. root: of them, as attestations name it.  seal: of the set.  runs: start, stop of rows."""
        self._connection.execute("DELETE FROM consumed WHERE root = ? AND seal = ?", [root, seal])
        self._put("consumed", "root", root, runs.select(["start", "stop"]).add_column(0, "seal", pa.array([seal] * len(runs))))

    def add_training(self, training: Training, attestation: str, file: Path) -> None:
        """A model, by the attestation of its training. attestation: SHA-256 of the statement."""
        parent = training.parent.hex() if training.parent else None
        digests = {name: _digest(training, name) for name in ("dataset", "audit", "base-model", "consumed")}
        consumed = training.material("consumed")
        values = (
            *(attestation, str(file.resolve()), training.output.facts.get("path", training.output.name)),
            *(training.output.digest.get("sha256"), training.run, training.step, parent),
            *(training.started.isoformat(), training.finished.isoformat(), training.builder),
            *(digests["dataset"], digests["audit"], digests["base-model"], digests["consumed"]),
            int(consumed.facts.get("samples", "0")) if consumed else None,
        )
        self._replace("models", "attestation", values)

    def _insert(self, table: str, values: Sequence[Any]) -> None:
        marks = ", ".join("?" * len(values))
        self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(values))  # noqa: S608 - names of our own

    def _replace(self, table: str, key: str, values: Sequence[Any]) -> None:
        self._connection.execute(f"DELETE FROM {table} WHERE {key} = ?", [values[0]])  # noqa: S608 - names of our own
        self._insert(table, values)

    def _put(self, table: str, key: str, value: str, rows: pa.Table) -> None:
        named = rows.add_column(0, key, pa.array([value] * len(rows), pa.string()))
        self._connection.register("arriving", named)
        self._connection.execute(f"INSERT INTO {table} SELECT * FROM arriving")  # noqa: S608 - names of our own
        self._connection.unregister("arriving")


def _digest(training: Training, name: str) -> str | None:
    material = training.material(name)
    return material.digest.get("sha256") if material else None


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """The store at a path, made when there is none; what is entered is kept when the block ends well, all of it or nothing.

    Raises BadInput for a file that is none, or of a newer release, MissingExtra without DuckDB.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("tracing", "duckdb") from error
    try:
        with duckdb.connect(str(path), config=dict(_SHUT)) as connection:
            connection.execute("BEGIN")
            _prepare(connection, path)
            yield Store(connection)
            connection.execute("COMMIT")
    except duckdb.Error as error:
        said = str(error).strip().partition("\n")[0]
        message = f"{path} cannot be used: {said}."
        raise BadInput(message, advice="Remove it and enter seals, audits and attestations again with --add.") from error


def _prepare(connection: Any, path: Path) -> None:
    for name, columns in _TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
    found = connection.execute("SELECT version FROM about").fetchall()
    if not found:
        connection.execute("INSERT INTO about VALUES (?)", [VERSION])
    elif found[0][0] > VERSION:
        raise BadInput(
            f"{path} was written by a newer untaint.", advice="Update untaint, or remove the file and enter things again."
        )
