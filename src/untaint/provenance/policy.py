"""Who must have signed: a policy file names keys, the roles each may act in, and how many signers a role needs.

    schema = "untaint.policy/v1"
    max_age_days = 180          # a statement older than that no longer counts; leave it out for no limit

    [require]                   # of a seal: role = number of different keys
    collector = 1
    vetter = 2

    [training]                  # of the attestation of a training run
    trainer = 1

    [[key]]
    name = "alice"
    file = "alice.pub"          # beside this file; or  public = "-----BEGIN PUBLIC KEY-----…"
    roles = ["collector", "vetter"]
    expires = 2027-06-30        # its signatures do not count after that day

    [log]                       # leave it out where a log is nice to have
    witnesses = 1               # number of different witnesses that must have countersigned the log

    [[witness]]
    name = "example.com/w1"
    file = "w1.pub"

What a key may do stands here, with whoever verifies, never in what was signed.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, final, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from untaint.errors import BadInput
from untaint.provenance import keys
from untaint.provenance.dsse import Envelope
from untaint.provenance.keys import PublicKey

SCHEMA = "untaint.policy/v1"
Role: TypeAlias = Literal["collector", "vetter", "trainer", "releaser"]
"""Who brought the data, who looked at it, who trained on it, who let the model out."""
ROLES: tuple[Role, ...] = get_args(Role)

SKEW = timedelta(minutes=5)
"""How far two honest clocks may be apart, as Kerberos has it; beyond that one of them is wrong or lies."""


@final
@dataclass(frozen=True)
class Trusted:
    """A key with a name and what it may do.  expires: last day on which its signatures count, None = no limit."""

    name: str
    key: PublicKey
    roles: frozenset[Role]
    expires: date | None = None


@final
@dataclass(frozen=True)
class Policy:
    """Whom we trust, and what we ask of them.

    require: of a seal, role → how many different keys must have signed in it.  training: the same of an attestation.
    everybody: instead of roles, every key must have signed.
    max_age: of a statement.  what: how messages call it.
    log: whether there must be one.  witnesses, least: who may countersign it, and how many of them must have.
    """

    keys: tuple[Trusted, ...]
    require: Mapping[Role, int] = field(default_factory=dict)
    training: Mapping[Role, int] = field(default_factory=dict)
    everybody: bool = False
    max_age: timedelta | None = None
    what: str = "the policy"
    log: bool = False
    witnesses: Mapping[str, PublicKey] = field(default_factory=dict)
    least: int = 0


@final
@dataclass(frozen=True)
class Decision:
    """signers: names of trusted keys that signed.  problems: why the policy is not met; empty = it is."""

    signers: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """The policy is met."""
        return not self.problems


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


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    schema_name: Annotated[str, Field(alias="schema")]
    require: dict[Role, _Least] = {}
    training: dict[Role, _Least] = {}
    key: list[_Key] = []
    max_age_days: Annotated[int | float, Field(gt=0, le=36_500)] | None = None
    log: _Log | None = None
    witness: list[_Witness] = []


def of_key(key: PublicKey, name: str) -> Policy:
    """The policy that one key signed, in whatever role."""
    return of_keys({name: key})


def of_keys(named: Mapping[str, PublicKey]) -> Policy:
    """The policy that each of these keys signed, in whatever role. Of no key it accepts nothing."""
    trusted = tuple(Trusted(name, key, frozenset(ROLES)) for name, key in named.items())
    return Policy(trusted, everybody=True, what="the command line")


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
    if not file.require and not file.training:
        advice = "Name at least one role under [require], for seals, or [training], for attestations"
        raise _bad(path, f"it requires no signature, so anything would pass it. {advice}")
    trusted = tuple(_trusted(path, key) for key in file.key)
    names = [key.name for key in trusted]
    if twice := {name for name in names if names.count(name) > 1}:
        raise _bad(path, f"two keys are called {min(twice)!r}")
    for role, least in (*file.require.items(), *file.training.items()):
        able = {key.key for key in trusted if role in key.roles}
        if len(able) < least:
            raise _bad(
                path, f"it requires {_signers(least)} as {role} and has {len(able)} different keys that may, so nothing can pass"
            )
    age = None if file.max_age_days is None else timedelta(days=file.max_age_days)
    witnesses = {witness.name: keys.load_public(path.parent / witness.file) for witness in file.witness}
    least = file.log.witnesses if file.log else 0
    if len(set(witnesses.values())) < least:
        raise _bad(
            path, f"it requires {least} witnesses and names {len(set(witnesses.values()))} different ones, so nothing can pass"
        )
    return Policy(
        trusted, file.require, file.training, False, age, str(path), log=file.log is not None, witnesses=witnesses, least=least
    )


def _trusted(path: Path, key: _Key) -> Trusted:
    if (key.file is None) == (key.public is None):
        raise _bad(path, f"the key {key.name!r} needs either `file` or `public`")
    if key.file is not None:
        public = keys.load_public(path.parent / key.file)
    else:
        public = keys.parse_public(str(key.public).encode("utf-8", "replace"), f"`public` of {key.name!r} in {path}")
    return Trusted(key.name, public, frozenset(key.roles), key.expires)


def decide(
    envelope: Envelope,
    policy: Policy,
    *,
    created: datetime,
    now: datetime,
    expires: datetime | None = None,
    training: bool = False,
) -> Decision:
    """Whether an envelope meets a policy.

    created, expires: what the signed statement says of itself.  now: this machine's clock.  training: it is an attestation, not a
    seal. A policy that requires nothing of this kind of statement is not met by it.
    A key counts once, under however many names it stands in the policy; a key that has expired does not count. A clock that
    is before the statement was made is a problem: with it, what has expired would look fresh.
    """
    signed = set(envelope.signers(trusted.key for trusted in policy.keys))
    signers = [trusted for trusted in policy.keys if trusted.key in signed]
    lapsed = [trusted for trusted in signers if trusted.expires is not None and now.date() > trusted.expires]
    problems = [f"the key of {trusted.name} expired on {trusted.expires}" for trusted in lapsed]
    problems += _times(policy, created, now, expires)
    required = policy.training if training else policy.require
    if not (policy.keys if policy.everybody else required):
        problems.append(f"{policy.what} asks for nothing here, so nothing meets it")
    if policy.everybody:
        problems += [f"it is not signed with the key {trusted.name}" for trusted in policy.keys if trusted not in signers]
        required = {}
    for role, least in required.items():
        able = {trusted.key: trusted.name for trusted in signers if role in trusted.roles and trusted not in lapsed}
        if len(able) < least:
            problems.append(
                f"{policy.what} requires {_signers(least)} as {role}, and {_names(tuple(able.values()))} signed as such"
            )
    return Decision(tuple(trusted.name for trusted in signers), tuple(problems))


def _times(policy: Policy, created: datetime, now: datetime, expires: datetime | None) -> list[str]:
    problems = time_problems(created, now, expires)
    if policy.max_age is not None and now - created > policy.max_age:
        problems.append(
            f"the statement was made at {stamp(created)}, more than {policy.max_age.days} days ago: vet the data again"
        )
    return problems


def time_problems(created: datetime, now: datetime, expires: datetime | None) -> list[str]:
    """Why a statement does not count now, by what it says of itself: made in the future, or expired."""
    problems = []
    if created > now + SKEW:
        problems.append(f"the statement says it was made at {stamp(created)}, after now ({stamp(now)}): one clock is wrong")
    if expires is not None and now > expires:
        problems.append(f"the statement counted until {stamp(expires)}: vet the data again")
    return problems


def stamp(moment: datetime) -> str:
    """A time as all our statements write it: UTC, to the second, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _signers(least: int) -> str:
    return "one signer" if least == 1 else f"{least} signers"


def _names(names: Sequence[str]) -> str:
    return " and ".join(names) if names else "nobody"


def _bad(path: Path, why: str) -> BadInput:
    return BadInput(f"the policy {path} cannot be used: {why}.", advice="See the page on signing.")
