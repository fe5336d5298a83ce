"""Whether something was entered in a log that a trusted key signed; and entering it with whichever key the log belongs to."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from untaint.errors import BadInput
from untaint.provenance import json_text
from untaint.provenance.keys import PrivateKey
from untaint.provenance.log import CHECKPOINT, Log, record
from untaint.provenance.policy import Policy


def absent(log: Log, wanted: Mapping[str, str], asked: Policy, what: str) -> list[str]:
    """Why no entry with these fields is in a log that one of the trusted keys signed; nothing = one is. what: is looked for, in words.

    All of the log is checked. Raises BadInput when its checkpoint cannot be read.
    """
    if not (log.folder / CHECKPOINT).exists():
        return [f"there is no log in {log.folder}"]
    owner = next((trusted.key for trusted in asked.keys if asked.standing(trusted.key) and log.claims(trusted.key)), None)
    if owner is None:
        return [f"none of the keys of {asked.what} signed the log in {log.folder}"]
    checked = log.check(owner, asked.witnesses, asked.least)
    if checked.problems:
        return [f"the log: {problem}" for problem in checked.problems]
    entries = (json_text.parse(entry, f"an entry of {log.folder}") for entry in log.entries())
    found = any(all(entry.get(name) == value for name, value in wanted.items()) for entry in entries)
    return [] if found else [f"the log has no entry for {what}"]


def enter(log: Log, document: Mapping[str, object], signers: Sequence[PrivateKey], *, now: datetime) -> str:
    """Log a record with the first key that may; why none of them may, empty = it was logged. A changed log is never signed again."""
    why = "nobody signs"
    for key in signers:
        try:
            record(log, document, key, now=now)
        except BadInput as error:  # another signer may own the log
            why = error.message
        else:
            return ""
    return why
