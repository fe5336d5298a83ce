"""The policy in a file, which lives with whoever verifies:

schema = "untaint.policy/v1"
max_age_days = 180          # a statement older than that no longer counts; leave it out for no limit

[require]                   # of a seal: role = number of different keys
collector = 1
vetter = 2

[training]                  # of the attestation of a training run
trainer = 1

[verification]              # of the attestation of a verification
vetter = 1

[[key]]
name = "alice"
file = "alice.pub"          # beside this file; or  public = "-----BEGIN PUBLIC KEY-----…"
roles = ["collector", "vetter"]
expires = 2027-06-30        # its signatures do not count after that day

[[revoked]]
name = "alice"              # or  fingerprint = "…", of any key or witness
since = 2026-11-01          # older statements still count; leave it out for a key that somebody else has
why = "left the company"

[log]                       # leave it out where a log is nice to have
witnesses = 1               # number of different witnesses that must have countersigned the log

[[witness]]
name = "example.com/w1"
file = "w1.pub"
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from untaint.errors import BadInput
from untaint.provenance import keys
from untaint.provenance.keys import PublicKey
from untaint.provenance.policy import Policy, Revoked, Role, Trusted, said_signers

SCHEMA = "untaint.policy/v1"
_Least: TypeAlias = Annotated[int, Field(ge=1)]


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(min_length=1)]
    roles: list[Role]
    file: str | None = None
    public: str | None = None
    expires: date | None = None


class _Witness(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(min_length=1)]
    file: str


class _Log(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    witnesses: Annotated[int, Field(ge=0)] = 0


class _Revoked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str | None = None
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    since: date | None = None
    why: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    schema_name: Annotated[str, Field(alias="schema")]
    require: dict[Role, _Least] = {}
    training: dict[Role, _Least] = {}
    verification: dict[Role, _Least] = {}
    key: list[_Key] = []
    max_age_days: Annotated[int | float, Field(gt=0, le=36_500)] | None = None
    log: _Log | None = None
    witness: list[_Witness] = []
    revoked: list[_Revoked] = []


def read(path: Path) -> Policy:
    """The policy in a file.

    Raises BadInput when it cannot be read, is of a newer version, requires nothing (an empty policy is a failure, not a pass),
    or requires more signers of a role than it has keys for.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"no policy at {path}: {error.strerror}.", advice="Give the file with --policy.") from error
    except (ValueError, RecursionError) as error:
        raise _bad(path, str(error)) from error
    schema = document.get("schema", SCHEMA) if document else None
    if schema is not None and schema != SCHEMA:
        raise BadInput(f"{path} has the schema {schema!r}; this release reads {SCHEMA}.", advice="Use a newer release.")
    try:
        file = _File.model_validate({"schema": SCHEMA, **document})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _bad(path, f"{where}: {first['msg']}") from error
    return _checked(path, file)


def _checked(path: Path, file: _File) -> Policy:
    tables = (file.require, file.training, file.verification)
    if not any(tables):
        advice = "Name at least one role under [require], for seals, [training] or [verification], for attestations"
        raise _bad(path, f"it requires no signature, so anything would pass it. {advice}")
    trusted = tuple(_trusted(path, key) for key in file.key)
    names = [key.name for key in trusted]
    if twice := {name for name in names if names.count(name) > 1}:
        raise _bad(path, f"two keys are called {min(twice)!r}")
    revoked = _revoked(path, file, trusted)
    for role, least in (pair for table in tables for pair in table.items()):
        able = {key.key for key in trusted if role in key.roles and _stands(key.key, revoked)}
        if len(able) < least:
            raise _bad(
                path,
                f"it requires {said_signers(least)} as {role} and has {len(able)} different keys that may, so nothing can pass",
            )
    age = None if file.max_age_days is None else timedelta(days=file.max_age_days)
    return replace(
        _witnesses(path, file, revoked),
        keys=trusted,
        require=file.require,
        training=file.training,
        verification=file.verification,
        max_age=age,
        what=str(path),
    )


def _witnesses(path: Path, file: _File, revoked: Mapping[str, Revoked]) -> Policy:
    """A policy that only says what it asks of the log, and what was revoked."""
    named = {witness.name: keys.load_public(path.parent / witness.file) for witness in file.witness}
    witnesses = {name: key for name, key in named.items() if _stands(key, revoked)}
    least, able = file.log.witnesses if file.log else 0, len(set(witnesses.values()))
    if able < least:
        raise _bad(path, f"it requires {least} witnesses and names {able} different ones, so nothing can pass")
    return Policy((), log=file.log is not None, witnesses=witnesses, least=least, revoked=revoked)


def _revoked(path: Path, file: _File, trusted: Sequence[Trusted]) -> dict[str, Revoked]:
    """By fingerprint; of a key that is named twice, the harder."""
    named, found = {key.name: key.key.fingerprint for key in trusted}, dict[str, Revoked]()
    for entry in file.revoked:
        if (entry.name is None) == (entry.fingerprint is None):
            raise _bad(path, "what is under [[revoked]] needs either `name`, of a key of this file, or `fingerprint`")
        fingerprint = entry.fingerprint if entry.name is None else named.get(entry.name)
        if fingerprint is None:
            raise _bad(path, f"it revokes {entry.name!r}, and no key is called so")
        before = found.get(fingerprint)
        if before is None or (before.since is not None and (entry.since is None or entry.since < before.since)):
            found[fingerprint] = Revoked(entry.since, entry.why)
    return found


def _stands(key: PublicKey, revoked: Mapping[str, Revoked]) -> bool:
    return Policy((), revoked=revoked).standing(key)


def _trusted(path: Path, key: _Key) -> Trusted:
    if (key.file is None) == (key.public is None):
        raise _bad(path, f"the key {key.name!r} needs either `file` or `public`")
    if key.file is not None:
        public = keys.load_public(path.parent / key.file)
    else:
        public = keys.parse_public(str(key.public).encode("utf-8", "replace"), f"`public` of {key.name!r} in {path}")
    return Trusted(key.name, public, frozenset(key.roles), key.expires)


def _bad(path: Path, why: str) -> BadInput:
    return BadInput(f"the policy {path} cannot be used: {why}.", advice="See the page on signing.")
