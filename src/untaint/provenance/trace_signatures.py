"""Who vouches for what a trace tells: the signatures of seals and attestations, held against a policy when it is asked."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, final

from untaint.errors import BadInput
from untaint.provenance import attest, dsse, policy, training
from untaint.provenance.policy import Policy
from untaint.provenance.sealed import read_seal
from untaint.provenance.sign import verify_seal

NOT_CHECKED: Final = "not checked"


@final
@dataclass(frozen=True)
class Signatures:
    """asked: None = nobody asked, so nothing is checked.  problems: what was found to be wrong, by what it is about."""

    asked: Policy | None
    now: datetime
    problems: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def of_seal(self, folder: str) -> str:
        """Who signed the seal in a folder, in words."""
        if self.asked is None or not (self.asked.everybody or self.asked.require):
            return NOT_CHECKED
        if folder not in self._known:
            try:
                found = verify_seal(read_seal(Path(folder)), self.asked, now=self.now).decision
                problems, signers = list(found.problems), found.signers
            except BadInput as error:
                problems, signers = [error.message.rstrip(".")], ()
            self._known[folder] = self._said(folder, problems, signers)
        return self._known[folder]

    def of_attestation(self, file: str, digest: str, folder: str | None) -> str:
        """Who signed the attestation in a file, in words. digest: of its statement, as it was entered.  folder: of the seal it names.

        Where the policy requires a log the attestation must be in that of the seal.
        """
        if self.asked is None or not (self.asked.everybody or self.asked.training):
            return NOT_CHECKED
        if file not in self._known:
            problems, signers = self._attestation(Path(file), digest, folder, self.asked)
            self._known[file] = self._said(file, problems, signers)
        return self._known[file]

    def _attestation(self, path: Path, digest: str, folder: str | None, asked: Policy) -> tuple[list[str], tuple[str, ...]]:
        try:
            envelope = dsse.load(path)
            if hashlib.sha256(envelope.payload).hexdigest() != digest:
                return ["it is another attestation than the one that was entered"], ()
            said = attest.parse(envelope.payload, str(path))
            found = policy.decide(envelope, asked, created=said.finished, now=self.now, of="training")
            problems = list(found.problems)
            if asked.log:
                problems += ["its data are not entered"] if folder is None else training.unlogged(envelope, Path(folder), asked)
        except BadInput as error:
            return [error.message.rstrip(".")], ()
        return problems, found.signers

    def _said(self, what: str, problems: list[str], signers: tuple[str, ...]) -> str:
        if problems:
            self.problems[what] = "; ".join(problems)
            return f"not trusted: {'; '.join(problems)}"
        return f"signed by {', '.join(signers)}"
