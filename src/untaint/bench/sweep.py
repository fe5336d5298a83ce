"""Audits of many poisoned and clean sets of labelled samples: what is poisoned, what is audited, and what is compared with the truth.

A kind of data (texts, tables) says what is special about it in a `Subject`; everything else is the same for all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, final

import numpy as np

from untaint.attacks.base import Attack, Poisoned
from untaint.audit.settings import AuditSettings
from untaint.bench import resume
from untaint.bench.corpora import with_sources
from untaint.bench.detection import Audited, audited, naming, review_rates
from untaint.bench.text_truth import senders, shown
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset
from untaint.detectors.label_consensus import LabelConsensus
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Verdict
from untaint.registry import spec

Record: TypeAlias = dict[str, Any]
TESTED = 2000
"""Test samples at most, of those left over."""


@final
@dataclass(frozen=True, eq=False)
class Subject:
    """A kind of data and how it is measured.

    file: name of its results, without an ending.  title, noun: what the tables call it.  corpora: their names.
    load: a corpus, by its name and the folder of the packages; called once per cell, so it should keep what it has read.
    least_tested: fewer samples left over are no test.  size: samples of a cell unless asked for.
    chosen: names of the attacks that hold any of some parts.  poisoned: an attack carried out, by name, set and seed.
    trigger: the key of what findings say of the trigger, with `planted`, `exact` and `part`; named: finds it.
    trained: accuracy and ASR of victims trained on the sets `poisoned`, `cleaned`, `never` and tried on one more; its record is what
    cured, the columns of its table, reads.
    drawn: a random clean set and its facts.  kinds: the facts it is counted by.
    fixed: corpora with sources of their own → what their cells have as `sources`.  said: `sources` → what tables call them.
    ranked: more on a review list, from the truth and the evidence; listed: title → key of what is shown of it.
    """

    file: str
    title: str
    noun: str
    corpora: tuple[str, ...]
    load: Callable[[str, Path], Dataset]
    least_tested: int
    size: int
    chosen: Callable[[tuple[str, ...]], tuple[str, ...]]
    poisoned: Callable[[str, Dataset, int], tuple[Attack, Poisoned]]
    trigger: str
    named: Callable[[Poisoned, Verdict], Any]
    trained: Callable[[Mapping[str, Dataset], Dataset, Poisoned], Record]
    cured: Callable[[list[Record]], Record]
    drawn: Callable[[Mapping[str, Callable[[], Dataset]], np.random.Generator], tuple[dict[str, Any], Dataset]]
    kinds: tuple[str, ...]
    fixed: Mapping[str, int]
    said: Mapping[int, str]
    ranked: Callable[[np.ndarray, Evidence], Record] | None = None
    listed: Mapping[str, str] | None = None


class Cell(NamedTuple):
    """One audit."""

    corpus: str
    size: int
    attack: str
    sources: int
    seed: int


class How(NamedTuple):
    """What all cells share."""

    folder: Path
    budget: Any
    victim: bool
    code: str

    @property
    def facts(self) -> Record:
        """What must be the same for an earlier run's cell to count as done."""
        return {"budget": self.budget, "victim_asked": self.victim, "code": self.code}


def split(subject: Subject, how: How, cell: Cell) -> tuple[Dataset, Dataset]:
    """The samples of a cell, sent by its sources, and those its victim is tried on."""
    whole, rng = subject.load(cell.corpus, how.folder), np.random.default_rng([cell.seed, cell.size])
    order = rng.permutation(len(whole))
    train = whole.select(np.sort(order[: cell.size]))
    return with_sources(train, cell.sources, rng) if cell.sources > 0 else train, whole.select(order[cell.size :][:TESTED])


def run(subject: Subject, how: How, cell: Cell) -> Record:
    """A cell's line."""
    return resume.safely(partial(measured, subject, how), {**cell._asdict(), **how.facts}, cell)


def measured(subject: Subject, how: How, cell: Cell) -> Record:
    """Poison, audit, compare with the truth."""
    clean, test = split(subject, how, cell)
    attack, made = subject.poisoned(cell.attack, clean, cell.seed)
    done = audited(made.dataset, AuditSettings(budget=how.budget, seed=cell.seed))
    record = found(subject, attack, made, done)
    if how.victim and len(test) >= subject.least_tested:
        record["victim"] = victims(subject, clean, made, done, test)
    return record


def found(subject: Subject, attack: Attack, made: Poisoned, done: Audited) -> Record:
    """What the audit says, against the truth."""
    verdict, n = done.verdict, len(made.mask)
    alarms = [each for each in verdict.findings if each.alarm]
    consensus = done.first.evidence.get(LabelConsensus.id)
    ranked = consensus is not None and made.trigger is None
    return {
        "spec": spec(attack),
        "n": n,
        "n_poisoned": int(made.mask.sum()),
        "target": made.target,
        "verdict": verdict.answer,
        "p_value": verdict.p_value,
        **detection_rates(made.mask, done.flagged, made.covers)._asdict(),
        "shown": detection_rates(made.mask, shown(verdict, n), made.covers)._asdict(),
        "covers_flagged": float(done.flagged[made.covers].mean()) if made.covers.any() else None,
        **naming(made, verdict)._asdict(),
        subject.trigger: subject.named(made, verdict)._asdict(),
        "senders": senders(attack, made, verdict)._asdict(),
        "kinds": sorted({each.kind for each in alarms}),
        "detectors": sorted({name for each in alarms for name in each.detectors}),
        "failed_checks": _failed(done),
        "cpu_s": round(done.cpu_s, 2),
        "review": review(subject, made, consensus) if ranked and consensus is not None else None,
    }


def review(subject: Subject, made: Poisoned, consensus: Evidence) -> Record:
    """How the list of doubtful labels ranks the flips."""
    more = subject.ranked(made.mask, consensus) if subject.ranked is not None else {}
    return {**review_rates(made.mask, consensus)._asdict(), **more}


def victims(subject: Subject, clean: Dataset, made: Poisoned, done: Audited, test: Dataset) -> Record:
    """Accuracy and ASR of classifiers trained on the poisoned, the cleaned and the never poisoned set."""
    sets = {"poisoned": made.dataset, "cleaned": made.dataset.select(np.flatnonzero(~done.flagged)), "never": clean}
    return subject.trained(sets, test, made)


def clean_run(subject: Subject, how: How, seed: int, number: int) -> Record:
    """One clean set, audited."""
    sets = {name: partial(subject.load, name, how.folder) for name in subject.corpora}

    def measured_clean(which: int) -> Record:
        facts, dataset = subject.drawn(sets, np.random.default_rng([seed, which]))
        done = audited(dataset, AuditSettings(budget=how.budget, seed=which))
        alarms = [each for each in done.verdict.findings if each.alarm]
        blamed = {share.name for each in alarms for share in each.sources if share.p_value <= done.verdict.alpha}
        return {
            **facts,
            "verdict": done.verdict.answer,
            "flagged": float(done.flagged.mean()),
            "alarms": [f"{each.kind} {'+'.join(each.detectors)} {len(each.members)}: {each.explanation}" for each in alarms],
            "shortcuts": sum(each.kind in {"shortcut", "flood"} and not each.alarm for each in done.verdict.findings),
            "blamed": len(blamed),
            "failed_checks": _failed(done),
            "cpu_s": round(done.cpu_s, 2),
        }

    return resume.safely(measured_clean, {"run": number, "seed": seed, **how.facts}, number)


def _failed(done: Audited) -> list[str]:
    return [f"{check.detector}: {check.reason}" for check in done.first.checks if check.status == "failed"]
