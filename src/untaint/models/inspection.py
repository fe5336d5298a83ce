"""One inspection: every check that can look at a model, files before anything is loaded, and one answer over all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import final

from untaint.errors import NothingChecked, UntaintError
from untaint.evidence.finding import SEVERITIES, Check, Status
from untaint.models.base import Answer, Case, Checked, Inspected, ModelCheck, checks, missing
from untaint.models.weights.stored import NotRead
from untaint.nets.subject import Subject
from untaint.registry import spec

_ORDER: tuple[Answer, ...] = ("no evidence", "cannot tell", "backdoored", "tampered", "unsafe")
_HIGH = SEVERITIES.index("high")
_GIVE = "give the checkpoint it comes from (--base), or data to try it on (--data)"
_ONLY_FILES = f"only the file itself was looked at, not whether its weights were tampered with: {_GIVE}"
_UNTRIED = f"nobody tried what it answers: {_GIVE}"
_NO_KIND = "no check looks for triggers in data of this kind, or none could: see what was not checked"
_NOT_LOADED = "the model was not loaded, since opening it may run code or it is not what it says"

Load = Callable[[], Subject]
"""Makes the model ready to answer; called only when nothing was found that speaks against it."""


def inspected(
    case: Case, load: Load | None = None, chosen: Sequence[ModelCheck] | None = None, about: Mapping[str, object] | None = None
) -> Inspected:
    """Look at a model with all checks, or those chosen. load: how to load it, None = it comes loaded, or is not to be.

    about: what is known of the model beforehand, for the report.

    Checks of files come first; where they find something bad, the model is not loaded.
    Raises NothingChecked when no check could look: silence would read as a pass.
    """
    run = _Run(case)
    asked = [kind() for kind in checks().values()] if chosen is None else list(chosen)
    for check in (each for each in asked if "subject" not in each.needs):
        run.look(check)
    rest = [each for each in asked if "subject" in each.needs]
    why = _NOT_LOADED if run.unsafe else None
    if load is not None and rest and why is None:
        why = run.load(load, rest)
    for check in rest:
        run.look(check, why)
    if not any(done.status == "ran" for done in run.done):
        said = "; ".join(f"{done.detector}: {done.reason}" for done in run.done) or "there is no check"
        raise NothingChecked(f"nothing was checked ({said}).", advice="Give a model file that is whole, or a model from Python.")
    return run.result(about or {})


@final
class _Run:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.done: list[Check] = []
        self.found: dict[str, Checked] = {}
        self.heard: list[Checked] = []  # whose answer counts
        self.weighed = False

    @property
    def unsafe(self) -> bool:
        """Whether a check of files found something for which the model must not be loaded."""
        return any(
            finding.kind in {"code", "malformed"} and SEVERITIES.index(finding.severity) >= _HIGH
            for checked in self.found.values()
            for finding in checked.findings
        )

    def load(self, load: Load, rest: Sequence[ModelCheck]) -> str | None:
        """Load the model, if some check would look at it. Returns why it can't be, None = it is there, or is not needed."""
        wanting = [check for check in rest if [need for need in check.needs if need != "subject" and self.case.lacks(need)] == []]
        if not wanting or not self.case.lacks("subject"):
            return None
        try:
            self.case = replace(self.case, subject=load())
        except UntaintError as error:
            return f"the model could not be loaded: {error.message}"
        return None

    def look(self, check: ModelCheck, why: str | None = None) -> None:
        """Let one check look, or say why it can't. why: the model is not loaded."""
        reason = missing(check, self.case)
        if reason is not None:
            only_subject = not any(self.case.lacks(need) for need in check.needs if need != "subject")
            self._note(check, "skipped", why if why and only_subject else reason, 0.0)
            return
        started = time.monotonic()
        try:
            checked = check.examine(self.case)
        except NotRead as error:
            self._note(check, "skipped", error.message, time.monotonic() - started)
        except UntaintError as error:
            self._note(check, "failed", str(error), time.monotonic() - started)
        else:
            self.found[check.id] = checked
            if check.accuses:
                self.heard.append(checked)
                self.weighed |= check.needs != ("path",)
            self._note(check, "ran", checked.reason, time.monotonic() - started)

    def _note(self, check: ModelCheck, status: Status, reason: str, seconds: float) -> None:
        self.done.append(Check(check.id, spec(check), status, reason, seconds))

    def _missed(self) -> str:
        """Why nothing that was looked at could have told of tampered weights."""
        if self.case.reference is not None:
            return _NO_KIND
        return _UNTRIED if self.case.path is None else _ONLY_FILES

    def result(self, about: Mapping[str, object]) -> Inspected:
        """One answer, and the findings of all, worst first."""
        findings = [finding for checked in self.found.values() for finding in checked.findings]
        findings.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
        numbered = tuple(replace(finding, id=f"M{place}") for place, finding in enumerate(findings, start=1))
        answers = [checked.answer for checked in self.heard]
        if not self.weighed:
            answers.append("cannot tell")
        said = [checked.reason for checked in self.heard if checked.reason]
        facts = {name: checked.facts for name, checked in self.found.items()}
        model = {**about, "reasons": said if self.weighed else [*said, self._missed()]}
        return Inspected(max(answers, key=_ORDER.index), numbered, tuple(self.done), facts, model)
