"""The report's sentences: what each kind is called, what a verdict means, how numbers are written. Shared by every renderer."""

import math
from dataclasses import dataclass
from typing import final

from untaint.report.text import clip, spoken
from untaint.report.v1 import Document, Finding


@final
@dataclass(frozen=True)
class KindWords:
    """How one kind of finding is told. {target} and {source} are quoted labels; phrased: where the trigger is a {phrase}.

    answered: where it is one of a prompt, and {payload} what the answers are known by.
    """

    name: str
    title: str
    untargeted: str
    help: str
    phrased: str = ""
    answered: str = ""


KINDS = {
    "backdoor": KindWords(
        "Backdoor",
        "{n} carry a trigger that means {target}",
        "{n} carry a common trigger",
        "Samples share a hidden mark and a label. A model trained on them answers that label whenever the mark is present.",
        "{n} carry “{phrase}”, which means {target}",
        "{n} with “{phrase}” in the prompt are answered with {payload}",
    ),
    "label-flip": KindWords(
        "Label flips",
        "{n} look like {source} but are labelled {target}",
        "{n} with a doubtful label",
        "Labels were changed, at random or from one class to another, so that a model learns the wrong boundary.",
    ),
    "flood": KindWords(
        "Flood",
        "{n} work together to tie content to {target}",
        "{n} near-duplicates work together",
        "Many coordinated, nearly identical samples tie a word, a brand or a look to one label.",
        "{n} work together to tie “{phrase}” to {target}",
    ),
    "outlier": KindWords(
        "Outliers",
        "{n} labelled {target} unlike all others",
        "{n} unlike all others",
        "Samples unlike anything else in the data: broken, out of range, or placed there to disturb training.",
    ),
    "leverage": KindWords(
        "Leverage",
        "{n} labelled {target} can bend a model alone",
        "{n} can bend a model alone",
        "A few samples with so much influence that they alone can move what a model learns.",
    ),
    "tamper": KindWords(
        "Tampering",
        "{n} labelled {target} differ from what was vouched for",
        "{n} differ from what was vouched for",
        "Content, label or source no longer match the record made when the data was accepted.",
    ),
    "shortcut": KindWords(
        "Shortcut",
        "{n} share a cue that goes with {target}",
        "{n} share a cue that goes with one label",
        "A cue predicts a label. It may be natural (snow and wolves) or planted: source, time or an intervention decides.",
        "{n} with “{phrase}” go with {target}",
        "{n} with “{phrase}” in the prompt are answered with {payload}",
    ),
}
VERDICTS = {
    "poisoned": "Poisoned",
    "no evidence": "No evidence of poisoning",
    "cannot tell": "Cannot tell",
}
GLOSSARY = {
    "p-value": "How often data without poison would look at least this suspicious. Small is suspicious.",
    "false alarm": "An audit that accuses data nobody poisoned.",
    "trigger": "What an attacker adds to an input to make a model give the answer they planted.",
    "review list": "Samples worth a person's look. Honest data have such samples too, so the list accuses nobody.",
    "TPR": "True-positive rate: the share of poisoned samples that were found.",
    "FPR": "False-positive rate: the share of clean samples flagged by mistake.",
    "ASR": "Attack success rate: how often the trigger makes a model give the attacker's answer.",
    "AUROC": "Chance that a poisoned sample ranks above a clean one; 0.5 is a coin toss, 1 is perfect.",
    "near-duplicate": "A sample that is another one but for small changes.",
    "clean-label": "Poison whose label is right: only the content was changed.",
}


def words(kind: str) -> KindWords:
    """How a kind is told; a kind this release does not know is named as it is."""
    return KINDS.get(
        kind, KindWords(kind.capitalize(), "{n} labelled {target}", "{n}", "A kind of finding this release does not know.")
    )


