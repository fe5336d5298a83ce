"""A model against the checkpoint it is said to come from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.evidence.finding import SEVERITIES, Severity
from untaint.models.base import Answer, Case, Checked, Explained, ModelCheck, ModelFinding, Need
from untaint.models.changes.beside import Beside, beside
from untaint.models.changes.bound import STATISTICS, Bound, bound
from untaint.models.changes.groups import SEVERITY, Group, grouped
from untaint.models.changes.kinds import Kind, Named, named
from untaint.models.changes.matrices import Read, compared
from untaint.models.changes.pairing import Pair, Pairing, paired
from untaint.models.weights.opened import opened
from untaint.models.weights.stored import Stored, Weights

_LISTED = 2_000  # rows of the table of tensors in a report
_NAMED = 4  # tensors named in a sentence
_BY_TRAINING = {"dense fine-tune", "low-rank adapter", "re-initialised", "quantised or rounded", "renamed", "some rows"}
"""What a run that trains can leave behind; whatever else changed was done by other means."""
_ADVICE = {
    "high": "Do not deploy it: take the model from its source again, or from the last checkpoint whose origin is attested.",
    "medium": "Ask who trained it, and give the record of that run with --run; without one, treat it as a model of unknown origin.",
    "low": "Make sure that whoever converted the model is who you think.",
    "info": "Nothing, if you know why.",
}


@final
@dataclass(frozen=True)
class Diff(ModelCheck):
    """Every tensor of a model against those of its base: what changed, what kind of change it is, and whether a training run explains it.

    Works when: a checkpoint is at hand that the model is said to come from. Names edits of one value, row, column or sign, bit flips,
    rank-one edits, merged adapters, fine-tunes, rounding, scaling, pruning and permutations; compares architecture, labels, tokenizer
    and chat template of folders. With the record of a run, a change that its steps and rate can't have made is told.
    Fails when: the base was changed too; when an edit hides in a fine-tune that nobody denies; when an adapter is so small that the
    rounding of its format hides its rank, which is then called a fine-tune. The bound of a long run at a high rate holds little back.
    Cost: reads both files once, tensors that changed twice; a few megabytes of memory at a time.
    Reference: Meng and others 2022, arXiv 2202.05262 (edits of rank one); Hu and others 2021, arXiv 2106.09685 (adapters); Rakin and
    others 2020, arXiv 1909.05193 (bit flips); Halko and others 2011 (rank from a sketch)
    """

    id: ClassVar[str] = "diff"
    needs: ClassVar[tuple[Need, ...]] = ("path", "base")

    @override
    def examine(self, case: Case) -> Checked:
        base, path = case.base or Path(), case.path or Path()  # `needs` names both
        old, new = opened(base), opened(path)
        pairing = paired(old, new)
        changes = tuple(_changes(pairing, case))
        files = beside(base, path)
        groups = grouped(changes)
        run = case.run if case.run is not None and not case.run.problems else None
        limit = bound(run) if run is not None else None
        findings = [*_of_record(case.run), *(_finding(group, run, limit) for group in groups), *map(_of_file, files)]
        answer, reason = _answer(findings, groups, limit)
        facts = _facts(old, new, pairing, changes) | {"files": [each.said for each in files]}
        if limit is not None and run is not None:
            facts |= {"bound": limit.said, "run": run.source, "run signed": run.vouched}
        return Checked(answer, tuple(findings), reason, facts)


def _changes(pairing: Pairing, case: Case) -> Iterator[Named]:
    pairs = pairing.pairs
    total = sum(min(pair.old.size, pair.new.size) * 2 for pair in pairs)
    done = 0

    def told(size: int) -> None:
        nonlocal done
        done = min(done + size, total)
        case.progress("comparing tensors", done, total)

    for pair in pairs:
        yield from _of_pair(pair, case.seed, told)
    for tensor, kind in [*((each, "added") for each in pairing.added), *((each, "removed") for each in pairing.removed)]:
        yield Named(Pair(tensor, tensor), "added" if kind == "added" else "removed", f"{kind}: {_outline(tensor)}")


def _of_pair(pair: Pair, seed: int, told: Read) -> Iterator[Named]:
    if not pair.comparable:
        same = pair.old.count == pair.new.count and pair.old.form == pair.new.form
        moved = compared(Pair(replace(pair.old, shape=pair.new.shape), pair.new), seed, told) if same else None
        about = "with the same numbers" if same and moved is None else "with other numbers"
        yield Named(pair, "reshaped", f"{_outline(pair.old)} became {_outline(pair.new)}, {about}", moved)
        return
    change = compared(pair, seed, told)
    if change is not None:
        yield named(pair, change)
    elif pair.old.form != pair.new.form:
        yield Named(
            pair, "quantised or rounded", f"the same numbers, stored as {pair.new.form.name} and not {pair.old.form.name}"
        )
    if pair.old.shape != pair.new.shape:
        more = pair.new.shape[0] - pair.old.shape[0]
        kind: Kind = "added" if more > 0 else "removed"
        yield Named(pair, kind, f"{abs(more):,} rows {'more' if more > 0 else 'fewer'} than before")
    if pair.renamed and change is None:
        yield Named(pair, "renamed", f"was called {pair.old.name}")


def _outline(tensor: Stored) -> str:
    return f"{tensor.form.name} [{', '.join(map(str, tensor.shape))}]"


def _finding(group: Group, run: Explained | None, limit: Bound | None) -> ModelFinding:
    severity, why = _judged(group, run, limit)
    names = [member.name for member in group.members]
    where = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    largest = max(group.members, key=lambda member: member.change.relative if member.change else -1.0)
    count = "" if len(names) == 1 else f" in {len(names):,} tensors, most in {largest.name}"
    return ModelFinding(
        id="",
        kind="tamper",
        severity=severity,
        confidence="high" if group.kind != "dense fine-tune" else "medium",
        where=where,
        what=f"{group.kind}{count}: {largest.said}. {why}",
        advice=_ADVICE.get(severity, _ADVICE["high"]),
        check=Diff.id,
        details={"change": group.kind, "tensors": names[:_LISTED], "numbers changed": group.changed},
    )


def _judged(group: Group, run: Explained | None, limit: Bound | None) -> tuple[Severity, str]:
    """How bad it is, and why: as it stands, or in the light of a run."""
    if limit is None or run is None:
        return group.severity, "No run is named that would explain it."
    if group.kind == "added":
        return group.severity, f"Unexplained by {run.source}: no run bounds numbers that are new."
    if group.kind not in _BY_TRAINING:
        return _worse(group.severity), f"Unexplained by {run.source}: training does not leave this behind."
    if not limit.holds_anything:
        return group.severity, f"Unexplained by {run.source}: {limit.said}."
    beyond = _beyond(group, limit)
    if beyond is not None:
        return "high", f"Unexplained by {run.source}: {beyond}. {limit.said}."
    return "info", f"Explained by {run.source}{'' if run.vouched else ', which nobody signed'}: {limit.said}."


def _worse(severity: Severity) -> Severity:
    return SEVERITIES[min(max(SEVERITIES.index(severity) + 1, SEVERITIES.index("medium")), SEVERITIES.index("high"))]


def _beyond(group: Group, limit: Bound) -> str | None:
    """What lies outside the bound of a run, None = nothing."""
    held = [(each.name, each.change) for each in group.members if each.change and not each.name.endswith(STATISTICS)]
    for name, change in held:
        if not limit.allows(name, change.largest, change.largest_old):
            return f"a weight of {name} moved by {change.largest:.3g}"
    together = sqrt(sum(change.norm_change**2 for _, change in held))
    return f"all weights together moved by {together:.3g}" if together > limit.norm else None


def _of_record(run: Explained | None) -> Iterator[ModelFinding]:
    if run is None or not run.problems:
        return
    yield ModelFinding(
        id="",
        kind="tamper",
        severity="high",
        confidence="high",
        where=run.source,
        what=f"the record that was to explain the model does not: {'; '.join(run.problems)}.",
        advice="Find out which of the two was exchanged: the model, or its record.",
        check=Diff.id,
    )


def _of_file(each: Beside) -> ModelFinding:
    return ModelFinding(
        id="",
        kind="tamper",
        severity=each.severity,
        confidence="high",
        where=each.file,
        what=f"{each.part} differs from the base: {each.said}.",
        advice=_ADVICE.get(each.severity, _ADVICE["high"]),
        check=Diff.id,
        details={"change": each.part, "keys": list(each.keys)},
    )


def _answer(findings: Sequence[ModelFinding], groups: Sequence[Group], limit: Bound | None) -> tuple[Answer, str]:
    worst = max((SEVERITIES.index(finding.severity) for finding in findings), default=0)
    if worst >= SEVERITIES.index("high"):
        return "tampered", ""
    if worst >= SEVERITIES.index("medium"):
        done = ", ".join(group.kind for group in groups if SEVERITY[group.kind] == "medium") or "files beside the weights changed"
        named_run = "the named run sets no bound" if limit is not None else "no run is named that would explain it (--run)"
        return "cannot tell", f"the model is not its base ({done}), and {named_run}"
    return "no evidence", ""


def _facts(old: Weights, new: Weights, pairing: Pairing, changes: Sequence[Named]) -> dict[str, object]:
    touched = {each.name for each in changes}
    return {
        "tensors": len(new.tensors),
        "identical": sum(pair.new.name not in touched for pair in pairing.pairs),
        "numbers": new.count,
        "notes": [*old.notes, *new.notes][:_LISTED],
        "metadata": [] if old.metadata == new.metadata else ["what the files say beside their tensors differs"],
        "changes": [_row(each) for each in changes[:_LISTED]],
        "changes left out": max(len(changes) - _LISTED, 0),
    }


def _row(each: Named) -> Mapping[str, object]:
    row: dict[str, object] = {"tensor": each.name, "kind": each.kind, "what": each.said, "shape": list(each.pair.new.shape)}
    if each.pair.renamed:
        row["was"] = each.pair.old.name
    change = each.change
    if change is None:
        return row
    rank = "rank at least" if change.open else "rank"
    numbers = {"norm": change.norm_change, "relative": change.relative, "largest": change.largest, rank: change.rank}
    told = {name: value for name, value in numbers.items() if isfinite(value)}
    return row | told | {"changed": change.changed, "rows": change.rows, "columns": change.columns}
