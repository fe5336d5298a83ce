"""Who must have signed: keys, the roles each may act in, how many signers a role needs, and keys that no longer count.

What a key may do stands with whoever verifies (`policy_file`), never in what was signed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias, final, get_args

from untaint.provenance.dsse import Envelope
from untaint.provenance.keys import PublicKey

Asked: TypeAlias = Literal["require", "training", "verification"]
"""What a policy asks of: a seal, the attestation of a training run, that of a verification."""
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
class Revoked:
    """Why a key no longer counts.  since: statements of that day and later do not, None = none does, whatever its date."""

    since: date | None = None
    why: str = ""

    def counts(self, created: datetime) -> bool:
        """Whether a signature under a statement of this time still does. Whoever holds the key could date it back."""
        return self.since is not None and created.astimezone(UTC).date() < self.since


@final
@dataclass(frozen=True)
class Policy:
    """Whom we trust, and what we ask of them.

    require: of a seal, role → how many different keys must have signed in it.  training: the same of the attestation of a training run.
    verification: of that of a verification.  everybody: instead of roles, every key must have signed.
    max_age: of a statement.  what: how messages call it.
    log: whether there must be one.  witnesses, least: who may countersign it, and how many of them must have.
    revoked: by the fingerprint of a key.
    """

    keys: tuple[Trusted, ...]
    require: Mapping[Role, int] = field(default_factory=dict)
    training: Mapping[Role, int] = field(default_factory=dict)
    verification: Mapping[Role, int] = field(default_factory=dict)
    everybody: bool = False
    max_age: timedelta | None = None
    what: str = "the policy"
    log: bool = False
    witnesses: Mapping[str, PublicKey] = field(default_factory=dict)
    least: int = 0
    revoked: Mapping[str, Revoked] = field(default_factory=dict)

    def standing(self, key: PublicKey) -> bool:
        """Whether a key was not revoked for good: it may vouch for a log."""
        found = self.revoked.get(key.fingerprint)
        return found is None or found.since is not None


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


def of_key(key: PublicKey, name: str) -> Policy:
    """The policy that one key signed, in whatever role."""
    return of_keys({name: key})


def of_keys(named: Mapping[str, PublicKey]) -> Policy:
    """The policy that each of these keys signed, in whatever role. Of no key it accepts nothing."""
    trusted = tuple(Trusted(name, key, frozenset(ROLES)) for name, key in named.items())
    return Policy(trusted, everybody=True, what="the command line")


def decide(
    envelope: Envelope,
    policy: Policy,
    *,
    created: datetime,
    now: datetime,
    expires: datetime | None = None,
    of: Asked = "require",
) -> Decision:
    """Whether an envelope meets a policy.

    created, expires: what the signed statement says of itself.  now: this machine's clock.  of: what kind of statement it is. A policy that
    requires nothing of this kind of statement is not met by it.
    A key counts once, under however many names it stands in the policy; a key that has expired or was revoked does not count. A clock
    that is before the statement was made is a problem: with it, what has expired would look fresh.
    """
    signed = set(envelope.signers(trusted.key for trusted in policy.keys))
    dropped = {fingerprint: found for fingerprint, found in policy.revoked.items() if not found.counts(created)}
    gone = [trusted for trusted in policy.keys if trusted.key in signed and trusted.key.fingerprint in dropped]
    signers = [trusted for trusted in policy.keys if trusted.key in signed and trusted not in gone]
    lapsed = [trusted for trusted in signers if trusted.expires is not None and now.date() > trusted.expires]
    problems = [f"the key of {trusted.name} expired on {trusted.expires}" for trusted in lapsed]
    problems += _times(policy, created, now, expires)
    required: Mapping[Role, int] = getattr(policy, of)
    if not (policy.keys if policy.everybody else required):
        problems.append(f"{policy.what} asks for nothing here, so nothing meets it")
    if policy.everybody:
        problems += [f"it is not signed with the key {trusted.name}" for trusted in policy.keys if trusted not in signers]
        required = {}
    for role, least in required.items():
        able = {trusted.key: trusted.name for trusted in signers if role in trusted.roles and trusted not in lapsed}
        if len(able) < least:
            short = f"{policy.what} requires {said_signers(least)} as {role}, and {_names(tuple(able.values()))} signed as such"
            problems += [short, *_revoked(gone, dropped, role)]
    return Decision(tuple(trusted.name for trusted in signers), tuple(problems))


def _revoked(gone: Sequence[Trusted], dropped: Mapping[str, Revoked], role: Role) -> list[str]:
    """Who signed in a role with a key that no longer counts."""
    found = []
    for trusted in gone:
        if role in trusted.roles:
            revoked = dropped[trusted.key.fingerprint]
            since = "" if revoked.since is None else f" for what is of {revoked.since} or later"
            found.append(f"the key of {trusted.name} was revoked{since}{f': {revoked.why}' if revoked.why else ''}")
    return found


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


def said_signers(least: int) -> str:
    """A number of signers in words."""
    return "one signer" if least == 1 else f"{least} signers"


def _names(names: Sequence[str]) -> str:
    return " and ".join(names) if names else "nobody"
