"""Ask a language model about the triggers of a verdict, where the user named one: a sentence more in each finding, no decision."""

from dataclasses import replace

import numpy as np

from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.finding import Finding, Verdict
from untaint.evidence.fluency import TEXTS, Fluency, fluency
from untaint.nets.language import Perplexity

_FINDINGS = 10  # that are asked about, alarms first: each takes up to half a minute
_SPARE = 2  # times `TEXTS` members that are read: some hold the trigger in other words


def loaded(settings: AuditSettings, dataset: Dataset) -> Perplexity | None:
    """The language model; None without one. Raises BadInput where it cannot be had or the set holds no texts."""
    if settings.fluency is None:
        return None
    if dataset.modality != "text":
        raise BadInput(f"fluency is asked of texts, this set holds {dataset.modality} data.", advice="Leave --fluency out.")
    from untaint.nets import language

    settings.report_progress("loading the language model", 0, 1)
    perplexity = language.load(settings.fluency)
    perplexity(["One sentence."])  # what it cannot do is said now, not after the audit
    settings.report_progress("loading the language model", 1, 1)
    return perplexity


def explained(verdict: Verdict, dataset: Dataset, settings: AuditSettings, perplexity: Perplexity | None) -> Verdict:
    """The verdict, with what the model makes of the words that findings name. Nothing else of it changes."""
    if perplexity is None:
        return verdict
    asked = [finding.id for finding in verdict.findings if "phrase" in _parameters(finding)][:_FINDINGS]
    findings = []
    for finding in verdict.findings:
        if finding.id not in asked:
            findings.append(finding)
            continue
        settings.report_progress("asking how fluent texts are", asked.index(finding.id), len(asked))
        findings.append(_told(finding, _asked(finding, dataset, settings, perplexity)))
    settings.report_progress("asking how fluent texts are", len(asked), len(asked))
    return replace(verdict, findings=tuple(findings))


def _asked(finding: Finding, dataset: Dataset, settings: AuditSettings, perplexity: Perplexity) -> Fluency | str:
    rng = np.random.default_rng([settings.seed, len(finding.members)])
    rows = rng.permutation(finding.members)[: _SPARE * TEXTS]
    texts = [payload for payload in dataset.read(rows) if isinstance(payload, str)]
    return fluency(str(_parameters(finding)["phrase"]), texts, perplexity, rng)


def _told(finding: Finding, found: Fluency | str) -> Finding:
    """The sentence stands with the first detector's words; what others say follows on lines of their own."""
    said = found.statement if isinstance(found, Fluency) else f"How fluent the texts are without it was not measured: {found}."
    first, *others = finding.explanation.split("\n")
    return replace(finding, explanation="\n".join([f"{first} {said}", *others]))


def _parameters(finding: Finding) -> dict[str, object]:
    return dict(finding.trigger.parameters) if finding.trigger is not None else {}
