"""Attest a training run, and check the attestations of a model: measure, state, sign; read, verify, compare with what is there."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import final

from untaint.errors import BadInput
from untaint.provenance import attest, dsse, log_search, materials, policy
from untaint.provenance.attest import Material, Training
from untaint.provenance.dsse import Envelope
from untaint.provenance.keys import PrivateKey
from untaint.provenance.log import found_in
from untaint.provenance.policy import Policy
from untaint.provenance.sealed import read_seal


@final
@dataclass(frozen=True)
class Inputs:
    """Paths of what a run took in, None = it is not said.

    data: folder of a seal.  code, config, base: files or folders.  audit: folder that an audit wrote.  consumed: root and
    number of the samples that training read (verify-on-read).  others: name → path of anything else.
    """

    data: Path | None = None
    code: Path | None = None
    config: Path | None = None
    base: Path | None = None
    audit: Path | None = None
    consumed: tuple[str, int] | None = None
    others: Mapping[str, Path] = field(default_factory=dict)

    def measured(self) -> tuple[Material, ...]:
        """All of them as materials, and what is installed. Raises BadInput for one that is not there."""
        paths = {"config": self.config, "base-model": self.base, **self.others}
        found = [materials.of_path(name, path) for name, path in paths.items() if path is not None]
        found += [materials.of_code(self.code)] if self.code is not None else []
        found += [materials.of_data(read_seal(self.data))] if self.data is not None else []
        found += [materials.of_audit(self.audit)] if self.audit is not None else []
        found += [materials.of_consumed(*self.consumed)] if self.consumed is not None else []
        return (*found, materials.environment()[0])


@final
@dataclass(frozen=True)
class Point:
    """Where a checkpoint stands.

    step: optimiser steps so far.  parent: attestation of the checkpoint before, whose run goes on; its signature is the reader's
    business.  started: when the run began, None = with its parent, or now.  parameters: what a person chose, in words.
    """

    step: int = 0
    parent: Path | None = None
    started: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Attested:
    """trainings: what the attestations say, oldest first.  signers: of the newest.  problems: why they are not to be believed."""

    trainings: tuple[Training, ...]
    signers: tuple[str, ...]
    problems: tuple[str, ...]


def attested(
    model: Path, inputs: Inputs, point: Point, signers: Sequence[PrivateKey], *, now: datetime, tool: str = ""
) -> Envelope:
    """A signed attestation of the checkpoint at `model`, which nothing is written to.

    Raises BadInput when something is not there, nobody signs, or the parent is at a later step.
    """
    before = dsse.load(point.parent) if point.parent is not None else None
    earlier = attest.parse(before.payload, str(point.parent)) if before else None
    if earlier is not None and point.step <= earlier.step:
        advice = "Say how far training had come with --step."
        raise BadInput(f"step {point.step:,} is not after step {earlier.step:,} of {point.parent}.", advice=advice)
    training = Training(
        output=materials.of_path("model", model),
        materials=inputs.measured(),
        builder=f"urn:untaint:trainer:{signers[0].public.fingerprint if signers else 'nobody'}",
        run=earlier.run if earlier else secrets.token_hex(16),
        step=point.step,
        started=point.started or (earlier.started if earlier else now),
        finished=now,
        parameters=point.parameters,
        parent=hashlib.sha256(before.payload).digest() if before else None,
        tool=tool,
    )
    return dsse.sign(attest.statement(training), signers)


def log(envelope: Envelope, folder: Path, signers: Sequence[PrivateKey], *, now: datetime) -> None:
    """Enter an attestation in a log, by its digest. folder: of the log, or of the seal whose log it is.

    Raises BadInput when none of the keys is that of the log, or the log was changed.
    """
    training = attest.parse(envelope.payload, "the attestation")
    entry = {
        "type": "attest",
        "attestation": hashlib.sha256(envelope.payload).hexdigest(),
        "model": training.output.digest.get("sha256", ""),
        "run": training.run,
        "step": str(training.step),
        "keys": [key.public.fingerprint for key in signers],
    }
    if why := log_search.enter(found_in(folder), entry, signers, now=now):
        raise BadInput(f"the attestation is not in the log: {why}", advice="Give the key of the log, or begin another log.")


def unlogged(envelope: Envelope, folder: Path, asked: Policy) -> list[str]:
    """Why an attestation is not in a log that a trusted key signed; nothing = it is."""
    digest = hashlib.sha256(envelope.payload).hexdigest()
    return log_search.absent(found_in(folder), {"type": "attest", "attestation": digest}, asked, "this attestation")


def check(model: Path | None, attestations: Sequence[Path], asked: Policy, *, now: datetime) -> Attested:
    """Check the attestations of a run, oldest first. model: that the newest is about, None = it is not at hand.

    Raises BadInput when there is none, or one cannot be read.
    """
    if not attestations:
        raise BadInput("no attestation was given, so nothing was checked.", advice="Name the files, oldest first.")
    envelopes = [dsse.load(path) for path in attestations]
    trainings = [attest.parse(envelope.payload, str(path)) for envelope, path in zip(envelopes, attestations, strict=True)]
    problems: list[str] = []
    signers: tuple[str, ...] = ()
    for path, envelope, training in zip(attestations, envelopes, trainings, strict=True):
        decision = policy.decide(envelope, asked, created=training.finished, now=now, of="training")
        problems += [f"{path}: {problem}" for problem in decision.problems]
        signers = decision.signers
        problems += [f"{path}: {problem}" for problem in _consumed_problems(training)]
    problems += attest.chain_problems([envelope.payload for envelope in envelopes], [str(path) for path in attestations])
    if model is not None and materials.of_path("model", model).digest != trainings[-1].output.digest:
        problems.append(f"{model} is not the model that {attestations[-1]} is about")
    return Attested(tuple(trainings), signers, tuple(problems))


def _consumed_problems(training: Training) -> list[str]:
    """Why what was read cannot come from the data set that is named."""
    data, consumed = training.material("dataset"), training.material("consumed")
    if data is None or consumed is None:
        return []
    read, there = (found.facts.get("samples", "") for found in (consumed, data))
    if not (read.isascii() and read.isdigit() and there.isascii() and there.isdigit()):
        return ["it does not say how many samples were read, or there are"]
    if int(read) > int(there):
        return [f"it read {int(read):,} different samples of a set of {int(there):,}"]
    if int(read) == int(there) and consumed.digest.get("sha256") != data.facts.get("root"):
        return ["it read every sample of its data set, and came to another root: what was read is not what was sealed"]
    return []
