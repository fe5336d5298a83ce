"""What a verification found, as a statement that can be signed: an in-toto Simple Verification Result v0.2.

Only what passed is stated, as the predicate has it; so of a verification that found a change there is none. The subject is the
`statement.json` of the seal. Fields of our own begin with `untaint_`, others are ignored, as in-toto's rules for parsing say.
Source: in-toto attestation framework, spec/predicates/svr.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from untaint.errors import BadInput
from untaint.provenance import dsse, json_text, policy
from untaint.provenance.attest import Material, moment
from untaint.provenance.manifest import sha256_of
from untaint.provenance.policy import Decision, Policy, stamp
from untaint.provenance.sealed import STATEMENT, Seal
from untaint.provenance.verify import Verified

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/svr/v0.2"
VERIFIER = "urn:untaint:verify:v1"
"""Who verified, in the sense of the predicate: rules of verification that a consumer may know. Who vouches for it is who signed."""
_FAMILY = "https://in-toto.io/attestation/svr/"
_OWN = "untaint_"

AS_SEALED = "UNTAINT_DATA_AS_SEALED"
QUICK = "UNTAINT_DATA_AS_SEALED_BY_SIZE_AND_TIME"
SPOT = "UNTAINT_DATA_CHANGED_AT_MOST_"
SIGNED = "UNTAINT_SEAL_SIGNED_AS_REQUIRED"

_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


@final
@dataclass(frozen=True)
class Result:
    """seal: SHA-256 of its statement.  policies: that signatures were held against, by digest.  facts: in words, such as the root.

    properties: what passed.  verifier: whose rules, a URI.
    """

    seal: bytes
    created: datetime
    properties: tuple[str, ...]
    policies: tuple[Material, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    verifier: str = VERIFIER


def result_of(found: Verified, signed: Decision | None, policies: Sequence[Material], *, now: datetime, tool: str = "") -> Result:
    """What a verification lets one say. signed: None = nobody asked who signed.  policies: what signatures were held against.

    Raises BadInput for one that found a change, or signatures that do not suffice.
    """
    if not found.sound or (signed is not None and not signed.accepted):
        raise BadInput("the verification found something, so nothing is attested.", advice="See what it found.")
    facts = {"root": found.seal.sealed.root, "samples": str(found.seal.sealed.size), "tier": found.tier, "tool": tool}
    if found.drawn is None:
        passed = [AS_SEALED if found.tier == "full" else QUICK]
    else:
        below, confidence = _up(found.drawn.below), f"{found.drawn.confidence:.10g}"
        facts |= {"drawn": str(found.drawn.drawn), "below": below, "confidence": confidence}
        passed = [f"{SPOT}{below}_CONFIDENCE_{confidence}"]
    if signed is not None:
        passed.append(SIGNED)
        facts["signers"] = ", ".join(signed.signers)
    facts |= {f"note_{number}": note for number, note in enumerate(found.notes, 1)}
    seal = bytes.fromhex(sha256_of(found.seal.folder / STATEMENT))
    return Result(seal, now, tuple(passed), tuple(policies), {name: text for name, text in facts.items() if text})


def _up(share: float) -> str:
    """A share with four digits, never less than it is."""
    if share <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(share)) - 3)
    return f"{math.ceil(share / unit - 1e-9) * unit:.4g}"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Digest(_Part):
    sha256: _Hex


class _Subject(_Part):
    name: str = ""
    digest: _Digest


class _Policy(_Part):
    name: str = ""
    uri: str = ""
    digest: Annotated[dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{32,128}$")]], Field(min_length=1)]


class _Verifier(_Part):
    id: _Name
    policies: list[_Policy]


class _Predicate(_Part):
    model_config = ConfigDict(extra="allow", strict=True)
    verifier: _Verifier
    created: Annotated[_Time, Field(alias="timeCreated")]
    properties: list[_Name]


class _Statement(_Part):
    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[list[_Subject], Field(min_length=1, max_length=1)]  # of several, two could be swapped unseen
    predicate_type: Annotated[Literal["https://in-toto.io/attestation/svr/v0.2"], Field(alias="predicateType")]
    predicate: _Predicate


def statement(result: Result) -> bytes:
    """The statement, to be signed as it is."""
    policies = [
        {"name": held.name, "digest": dict(held.digest)} | ({"uri": held.uri} if held.uri else {}) for held in result.policies
    ]
    document: dict[str, Any] = {
        "_type": TYPE,
        "subject": [{"name": STATEMENT, "digest": {"sha256": result.seal.hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": result.verifier, "policies": policies},
            "timeCreated": stamp(result.created),
            "properties": list(result.properties),
            **{f"{_OWN}{name}": text for name, text in result.facts.items()},
        },
    }
    return json_text.canonical(document)


@final
@dataclass(frozen=True)
class Checked:
    """results: what the attestations say, in the order given.  signers: of the last.  problems: why they are not to be believed."""

    results: tuple[Result, ...]
    signers: tuple[str, ...]
    problems: tuple[str, ...]


def check(seal: Seal, paths: Sequence[Path], asked: Policy, *, now: datetime, passed: Sequence[str] = ()) -> Checked:
    """Check attestations of verifications of a seal. passed: properties that one of those to be believed must state.

    Raises BadInput when there is none, or one cannot be read.
    """
    if not paths:
        raise BadInput("no attestation was given, so nothing was checked.", advice="Name the file that `verify --attest` wrote.")
    digest = sha256_of(seal.folder / STATEMENT)
    results, problems, stated, signers = [], list[str](), set[str](), tuple[str, ...]()
    for path in paths:
        envelope = dsse.load(path)
        result = parse(envelope.payload, str(path))
        decision = policy.decide(envelope, asked, created=result.created, now=now, of="verification")
        own = list(decision.problems)
        own += [] if result.seal.hex() == digest else [f"it is about another seal than the one in {seal.folder}"]
        problems += [f"{path}: {problem}" for problem in own]
        stated |= set() if own else set(result.properties)
        results.append(result)
        signers = decision.signers
    problems += [f"nobody states {name}" for name in passed if name not in stated]
    return Checked(tuple(results), signers, tuple(problems))


def is_result(payload: bytes, what: str) -> bool:
    """Whether a statement is about a verification, of whatever version. Raises BadInput for what is no JSON object."""
    kind = json_text.parse(payload, what).get("predicateType")
    return isinstance(kind, str) and kind.startswith(_FAMILY)


def parse(payload: bytes, what: str) -> Result:
    """What a statement says. what: how errors call it. Raises BadInput when it is malformed, or of another version."""
    document = json_text.parse(payload, what)
    kind = document.get("predicateType")
    if isinstance(kind, str) and kind.startswith(_FAMILY) and kind != PREDICATE:
        message = f"{what} is of version {kind.removeprefix(_FAMILY)!r}, this release reads v0.2."
        raise BadInput(message, advice="Use a newer release, or verify again.")
    try:
        found = _Statement.model_validate(document)
        created = moment(found.predicate.created)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(what, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    except ValueError as error:  # the 30th of February
        raise _bad(what, str(error)) from error
    predicate = found.predicate
    more = predicate.model_extra or {}
    facts = {name.removeprefix(_OWN): text for name, text in more.items() if name.startswith(_OWN) and isinstance(text, str)}
    policies = tuple(Material(held.name, held.digest, uri=held.uri) for held in predicate.verifier.policies)
    return Result(
        bytes.fromhex(found.subject[0].digest.sha256),
        created,
        tuple(predicate.properties),
        policies,
        facts,
        predicate.verifier.id,
    )


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not the result of a verification: {why}.", advice="Get it again, or verify again.")
