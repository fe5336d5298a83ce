"""What a record of training says about how far a model can have come from its base: an attestation, `run.json`, or a few plain numbers."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from untaint.errors import BadInput
from untaint.models.base import Explained
from untaint.provenance import attest, dsse, materials, training
from untaint.provenance.policy import Policy
from untaint.training.record import SCHEMA

_RATES = ("rate", "learning_rate", "lr")
_CLIPS = ("clip", "max_grad_norm", "clip_norm")
_HOUSE = "adamw"
"""What `untaint train` trains with."""
_LARGEST = 50_000_000  # bytes of a record
_ADVICE = (
    "Give an attestation (`untaint attest new --parameter rate=1e-5 --parameter optimizer=adamw`), run.json of `untaint train`, or "
    'JSON such as {"steps": 1000, "rate": 1e-5, "optimizer": "adamw"}.'
)


def explained(record: Path, model: Path, base: Path | None, policy: Policy | None) -> Explained:
    """Read a record. policy: who must have signed an attestation, None = it is not asked.

    Raises BadInput for a file that is no record, or lacks steps or rate.
    """
    content = _content(record)
    if "payload" in content:
        return _attested(record, model, base, policy)
    if content.get("schema") == SCHEMA:
        told: Mapping[str, Any] = {"optimizer": _HOUSE, **content.get("plan", {})}
        steps = content.get("session", {}).get("steps")
    else:
        told, steps = content, content.get("steps", content.get("max_steps", content.get("global_step")))
    signed = () if policy is None else ("it is not signed, and a signature was asked for",)
    return _explained(record, steps, told, vouched=False, problems=signed)


def _content(record: Path) -> Mapping[str, Any]:
    try:
        size = record.stat().st_size
        found = json.loads(record.read_bytes()) if size <= _LARGEST else None
    except OSError as error:
        raise BadInput(f"no record at {record}: {error.strerror}.", advice=_ADVICE) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{record} is no record of a training run.", advice=_ADVICE) from error
    if not isinstance(found, dict):
        raise BadInput(f"{record} is no record of a training run.", advice=_ADVICE)
    return found


def _attested(record: Path, model: Path, base: Path | None, policy: Policy | None) -> Explained:
    run = attest.parse(dsse.load(record).payload, str(record))
    problems: list[str] = []
    if policy is not None:
        checked = training.check(None, [record], policy, now=datetime.now(UTC))
        problems += [problem for problem in checked.problems if "names a parent that is not here" not in problem]
    if not _fits(model, run.output.digest):
        problems.append(f"{model.name} is not the model that it is about")
    named = run.material("base-model")
    if base is not None and named is not None and not _fits(base, named.digest):
        problems.append(f"{base.name} is not the base that it names")
    return _explained(
        record, run.step, {"optimizer": _HOUSE, **run.parameters}, vouched=policy is not None, problems=tuple(problems)
    )


def _fits(path: Path, digest: Mapping[str, str]) -> bool:
    """Whether a digest is of this model, or of the one weights file in its folder."""
    files = [path, *path.glob("*.safetensors")] if path.is_dir() else [path]
    return any(materials.of_path("model", file).digest == digest for file in files)


def _explained(record: Path, steps: object, told: Mapping[str, Any], *, vouched: bool, problems: tuple[str, ...]) -> Explained:
    rate, clip = _number(told, _RATES), _number(told, _CLIPS)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0 or rate is None:
        raise BadInput(f"{record} does not say how many steps were made at which rate.", advice=_ADVICE)
    optimizer = told.get("optimizer", told.get("optim", "an unknown optimizer"))
    return Explained(steps, rate, str(optimizer), clip, str(record), vouched and not problems, problems)


def _number(told: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        try:
            found = float(told[name])
        except (KeyError, TypeError, ValueError):
            continue
        if isfinite(found) and found > 0:
            return found
    return None
