"""What opening a model file would run, and whether the file is what it says: every byte looked at, none of it run."""

from dataclasses import dataclass
from typing import ClassVar, final

from typing_extensions import override

from untaint.errors import BadInput, NothingChecked
from untaint.evidence.finding import SEVERITIES, Confidence
from untaint.models.base import Case, Checked, ModelCheck, ModelFinding, Need
from untaint.models.formats.notes import RULES, Flaw
from untaint.models.formats.scan import scan


@final
@dataclass(frozen=True)
class LoadSafety(ModelCheck):
    """What loading a model file would import, call, read or write, told without loading it; and whether the file is whole.

    Works when: the format is one of safetensors, PyTorch (zip, legacy, tar), pickle and joblib, Keras (.keras, .h5), TensorFlow
    SavedModel, ONNX, GGUF, NumPy, or a folder or archive of them with their configurations. Everything a pickle may name is on a short
    list by exact module and name, with the arguments it may be called with; whatever else there is, is a finding.
    Fails when: what is wrong is in the weights; when a loader has a fault of its own that a well-formed file sets off; when a graph of
    TensorFlow or ONNX does harm with arithmetic alone; when code is in a file of no format that is known here (said so). Pickles of
    whole modules and of scikit-learn are findings, harmless or not: what their classes do with what a file says nobody reviewed.
    Cost: one read of the file; half a minute at most for the instructions of pickles. Memory below 1.5 GiB.
    Reference: advisories of picklescan and fickling (GHSA, 2025 and 2026), Zhao and others 2025, arXiv 2508.19774, on why lists of what
    is forbidden fail; the unpickler of `torch.load(weights_only=True)` for what tensors need.
    """

    id: ClassVar[str] = "load-safety"
    needs: ClassVar[tuple[Need, ...]] = ("path",)

    @override
    def examine(self, case: Case) -> Checked:
        if case.path is None:
            raise BadInput("there is no file to look at.", advice="Give the path of the model.")
        found = scan(case.path)
        facts = {
            "files": [{"path": file.path, "format": file.format, "bytes": file.size} for file in found.files],
            "formats": list(found.formats),
            "riding code": list(found.riding),
        }
        findings = tuple(_finding(number, flaw) for number, flaw in enumerate(found.flaws, start=1))
        if found.at_least("medium"):
            return Checked("unsafe", findings, facts=facts)
        if found.nothing:
            named = ", ".join(sorted({file.format for file in found.files})) or "there is none"
            message = f"nothing was scanned: no file of {case.path} is of a format that holds a model ({named})."
            raise NothingChecked(message, advice="Give the model itself; silence would read as a pass.")
        return Checked("no evidence", findings, facts=facts)


def _finding(number: int, flaw: Flaw) -> ModelFinding:
    times = f" ({flaw.count:,} times)" if flaw.count > 1 else ""
    confidence: Confidence = "medium" if SEVERITIES.index(flaw.severity) < SEVERITIES.index("high") else "high"
    kind, advice = RULES[flaw.rule]
    details = {"rule": flaw.rule}
    return ModelFinding(
        f"M{number}", kind, flaw.severity, confidence, flaw.where, f"{flaw.what}{times}", advice, LoadSafety.id, details=details
    )
