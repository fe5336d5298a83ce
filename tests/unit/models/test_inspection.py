"""All checks over one model: order, reasons, and the one answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pytest
from tests.weight_files import stored, weights
from typing_extensions import override

from untaint.errors import BadInput, NothingChecked
from untaint.evidence.finding import Severity
from untaint.models.base import Answer, Case, Checked, Kind, ModelCheck, ModelFinding, Need
from untaint.models.diff import Diff
from untaint.models.inspection import inspected
from untaint.models.sound_numbers import SoundNumbers
from untaint.models.trigger_inversion import TriggerInversion
from untaint.models.trigger_tokens import TriggerTokens
from untaint.nets.subject import FunctionSubject, Reference, Subject


def _finding(kind: Kind, severity: Severity) -> ModelFinding:
    return ModelFinding("", kind, severity, "high", "here", "what", "do", "fake")


@final
@dataclass(frozen=True)
class OfFile(ModelCheck):
    """A fake that looks at files."""

    id: ClassVar[str] = "of-file"
    needs: ClassVar[tuple[Need, ...]] = ("path",)
    answer: Answer = "no evidence"
    findings: tuple[ModelFinding, ...] = ()
    error: Exception | None = None

    @override
    def examine(self, case: Case) -> Checked:
        if self.error is not None:
            raise self.error
        return Checked(self.answer, self.findings)


@final
@dataclass(frozen=True)
class OfModel(ModelCheck):
    """A fake that looks at a loaded model."""

    id: ClassVar[str] = "of-model"
    needs: ClassVar[tuple[Need, ...]] = ("subject",)
    answer: Answer = "no evidence"

    @override
    def examine(self, case: Case) -> Checked:
        assert case.subject is not None
        return Checked(self.answer, (_finding("backdoor", "low"),))


@final
@dataclass(frozen=True)
class Listing(ModelCheck):
    """A fake that names oddities and accuses nobody."""

    id: ClassVar[str] = "listing"
    needs: ClassVar[tuple[Need, ...]] = ("subject",)
    accuses: ClassVar[bool] = False
    answer: Answer = "no evidence"

    @override
    def examine(self, case: Case) -> Checked:
        return Checked(self.answer, reason="an oddity")


HERE = Case(path=Path(__file__))


def _loaded() -> Subject:
    return FunctionSubject(lambda inputs: inputs)


def _refused() -> Subject:
    raise AssertionError("must not be loaded")


def test_a_model_whose_file_holds_code_is_not_loaded() -> None:
    for kind in ("code", "malformed"):
        done = inspected(HERE, _refused, [OfModel(), OfFile("unsafe", (_finding(kind, "high"),))])
        assert done.answer == "unsafe"
        assert [(check.detector, check.status) for check in done.checks] == [("of-file", "ran"), ("of-model", "skipped")]
        assert "was not loaded" in done.checks[1].reason


def test_findings_are_numbered_worst_first_and_the_worst_answer_counts() -> None:
    first = OfFile("no evidence", (_finding("numbers", "info"), _finding("tamper", "critical")))
    done = inspected(HERE, _loaded, [OfModel("backdoored"), first])
    assert done.answer == "backdoored"
    assert [(finding.id, finding.severity) for finding in done.findings] == [("M1", "critical"), ("M2", "low"), ("M3", "info")]


def test_a_look_at_the_file_alone_is_no_answer_about_its_weights() -> None:
    done = inspected(HERE, None, [OfFile()])
    assert done.answer == "cannot tell"
    assert "only the file itself" in str(done.model["reasons"])


def test_what_only_lists_has_no_say_in_the_answer() -> None:
    done = inspected(Case(subject=_loaded()), None, [Listing("cannot tell"), OfModel("no evidence")])
    assert (done.answer, done.model["reasons"]) == ("no evidence", [])
    done = inspected(Case(subject=_loaded()), None, [Listing("no evidence")])
    assert done.answer == "cannot tell"
    assert "nobody tried" in str(done.model["reasons"])


def test_a_search_for_another_kind_of_data_is_skipped_and_without_any_nothing_is_told() -> None:
    images = Reference(np.zeros((50, 6, 6, 1), np.uint8), np.arange(50) % 2, ("a", "b"))
    rows = Reference(np.zeros((50, 6), np.float32), np.arange(50) % 2, ("a", "b"))
    done = inspected(Case(subject=_loaded(), reference=images), None, [TriggerTokens(), OfModel("no evidence")])
    assert (done.answer, done.checks[0].status) == ("no evidence", "skipped")
    assert "no numbers of words" in done.checks[0].reason
    done = inspected(Case(subject=_loaded(), reference=rows), None, [TriggerTokens(), TriggerInversion(), Listing("no evidence")])
    assert done.answer == "cannot tell"
    assert "data of this kind" in str(done.model["reasons"])


def test_a_model_that_cannot_be_loaded_skips_what_needs_it() -> None:
    def broken() -> Subject:
        raise BadInput("nobody knows this network.")

    done = inspected(HERE, broken, [OfFile(), OfModel()])
    assert done.checks[1].reason == "the model could not be loaded: nobody knows this network."


def test_a_check_that_fails_is_told_and_nothing_at_all_is_an_error() -> None:
    done = inspected(HERE, _loaded, [OfFile(error=BadInput("bad.")), OfModel()])
    assert [check.status for check in done.checks] == ["failed", "ran"]
    with pytest.raises(NothingChecked, match="bad"):
        inspected(HERE, None, [OfFile(error=BadInput("bad."))])


def test_what_lacks_a_part_says_which(tmp_path: Path) -> None:
    path = stored(tmp_path / "m.safetensors", weights())
    done = inspected(Case(path=path), None, [Diff(), SoundNumbers()])
    assert "--base" in done.checks[0].reason


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    arrays = weights()
    arrays["dense"][3, 4], arrays["dense"][0, 0], arrays["bias"][5] = float("nan"), float("inf"), float("inf")
    arrays["attention.mask"] = np.full((4, 4), -np.inf, np.float32)
    found = inspected(Case(path=stored(tmp_path / "m.safetensors", arrays)), None, [SoundNumbers()]).findings
    assert [(finding.where, finding.severity) for finding in found] == [
        ("bias", "medium"),
        ("dense", "medium"),
        ("attention.mask", "info"),
    ]
    assert "1 NaN and 1 infinite" in found[1].what
