"""Walk the join both ways: sample, source, vetting, audit, quarantine, and every model that ate it.

A question is a sample (the beginning of its id, or its place such as `train.jsonl:17`), a source, or a model (its file's name, or the
beginning of its digest). The answer is plain data, the same for a person and for a program.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.errors import BadInput
from untaint.provenance.manifest import HASH
from untaint.provenance.sealed import SOURCES, Seal, read_seal
from untaint.provenance.sources import Source, read_sources
from untaint.provenance.trace_signatures import Signatures
from untaint.provenance.trace_store import Store

Kind: TypeAlias = Literal["sample", "source", "model", "overview"]
Facts: TypeAlias = dict[str, Any]

_SAMPLES = 1_000
"""Places of one sample that are told: copies of one text can be many."""
_HEX = re.compile(r"[0-9a-f]{8,64}")
_COLUMNS = "file, number, lower(hex(id)) AS id, label, source, transform, split, url, collected_at"


@final
@dataclass(frozen=True)
class Answer:
    """kind, name: what was asked about.  facts: see `docs/provenance.md`, lists of mappings by section.  notes: what is not known.

    problems: signatures that do not suffice.
    """

    kind: Kind
    name: str
    facts: Mapping[str, list[Facts]]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Tracer:
    """Answers from a store. today: on which vettings are judged.  signatures: checks who vouches for seals and attestations."""

    store: Store
    today: date
    signatures: Signatures
    notes: list[str] = field(default_factory=list)

    def answer(self, what: str | None, kind: Kind | None = None) -> Answer:
        """The answer. kind: what it is, None = a model if one is called so, else a source, else a sample. Raises BadInput for neither."""
        found = self._answer(what, kind)
        problems = tuple(f"{name}: {problem}" for name, problem in self.signatures.problems.items())
        return replace(found, problems=problems)

    def _answer(self, what: str | None, kind: Kind | None) -> Answer:
        if what is None:
            return self._overview()
        if kind in (None, "model") and (models := self._models(what)):
            return self._model(what, models)
        if kind in (None, "source") and (held := self._held_by(what)):
            return self._source(what, held)
        if kind in (None, "sample") and (places := self._places(what)):
            return self._sample(what, places)
        wanted = kind or "sample, source or model"
        advice = "Give eight or more digits of an id, a place such as train.jsonl:17, a source, or a model; --add what is not entered yet."
        raise BadInput(f"no {wanted} {what!r} is known.", advice=advice)

    def _overview(self) -> Answer:
        tables = {"sets": "name, samples, created, root, folder", "audits": "verdict, samples, flagged, folder"}
        tables |= {"ledgers": "location, time, folder", "models": "name, step, finished, file, attestation"}
        found = {table: self.store.rows(f"SELECT {columns} FROM {table}") for table, columns in tables.items()}  # noqa: S608
        for each in found["sets"]:
            each["signatures"] = self.signatures.of_seal(each["folder"])
        known = {row["attestation"]: row for row in self.store.rows("SELECT * FROM models")}
        for each in found["models"]:
            each["signatures"] = self._vouched(known[each.pop("attestation")])
        return Answer("overview", "", found)

    def _sample(self, what: str, places: list[Facts]) -> Answer:
        ids = sorted({place["id"] for place in places})
        if len(ids) > 1:
            self.notes.append(f"{len(ids)} samples match; all are told.")
        blobs = [bytes.fromhex(each) for each in ids]
        sources = sorted({place["source"] for place in places if place["source"] is not None})
        judged = self._among(
            "judged JOIN audits USING (audit)", "folder, verdict, path, judged.flagged, finding, reason, risk", blobs
        )
        decided = self._among("decisions JOIN ledgers USING (ledger)", "action, decisions.time, finding, reason, folder", blobs)
        sets = {place["seal"] for place in places}
        models = self._ate(self._trained_on(sets), sets, blobs)
        vetting = [self._vetting(name, sets) for name in sources]
        return Answer(
            "sample",
            what,
            {"places": places, "vetting": vetting, "audits": judged, "decisions": decided, "models": models},
            tuple(self.notes),
        )

    def _among(self, tables: str, columns: str, ids: list[bytes]) -> list[Facts]:
        found: list[Facts] = []
        for each in ids:
            found += self.store.rows(f"SELECT {columns} FROM {tables} WHERE id = ?", each)  # noqa: S608 - names of our own
        return found

    def _source(self, name: str, held: list[Facts]) -> Answer:
        sets = {each["seal"] for each in held}
        shares = self.store.rows(
            "SELECT folder, findings.finding, kind, alarm, shares.samples, shares.flagged, shares.p_value, title FROM shares "
            "JOIN findings USING (audit, finding) JOIN audits USING (audit) WHERE source = ? ORDER BY shares.p_value",
            name,
        )
        aside = [self._set_aside(each, name) for each in held]
        return Answer(
            "source",
            name,
            {
                "sets": held,
                "vetting": [self._vetting(name, sets)],
                "findings": shares,
                "set_aside": [each for each in aside if each["samples"]],
                "models": [_without(model, "consumed") for model in self._trained_on(sets)],
            },
            tuple(self.notes),
        )

    def _model(self, name: str, models: list[Facts]) -> Answer:
        chain = self._chain(models)
        sets = {model["seal"] for model in chain if model["seal"]}
        ate, against, aside = [], [], []
        for seal in sorted(sets):
            known = self._set(seal)
            if known is None:
                self.notes.append(f"its data, seal {seal[:16]}, are not entered: --add their DATA.untaint.")
                continue
            ate += self._sources_of(known)
            against += self._found_in(known)
            aside.append(self._set_aside({"seal": seal, "name": known.sealed.name}, None))
        if not sets:
            self.notes.append("its attestation names no sealed data.")
        facts = {
            "checkpoints": chain,
            "sources": ate,
            "findings": against,
            "set_aside": [each for each in aside if each["samples"]],
        }
        return Answer("model", name, facts, tuple(self.notes))

    # --- parts of answers

    def _models(self, what: str) -> list[Facts]:
        """Models called so, newest first."""
        begins = what.lower() if _HEX.fullmatch(what.lower()) else "-"
        name = Path(what).name.removesuffix(".attest.json")
        return self.store.rows(
            "SELECT * FROM models WHERE name = ? OR starts_with(digest, ?) OR starts_with(attestation, ?) OR run = ? "
            "ORDER BY finished DESC, step DESC",
            *(name, begins, begins, begins),
        )

    def _chain(self, models: list[Facts]) -> list[Facts]:
        """These and all before them: checkpoints, and models that they began from."""
        found = {model["attestation"]: model for model in models}
        waiting = list(models)
        while waiting:
            model = waiting.pop()
            before = self.store.rows("SELECT * FROM models WHERE attestation = ? OR digest = ?", model["parent"], model["base"])
            if model["parent"] and not any(each["attestation"] == model["parent"] for each in before):
                self.notes.append(f"the checkpoint before {model['name']} at step {model['step']:,} is not entered.")
            waiting += [each for each in before if each["attestation"] not in found]
            found |= {each["attestation"]: each for each in before}
        chain = sorted(found.values(), key=lambda model: (model["finished"], model["step"]), reverse=True)
        return [{**model, "signatures": self._vouched(model)} for model in chain]

    def _vouched(self, model: Facts) -> str:
        """Who signed the attestation of a model."""
        folders = [row["folder"] for row in self.store.rows("SELECT folder FROM sets WHERE seal = ?", model["seal"])]
        return self.signatures.of_attestation(model["file"], model["attestation"], next(iter(folders), None))

    def _trained_on(self, sets: set[str]) -> list[Facts]:
        """Models trained on any of these sets, and models that began from those; each with what is known of what it read."""
        models = self.store.rows("SELECT * FROM models ORDER BY finished DESC, step DESC")
        eaters = {model["attestation"]: "trained on it" for model in models if model["seal"] in sets}
        while True:
            digests = {model["digest"] for model in models if model["attestation"] in eaters}
            more = {
                model["attestation"]: "began from a model that was"
                for model in models
                if model["attestation"] not in eaters and (model["parent"] in eaters or model["base"] in digests)
            }
            if not more:
                break
            eaters |= more
        names = ("name", "step", "finished", "digest", "file", "consumed")
        return [
            {
                **{name: model[name] for name in names},
                "how": eaters[model["attestation"]],
                "read": _read(model),
                "signatures": self._vouched(model),
            }
            for model in models
            if model["attestation"] in eaters
        ]

    def _ate(self, models: list[Facts], sets: set[str], ids: list[bytes]) -> list[Facts]:
        """Models, with what is known of whether they read a sample; those that surely did not are left out, and counted in a note."""
        told: list[Facts] = []
        runs = {model["consumed"]: self._runs(model["consumed"]) for model in models if model["consumed"]}
        known = {root for root, found in runs.items() if found}
        rows = {digest: _rows_with(seal, ids) for digest, seal in self._sets() if digest in sets} if known else {}
        for model in models:
            found = runs.get(model["consumed"]) or []
            read = any(run["start"] <= row < run["stop"] for run in found for row in rows.get(run["seal"], []))
            if not found or read:
                told.append({**_without(model, "consumed"), "read": "read it" if read else model["read"]})
        if left := len(models) - len(told):
            self.notes.append(f"{left:,} models were trained on a set that holds it and did not read it.")
        return told

    def _runs(self, root: str) -> list[Facts]:
        return self.store.rows("SELECT seal, start, stop FROM consumed WHERE root = ?", root)

    def _sets(self) -> list[tuple[str, Seal]]:
        """Every set that is entered and still there."""
        found = []
        for each in self.store.rows("SELECT seal, name, folder FROM sets ORDER BY created"):
            try:
                found.append((each["seal"], read_seal(Path(each["folder"]))))
            except BadInput:
                note = f"the seal of {each['name']} is not in {each['folder']} any more: --add it where it is now."
                if note not in self.notes:
                    self.notes.append(note)
        return found

    def _set(self, digest: str) -> Seal | None:
        return next((seal for known, seal in self._sets() if known == digest), None)

    def _places(self, what: str) -> list[Facts]:
        """Where a sample is, in every set."""
        found: list[Facts] = []
        for digest, seal in self._sets():
            names = seal.files(["name"]).column("name").to_pylist()
            for row in self._rows_of(seal, what, names):
                file = names[row["file"]]
                path = f"{file}:{row['number']}" if row["number"] else file
                held = {"seal": digest, "set": seal.sealed.name, "path": path, **_without(row, "file", "number")}
                found.append({**held, "signatures": self.signatures.of_seal(str(seal.folder))})
        if len(found) > _SAMPLES:
            self.notes.append(f"{len(found):,} places, {_SAMPLES:,} are told.")
        return found[:_SAMPLES]

    def _rows_of(self, seal: Seal, what: str, names: list[str]) -> list[Facts]:
        if _HEX.fullmatch(what.lower()):
            low, high = _range(what.lower())
            query = f"SELECT {_COLUMNS} FROM manifest WHERE id >= ? AND id <= ?"  # noqa: S608
            return self.store.rows_of(seal, query, low, high)
        file, number = what, 0
        if what not in names and (found := re.fullmatch(r"(.*)[:#](\d+)", what, re.DOTALL)):
            file, number = found[1], int(found[2])
        if file not in names:
            return []
        query = f"SELECT {_COLUMNS} FROM manifest WHERE file = ? AND number = ?"  # noqa: S608
        return self.store.rows_of(seal, query, names.index(file), number)

    def _held_by(self, source: str) -> list[Facts]:
        """Sets with samples of a source."""
        found = []
        for digest, seal in self._sets():
            query = (
                "SELECT count(*) AS samples, min(collected_at) AS first, max(collected_at) AS last FROM manifest WHERE source = ?"
            )
            held = {"seal": digest, "name": seal.sealed.name, "signatures": self.signatures.of_seal(str(seal.folder))}
            rows = self.store.rows_of(seal, query, source)
            found += [{**held, **row, "share": row["samples"] / seal.sealed.size} for row in rows if row["samples"]]
        return found

    def _sources_of(self, seal: Seal) -> list[Facts]:
        query = "SELECT source, count(*) AS samples FROM manifest GROUP BY source ORDER BY samples DESC, source LIMIT 100"
        return [{"set": seal.sealed.name, **row} for row in self.store.rows_of(seal, query)]

    def _found_in(self, seal: Seal) -> list[Facts]:
        """Findings of audits that name samples of a set."""
        query = (
            "SELECT folder, findings.finding, kind, alarm, title, count(DISTINCT judged.row) AS samples FROM judged "
            "JOIN findings USING (audit, finding) JOIN audits USING (audit) "
            "WHERE judged.id IN (SELECT id FROM manifest) GROUP BY ALL ORDER BY alarm DESC, samples DESC"
        )
        return [{"set": seal.sealed.name, **row} for row in self.store.rows_of(seal, query)]

    def _set_aside(self, known: Facts, source: str | None) -> Facts:
        """How many samples of a set are in quarantine now; of one source, or of all (None)."""
        nothing = {"set": known["name"], "samples": 0}
        if (seal := self._set(known["seal"])) is None:
            return nothing
        query = (
            "WITH held AS (SELECT ledger, row, id, arg_max(action, line) AS now FROM decisions WHERE action IN ('hold', 'restore') "
            "GROUP BY ledger, row, id) SELECT count(DISTINCT m.file::VARCHAR || ':' || m.number::VARCHAR) AS samples "
            "FROM manifest AS m JOIN held ON held.id = m.id WHERE held.now = 'hold' AND (? IS NULL OR m.source = ?)"
        )
        return next(({**nothing, **row} for row in self.store.rows_of(seal, query, source, source)), nothing)

    def _vetting(self, name: str, sets: set[str]) -> Facts:
        """What people wrote down of a source, in the newest set that lists it."""
        for digest, seal in reversed(self._sets()):
            if digest in sets and seal.sealed.sources is not None:
                known = read_sources(seal.folder / SOURCES).named().get(name)
                if known is not None:
                    return {"source": name, "listed": True, **_vetted(known, self.today)}
        return {"source": name, "listed": False, "state": "in no sources.toml: nobody vouches for it"}


def _rows_with(seal: Seal, ids: list[bytes]) -> list[int]:
    """Rows of the manifest with one of these ids."""
    found: list[int] = []
    first, wanted = 0, pa.array(ids, HASH)
    for batch in seal.manifest.batches(["id"]):
        found += (first + np.flatnonzero(pc.is_in(batch.column("id"), wanted).to_numpy(zero_copy_only=False))).tolist()
        first += batch.num_rows
    return found


def _vetted(source: Source, today: date) -> Facts:
    if source.vetted_on is None:
        state = "listed, not vetted"
    elif source.expires is not None and source.expires < today:
        state = f"vetting expired on {source.expires}"
    else:
        state = f"vetted on {source.vetted_on}"
    names = ("kind", "owner", "vetted_by")
    return {"state": state, **{name: getattr(source, name) for name in names}}


def _read(model: Facts) -> str:
    if model["consumed"] is None:
        return "what it read was not recorded"
    return f"read {model['consumed_samples']:,} samples, root {model['consumed'][:16]}"


def _range(digits: str) -> tuple[bytes, bytes]:
    """The least and the greatest id that begin so."""
    return bytes.fromhex(digits.ljust(64, "0")), bytes.fromhex(digits.ljust(64, "f"))


def _without(row: Facts, *names: str) -> Facts:
    return {name: value for name, value in row.items() if name not in names}