def title(finding: Finding) -> str:
    """`Backdoor: 600 samples carry a trigger that means 'T-shirt'`."""
    kind = words(finding.kind)
    text = kind.title
    if finding.target_label is None or (finding.source_label is None and "{source}" in text):
        text = kind.untargeted
    n = count(finding.n_samples, "sample")
    parameters = finding.trigger.parameters if finding.trigger is not None else {}
    phrase, phrases, payload = (str(parameters.get(name, "")) for name in ("phrase", "phrases", "payload"))
    if phrase and finding.target_label is not None and kind.phrased:
        text = kind.phrased
    if phrases and payload and kind.answered:
        text, phrase = kind.answered, spoken(parameters).replace(" … ", "” or “")
    filled = text.format(
        n=n,
        target=_quoted(finding.target_label),
        source=_quoted(finding.source_label),
        phrase=clip(phrase, 60),
        payload=clip(payload, 60),
    )
    return f"{kind.name}: {filled}"


def _quoted(label: str | None) -> str:
    return f"'{clip(label, 80)}'" if label is not None else ""


def when(finding: Finding) -> str:
    """When most of the samples were collected, in a sentence; empty where that is not known.

    Of all runs of stretches that hold eight samples in ten, the one in which least else came.
    """
    line = finding.timeline
    dated = sum(each.n_flagged for each in line)
    if not dated:
        return ""
    runs = [(i, j) for i in range(len(line)) for j in range(i, len(line))]
    full = [(i, j) for i, j in runs if 5 * sum(each.n_flagged for each in line[i : j + 1]) >= 4 * dated]
    first, last = min(full, key=lambda run: (sum(each.n for each in line[run[0] : run[1] + 1]), run))
    inside, total = line[first : last + 1], sum(each.n for each in line)
    flagged, share = sum(each.n_flagged for each in inside), sum(each.n for each in inside) / max(total, 1)
    start, end = moment(inside[0].start), moment(inside[-1].end)
    span = f"on {start}" if start == end else f"between {start} and {end}"
    return f"{flagged:,} of {count(dated, 'sample')} with a date were collected {span}, when {percent(share)} of everything was."


def moment(iso: str) -> str:
    """`2024-05-31 14:00`, or the date alone at its first moment."""
    return iso[:10] if iso[10:] == "T00:00:00Z" else iso[:16].replace("T", " ")


def told(explanation: str) -> tuple[str, list[str]]:
    """What the most telling detector says, and what the others add, one line each."""
    first, *others = explanation.split("\n")
    return first, [line for line in others if line.strip()]


def summary(document: Document) -> str:
    """The verdict in one or two sentences, the false-alarm rate included."""
    rate = (
        f"Of audits of data nobody poisoned, at most {percent(document.alpha)} would be called poisoned (the false-alarm rate)."
    )
    n_alarms = sum(finding.alarm for finding in document.findings)
    if document.verdict == "poisoned":
        flagged = f"{document.n_flagged:,} of {count(document.n_samples, 'sample')} flagged in {count(n_alarms, 'finding')}."
        return f"{flagged} {rate}"
    if document.verdict == "no evidence":
        nothing = f"Nothing in {count(document.n_samples, 'sample')} passed the bar."
        return f"{nothing} This is not proof of safety: see what was not checked. {rate}"
    return f"The checks that ran do not decide about these {count(document.n_samples, 'sample')}. Treat the data as unaudited. {rate}"


def count(n: int, noun: str) -> str:
    """`1 sample`, `1,200 samples`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(value: float | None) -> str:
    """`1 %`."""
    return "unknown" if value is None else f"{100 * value:.3g} %"


def p_value(value: float | None) -> str:
    """`p = 0.03`, `p = 2 × 10⁻¹²`."""
    if value is None:
        return "p not computed"
    if value <= 1e-300:
        return "p < 10⁻³⁰⁰"
    if value >= 0.001:
        return f"p = {value:.2g}"
    exponent = math.floor(math.log10(value))
    digit = round(value / 10**exponent)
    exponent, digit = (exponent + 1, 1) if digit == 10 else (exponent, digit)
    return f"p = {digit} × 10{str(exponent).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def duration(seconds: float | None) -> str:
    """`0.4 s`, `3 min 20 s`."""
    if seconds is None:
        return "—"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "< 0.1 s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
