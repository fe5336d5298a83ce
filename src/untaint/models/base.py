"""One rule: a model check turns a model, on disk or loaded, into findings; it never loads what could run code.

What it was asked of comes as a `Case`; a part that a check needs and the case lacks makes it skipped, with the reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Check, Confidence, Proof, Severity
from untaint.nets.subject import Reference, Subject
from untaint.registry import members

PACKAGE = "untaint.models"

Kind = Literal["code", "malformed", "tamper", "backdoor", "numbers"]
"""code: what loading would run.  malformed: a file that is not what it says.  tamper: weights, architecture, config or tokenizer
changed without a reason.  backdoor: a trigger.  numbers: weights that are no numbers."""
Need = Literal["path", "base", "subject", "reference", "images", "words"]
"""Parts of a case; `images` and `words` say of what kind the reference must be."""
Answer = Literal["unsafe", "tampered", "backdoored", "no evidence", "cannot tell"]
Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is done, and how much there is."""

_WANTED: Mapping[Need, str] = {
    "path": "it looks at a file, and the model was given from Python",
    "base": "there is no other checkpoint to compare with (--base)",
    "subject": "the model could not be loaded, or is not of a kind that can",
    "reference": "there are no images or rows to try it on (--data)",
    "images": "it looks for what can be added to images, and these are none",
    "words": "it puts words into texts, and these are no numbers of words",
}


def quiet(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody wants to see."""
    return


@final
@dataclass(frozen=True)
class Explained:
    """A training run that is said to lead from the base to the model; what is known of how far it can have moved a weight.

    steps: updates made.  rate: the largest learning rate.  optimizer: its name, as the record says.  clip: the norm gradients were
    cut to, None = not cut.  source: where this was read, for the report.  vouched: whether a signature over it was checked.
    problems: why it is not the run of this model, or not to be believed; nothing = it is.
    """

    steps: int
    rate: float
    optimizer: str
    clip: float | None
    source: str
    vouched: bool = False
    problems: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Case:
    """What a check is asked about.

    path: the model's file or folder.  base: the checkpoint it is said to come from.  run: what is said to have led from one to the
    other.  subject: the model, loaded.  reference: a few images (or rows) that somebody vouches for, with labels.
    alpha: chance of a false alarm a check may take, over all its tests.  seed: of everything drawn at random.
    """

    path: Path | None = None
    base: Path | None = None
    run: Explained | None = None
    subject: Subject | None = None
    reference: Reference | None = None
    alpha: float = 0.01
    seed: int = 0
    progress: Progress = quiet

    def lacks(self, need: Need) -> bool:
        """Whether the case has no such part."""
        if need not in {"images", "words"}:
            return getattr(self, need) is None
        inputs = None if self.reference is None else self.reference.inputs
        if need == "images":
            return inputs is None or inputs.dtype != np.uint8 or inputs.ndim != 4
        return inputs is None or inputs.ndim != 2 or not np.issubdtype(inputs.dtype, np.integer)


@final
@dataclass(frozen=True)
class ModelFinding:
    """Something a person should know about a model.

    where: file, member of an archive, tensor or class it is about.  what: the evidence in a sentence.  advice: what to do.
    p_value: NaN = not a test.  target_label, trigger, proof: of a backdoor.  details: numbers a report shows, by name.
    """

    id: str  # M1, M2 …
    kind: Kind
    severity: Severity
    confidence: Confidence
    where: str
    what: str
    advice: str
    check: str
    p_value: float = float("nan")
    target_label: str | None = None
    trigger: Trigger | None = None
    proof: Proof | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Checked:
    """What one check found out.

    answer: what it says of the model by itself; `no evidence` is not `clean`: nothing proves a model clean.
    facts: what it did and saw, in order, for the report: numbers, names, tables as lists of rows.
    """

    answer: Answer
    findings: tuple[ModelFinding, ...] = ()
    reason: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


class ModelCheck(ABC):
    """A frozen dataclass whose fields are its parameters.

    The docstring is the manual page: one sentence, then *Works when*, *Fails when*, *Cost*, *Reference*.
    accuses: whether its answer counts in that of an inspection; one that only lists oddities has no say in it.
    """

    id: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    accuses: ClassVar[bool] = True

    @abstractmethod
    def examine(self, case: Case) -> Checked:
        """Look at a case that has all of `needs`. Raises BadInput where the parts do not fit each other."""


@final
@dataclass(frozen=True)
class Inspected:
    """All checks of one model. answer: the worst any check gave; findings numbered over all checks."""

    answer: Answer
    findings: tuple[ModelFinding, ...]
    checks: tuple[Check, ...]
    facts: Mapping[str, Mapping[str, object]]
    model: Mapping[str, object]


def checks() -> Mapping[str, type[ModelCheck]]:
    """Every check known, plug-ins included, by id."""
    return members(ModelCheck, PACKAGE)


def missing(check: type[ModelCheck] | ModelCheck, case: Case) -> str | None:
    """Why a check cannot look at a case, None = it can."""
    lacking = sorted(
        (need for need in check.needs if case.lacks(need)), key=lambda need: need == "subject"
    )  # it may yet be loaded
    return _WANTED[lacking[0]] if lacking else None
