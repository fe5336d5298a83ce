"""What a model was made of: SLSA Provenance v1 of a training run, one statement a checkpoint, each naming the one before.

The chain: a statement holds the SHA-256 of the statement of its parent. Somebody who holds the training machine, but not the
key and every copy of the log, cannot leave a checkpoint out, put one in, or make two histories without it showing.
Source: slsa.dev/provenance/v1, in-toto Statement v1. There is no predicate for training, so the build type is our own.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from untaint.errors import BadInput
from untaint.provenance import json_text
from untaint.provenance.policy import SKEW, stamp

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:untaint:train:v1"
_FAMILY = "urn:untaint:train:"
PARENT = "parent"
"""Name of the dependency that is the statement of the checkpoint before."""
_KEPT = ("dataset", "code", "config", "base-model")
"""Materials that do not change within a run."""

_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{40,128}$")]
_Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]


@final
@dataclass(frozen=True)
class Material:
    """Something a run took in or gave out.

    name: its part, such as code, config, environment, dataset, consumed, base-model, audit.  digest: algorithm → hex.
    facts: in words, such as the Merkle root of a data set or the verdict of an audit.
    """

    name: str
    digest: Mapping[str, str]
    facts: Mapping[str, str] = field(default_factory=dict)
    uri: str = ""


@final
@dataclass(frozen=True)
class Training:
    """A checkpoint and how it came about.

    output: the checkpoint.  materials: what went in, each name once.  parameters: what a person chose, in words.
    builder: who says so, a URI.  run: an id that all checkpoints of a run share.  step: optimiser steps so far.
    parent: SHA-256 of the statement of the checkpoint before, None = the first of a run.
    """

    output: Material
    materials: tuple[Material, ...]
    builder: str
    run: str
    step: int
    started: datetime
    finished: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    parent: bytes | None = None
    byproducts: tuple[Material, ...] = ()
    tool: str = ""

    def material(self, name: str) -> Material | None:
        """The material of this name, None = the run does not say."""
        return next((material for material in self.materials if material.name == name), None)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Resource(_Part):
    name: Annotated[str, Field(min_length=1)]
    digest: Annotated[dict[str, _Hex], Field(min_length=1)]
    uri: str = ""
    annotations: dict[str, str] = {}


class _Definition(_Part):
    build_type: Annotated[Literal["urn:untaint:train:v1"], Field(alias="buildType")]
    external: Annotated[dict[str, str], Field(alias="externalParameters")]
    internal: Annotated[dict[str, str], Field(alias="internalParameters")] = {}
    dependencies: Annotated[list[_Resource], Field(alias="resolvedDependencies")]


class _Builder(_Part):
    id: Annotated[str, Field(min_length=1)]
    version: dict[str, str] = {}


class _Metadata(_Part):
    invocation: Annotated[str, Field(alias="invocationId", min_length=1)]
    started: Annotated[_Time, Field(alias="startedOn")]
    finished: Annotated[_Time, Field(alias="finishedOn")]


class _Details(_Part):
    builder: _Builder
    metadata: _Metadata
    byproducts: list[_Resource] = []


class _Predicate(_Part):
    definition: Annotated[_Definition, Field(alias="buildDefinition")]
    details: Annotated[_Details, Field(alias="runDetails")]


class _Statement(_Part):
    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[list[_Resource], Field(min_length=1, max_length=1)]  # of several, two could be swapped unseen
    predicate_type: Annotated[Literal["https://slsa.dev/provenance/v1"], Field(alias="predicateType")]
    predicate: _Predicate


def statement(training: Training) -> bytes:
    """The statement, to be signed as it is. Raises BadInput when a material is named twice, or takes the name of the parent."""
    names = [material.name for material in training.materials]
    if twice := {name for name in names if names.count(name) > 1 or name == PARENT}:
        raise BadInput(
            f"the material {min(twice)!r} is named twice, or has a name that is taken.", advice="Give each its own name."
        )
    parent = () if training.parent is None else (Material(PARENT, {"sha256": training.parent.hex()}),)
    document = {
        "_type": STATEMENT,
        "subject": [_resource(training.output)],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {name: str(value) for name, value in training.parameters.items()},
                "internalParameters": {"step": str(training.step)},
                "resolvedDependencies": [_resource(material) for material in (*training.materials, *parent)],
            },
            "runDetails": {
                "builder": {"id": training.builder, "version": {"untaint": training.tool}},
                "metadata": {
                    "invocationId": training.run,
                    "startedOn": stamp(training.started),
                    "finishedOn": stamp(training.finished),
                },
                "byproducts": [_resource(material) for material in training.byproducts],
            },
        },
    }
    return json_text.canonical(document)


def parse(payload: bytes, what: str) -> Training:
    """What a statement says. what: how errors call it. Raises BadInput when it is malformed, of a newer version or of another build."""
    document = json_text.parse(payload, what)
    try:
        kind = document["predicate"]["buildDefinition"]["buildType"]
    except (KeyError, TypeError):
        kind = None
    if kind != BUILD_TYPE and isinstance(kind, str) and kind.startswith(_FAMILY):
        raise BadInput(
            f"{what} is of version {kind.removeprefix(_FAMILY)!r}, this release reads v1.", advice="Use a newer release."
        )
    try:
        found = _Statement.model_validate(document)
        return _training(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(what, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    except ValueError as error:
        raise _bad(what, str(error)) from error


def chain_problems(payloads: Sequence[bytes], what: Sequence[str]) -> tuple[str, ...]:
    """Why these statements are not the checkpoints of one run, oldest first, none left out; nothing = they are.

    what: how messages call each. A gap, a fork, a change of data or code on the way, and time or steps going backwards are all said.
    Raises BadInput when one cannot be read.
    """
    found = [parse(payload, name) for payload, name in zip(payloads, what, strict=True)]
    problems = [f"{what[0]} names a parent that is not here"] if found and found[0].parent is not None else []
    for place, (before, after) in enumerate(itertools.pairwise(found), start=1):
        name, earlier = what[place], what[place - 1]
        if after.parent != hashlib.sha256(payloads[place - 1]).digest():
            problems.append(f"{name} does not follow {earlier}: one between them is missing, or it belongs to another history")
        if after.run != before.run:
            problems.append(f"{name} is of the run {after.run}, and {earlier} of {before.run}")
        if after.step <= before.step:
            problems.append(f"{name} is at step {after.step:,}, not after step {before.step:,} of {earlier}")
        if after.finished < before.finished - SKEW:
            problems.append(f"{name} was finished at {stamp(after.finished)}, before {earlier} ({stamp(before.finished)})")
        changed = [kept for kept in _KEPT if _digest(before, kept) != _digest(after, kept)]
        problems += [f"{name} has another {kept} than {earlier}" for kept in changed]
    return tuple(problems)


def _digest(training: Training, name: str) -> Mapping[str, str] | None:
    found = training.material(name)
    return None if found is None else found.digest


def _training(found: _Statement) -> Training:
    definition, details = found.predicate.definition, found.predicate.details
    materials = [_material(resource) for resource in definition.dependencies]
    names = [material.name for material in materials]
    if len(set(names)) < len(names):
        raise ValueError(f"the material {max(names, key=names.count)!r} is named twice")
    parent = next((material.digest["sha256"] for material in materials if material.name == PARENT), None)
    step = definition.internal.get("step", "")
    if not step.isascii() or not step.isdigit():
        raise ValueError(f"its step is {step!r}")
    return Training(
        _material(found.subject[0]),
        tuple(material for material in materials if material.name != PARENT),
        details.builder.id,
        details.metadata.invocation,
        int(step),
        moment(details.metadata.started),
        moment(details.metadata.finished),
        definition.external,
        None if parent is None else bytes.fromhex(parent),
        tuple(_material(resource) for resource in details.byproducts),
        details.builder.version.get("untaint", ""),
    )


def _resource(material: Material) -> dict[str, Any]:
    facts = {"annotations": {f"untaint_{name}": value for name, value in material.facts.items()}} if material.facts else {}
    return {"name": material.name, "digest": dict(material.digest), **({"uri": material.uri} if material.uri else {}), **facts}


def _material(found: _Resource) -> Material:
    if found.name == PARENT and set(found.digest) != {"sha256"}:
        raise ValueError("its parent has no SHA-256")
    facts = {name.removeprefix("untaint_"): value for name, value in found.annotations.items()}
    return Material(found.name, found.digest, facts, found.uri)


def moment(text: str) -> datetime:
    """A time as `policy.stamp` writes it. Raises ValueError for one that no calendar has."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not the provenance of a training run: {why}.", advice="Get it again, or attest again.")
