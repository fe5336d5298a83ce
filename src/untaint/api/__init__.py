"""One short function per verb. Everything the command line does can be done from here."""

from untaint.api.conversion import convert
from untaint.api.data import CACHE, attack, audit, clean, load, report, restore, schema, writable, write_poisoned
from untaint.api.guards import check_guard, fit_guard
from untaint.api.insight import explain, explain_change, invert
from untaint.api.models import inspect
from untaint.api.provenance import (
    attest,
    check_attestations,
    check_bundle,
    check_log,
    check_signatures,
    checker,
    export,
    log,
    new_key,
    prove_entry,
    public_key,
    seal,
    seal_init,
    sign,
    source_risks,
    trace,
    verify,
)
from untaint.api.repairing import repair
from untaint.api.training import TrainedRun, harden, harden_keras, sweep, train
from untaint.provenance.keyless import Identity
from untaint.provenance.spot import Ask
from untaint.provenance.training import Inputs, Point
from untaint.provenance.witness import Witness

__all__ = [
    "CACHE",
    "Ask",
    "Identity",
    "Inputs",
    "Point",
    "TrainedRun",
    "Witness",
    "attack",
    "attest",
    "audit",
    "check_attestations",
    "check_bundle",
    "check_guard",
    "check_log",
    "check_signatures",
    "checker",
    "clean",
    "convert",
    "explain",
    "explain_change",
    "export",
    "fit_guard",
    "harden",
    "harden_keras",
    "inspect",
    "invert",
    "load",
    "log",
    "new_key",
    "prove_entry",
    "public_key",
    "repair",
    "report",
    "restore",
    "schema",
    "seal",
    "seal_init",
    "sign",
    "source_risks",
    "sweep",
    "trace",
    "train",
    "verify",
    "writable",
    "write_poisoned",
]
