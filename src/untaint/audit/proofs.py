"""Put recovered triggers to the test: on the network trained on the suspect data, and on one trained without the accused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import final

import numpy as np

from untaint.audit.look import Look
from untaint.audit.settings import AuditSettings
from untaint.audit.warps import Warps
from untaint.errors import FeatureUnavailable, UntaintError
from untaint.evidence.conviction import arguable, convicted, convicts, obeys
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding, Proof, Verdict
from untaint.evidence.instruction_proof import expected, prompt_bench
from untaint.evidence.interventions import Natural, natural
from untaint.evidence.proof import Ask, Bench, intervenes, not_tried, wanted_codes
from untaint.evidence.table_proof import table_bench, written_in
from untaint.evidence.text_proof import TextBench, obeyed
from untaint.features.graph import Features
from untaint.features.proxy import answers, witness
from untaint.types import Pixels, Rows

_FEW = 100
"""Images the network was not trained on, under which all that are free of suspicion are used: success rates need hundreds.
And images of a class, under which those that another shortcut names count as honest: means need many, too."""


def proved(look: Look, settings: AuditSettings, left: Callable[[Verdict], Features | None]) -> Verdict:
    """The verdict of a look with proofs; shortcuts that are proven become accusations. left: features without the accused.

    Costs nothing when there is neither a backdoor nor an arguable shortcut.
    """
    without_networks = {"text": _on_texts, "instruction": _on_instructions, "table": _on_tables}
    if look.features.dataset.modality in without_networks:
        return without_networks[look.features.dataset.modality](look, settings)
    tried = [found for found in look.verdict.findings if _backdoor(found) or arguable(found)]
    if not tried:
        return look.verdict
    if settings.budget == "fast":
        reason = "this budget trains no network, `--budget standard` does"
        return convicted(look.verdict, {found.id: not_tried(reason) for found in tried if _backdoor(found)})
    try:
        return _Trials(look, settings).verdict(tried, left)
    except FeatureUnavailable as missing:
        return convicted(look.verdict, {found.id: not_tried(missing.message) for found in tried})
    except UntaintError:
        raise
    except Exception as error:  # noqa: BLE001 - the findings stand without a proof; a broken network must not hide them
        reason = f"{type(error).__name__}: {error}"
        return convicted(look.verdict, {found.id: not_tried(reason) for found in tried})


def _on_texts(look: Look, settings: AuditSettings) -> Verdict:
    """Phrases put into other texts; it takes seconds, so every budget does it. A shortcut stays one: an honest habit is obeyed too."""
    tried = [found for found in look.verdict.findings if found.alarm and found.kind in {"backdoor", "flood"}]
    if not tried:
        return look.verdict
    get = look.features.get
    try:
        labels, named = (
            get("labels"),
            [found.members for found in look.verdict.findings if found.alarm or found.kind == "shortcut"],
        )
        free = np.setdiff1d(np.flatnonzero(labels >= 0), np.concatenate(named))
        guilty = np.intersect1d(accused(look.verdict), np.flatnonzero(labels >= 0))
        bench = TextBench(get("word_counts"), get("tokens"), labels, free, guilty, get("class_names"), settings.seed)
        return convicted(look.verdict, {found.id: obeyed(found, bench, settings.alpha) for found in tried})
    except FeatureUnavailable as missing:
        return convicted(look.verdict, {found.id: not_tried(missing.message) for found in tried})


def _on_instructions(look: Look, settings: AuditSettings) -> Verdict:
    """Phrases put into other prompts, as on texts."""
    tried = [found for found in look.verdict.findings if _backdoor(found)]
    if not tried:
        return look.verdict
    get = look.features.get
    named = [found.members for found in look.verdict.findings if found.alarm or found.kind == "shortcut"]
    try:
        bench = prompt_bench(get("spoken"), get("answer_marks"), named, accused(look.verdict), settings.seed)
        return convicted(look.verdict, {found.id: expected(found, bench, settings.alpha) for found in tried})
    except FeatureUnavailable as missing:
        return convicted(look.verdict, {found.id: not_tried(missing.message) for found in tried})


def _on_tables(look: Look, settings: AuditSettings) -> Verdict:
    """Values written into other rows, as on texts."""
    tried = [found for found in look.verdict.findings if _backdoor(found)]
    if not tried:
        return look.verdict
    get = look.features.get
    named = [found.members for found in look.verdict.findings if found.alarm or found.kind == "shortcut"]
    try:
        bench = table_bench(get("items"), get("labels"), named, accused(look.verdict), get("class_names"), settings.seed)
        return convicted(look.verdict, {found.id: written_in(found, bench, settings.alpha) for found in tried})
    except FeatureUnavailable as missing:
        return convicted(look.verdict, {found.id: not_tried(missing.message) for found in tried})


def accused(verdict: Verdict) -> Rows:
    """Every row an alarm names."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(found.members for found in verdict.findings if found.alarm)]))


def _backdoor(finding: Finding) -> bool:
    return finding.alarm and finding.kind == "backdoor"


@final
class _Trials:
    """What all interventions of one look share."""

    def __init__(self, look: Look, settings: AuditSettings) -> None:
        self._look, self._settings = look, settings
        get = look.features.get
        self._labels, self._content, self._names = get("labels"), get("content"), get("class_names")
        suspects = [found.members for found in look.verdict.findings if found.alarm or found.kind == "shortcut"]
        free = (self._labels >= 0) & ~self._content.contradicted
        free[np.concatenate([np.empty(0, np.int64), *suspects])] = False
        unseen = free & get("proxy").unseen
        self._free = np.flatnonzero(free)
        self._tried_on = np.flatnonzero(unseen) if unseen.sum() >= _FEW else self._free
        self._pixels, self._before = get("pixels"), asked(look.features, self._names, settings)
        self._honest: dict[str, Natural] = {}
        self._warps: Warps | None = None
        self._witness: Ask | None = None

    def verdict(self, tried: list[Finding], left: Callable[[Verdict], Features | None]) -> Verdict:
        """First without, then with the second network: shortcuts that fail the first test cost no training."""
        first = {found.id: self._proof(found, None, place, len(tried)) for place, found in enumerate(tried)}
        suspected = convicted(self._look.verdict, first)
        rest = left(suspected)
        if rest is None:
            return suspected
        after = asked(_retrained(rest), self._names, replace(self._settings, model=None))
        again = [found for found in tried if _backdoor(found) or convicts(first[found.id], self._settings.alpha)]
        return convicted(
            self._look.verdict,
            first | {found.id: self._proof(found, after, place, len(again)) for place, found in enumerate(again)},
        )

    def _honest_but(self, found: Finding) -> Natural:
        """How honest classes differ, by rows that no finding names; what other shortcuts name counts where too few are left.

        The two halves of a class that parts may be a shortcut each, and without both hardly an image of the class remains.
        """
        if found.id not in self._honest:
            codes = [number for number, name in enumerate(self._names) if name == found.target_label]
            rows = self._free
            if np.isin(self._labels[rows], codes).sum() < _FEW:
                plain = (self._labels >= 0) & ~self._content.contradicted
                plain[np.union1d(accused(self._look.verdict), found.members)] = False
                rows = np.flatnonzero(plain)
            self._honest[found.id] = natural(self._pixels, self._labels, rows, len(self._names))
        return self._honest[found.id]

    def _proof(self, found: Finding, after: Ask | None, place: int, total: int) -> Proof:
        self._look.features.settings.report_progress("putting triggers to the test", place, total)
        proof = not_tried("no trigger was recovered") if found.trigger is None else self._put_on(found, found.trigger, after)
        if not _backdoor(found):
            return self._witnessed(found, proof, after)
        if proof.status == "proven":
            return proof
        if self._warps is None:
            learn = np.setdiff1d(self._free, self._tried_on)  # nothing in small sets: what a warp was fitted to proves nothing
            self._warps = Warps(self._look.features.get("proxy"), self._pixels, self._labels, learn, self._settings.seed)
        warp = self._warps.found(found, self._names)
        if warp is None:
            return proof
        bent = self._put_on(found, warp.trigger, after, warp.rivals)
        return replace(bent, trigger=warp.trigger) if bent.status == "proven" else proof

    def _witnessed(self, found: Finding, proof: Proof, after: Ask | None) -> Proof:
        """A deeper network is asked as well where the first obeys a shortcut by half: what convicts should not hang on its small size."""
        alpha = self._settings.alpha
        if convicts(proof, alpha) or not obeys(proof, alpha) or found.trigger is None:
            return proof
        if self._witness is None:
            kept_out = self._tried_on if self._tried_on is not self._free else np.empty(0, np.int64)
            learned = np.setdiff1d(np.flatnonzero(self._labels >= 0), kept_out)
            self._witness = witness(self._pixels, self._labels, learned, self._look.features.settings)
        if self._witness is None:
            return proof
        again = self._put_on(found, found.trigger, after, before=self._witness)
        first = f" A deeper network was asked, trained longer; the first obeyed in {proof.asr_before:.0%}."
        again = replace(again, statement=again.statement + first, p_value=min(1.0, 2 * again.p_value))  # the better of two
        return again if convicts(again, alpha) else proof

    def _put_on(
        self,
        found: Finding,
        trigger: Trigger,
        after: Ask | None,
        rivals: Mapping[int, Trigger] | None = None,
        before: Ask | None = None,
    ) -> Proof:
        shown = np.nan_to_num(self._content.probabilities).argmax(1)
        wanted = wanted_codes(found, self._labels, shown, self._names)
        honest, seed = self._honest_but(found), self._settings.seed
        bench = Bench(self._pixels, self._labels, self._tried_on, self._names, honest, before or self._before, seed, rivals or {})
        proof = intervenes(trigger, wanted, bench, after, self._settings.alpha)
        examples = tuple(replace(example, row=int(self._look.rows[example.row])) for example in proof.examples)
        return replace(proof, examples=examples)


def _retrained(features: Features) -> Features:
    """The same rows, with a house network in place of a given model: that one has learned from the accused, whatever is left."""
    if features.settings.model is None:
        return features
    return Features(features.dataset, replace(features.settings, model=None), features.cache, {"canvas": features.get("canvas")})


def asked(features: Features, names: tuple[str, ...], settings: AuditSettings) -> Ask:
    """The proxy of some features as a function from images to class codes of `names`.

    The images tried were held out from the proxy of the suspect data; a proxy of fewer rows may have seen them, without the
    trigger, which makes its success rate smaller by the little that one image is remembered.
    """
    proxy, own = features.get("proxy"), features.get("class_names")
    code = np.array([names.index(name) for name in own], np.int64)

    def ask(images: Pixels) -> np.ndarray:
        found = answers(proxy, settings.model, images)
        return code[found]

    return ask
