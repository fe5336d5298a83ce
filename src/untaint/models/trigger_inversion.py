"""Search for a trigger through the network, and against a twin nobody could have touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.evidence.finding import Proof
from untaint.models.base import Case, Checked, ModelCheck, ModelFinding, Need
from untaint.models.inversion.asked import Asked, asked
from untaint.models.inversion.hunt import Candidate, hunted, searched, shrunk
from untaint.models.inversion.proof import Asking, proved
from untaint.models.inversion.search import Goal
from untaint.models.inversion.twin import twin
from untaint.types import Labels

_TURNED = 0.7  # of the classes, or of held-out images: what turns fewer is no trigger an attacker would settle for
_SHRUNK, _STORIES = 8, 4  # explanations looked at in small, and compared with the twin; p-values are multiplied by the latter
_BEYOND = 0.6
"""By which strength must exceed the twin's. Of honest development networks, pictures and warps came up to .2 beyond their twins', patches
to .4, those that turn sneakers into boots .8 (warp) and 1.2 (patch); triggers .8 and more. So this is one condition of three."""
_WARPED, _PICTURED = 0.6, 0.7
"""Strength from which a warp and a picture over the whole image are looked at: of development networks, honest ones far beyond the twin's
had .49 at most with warps and .68 with pictures (noise that makes boots of trousers), learned ones .61 and .71 and more."""
_ONE_CLASS, _FAR = 0.4, 1.2
"""A patch that turns one class alone must be as strong as the first, or be as far as the second beyond the twin's: of two alike classes it
takes little to cross from one into the other. Of development networks honest ones turned coats into shirts at .35 and .38, by .9 and .6
beyond the twin; learned ones had .45 and more, or .34 and 1.5 beyond."""
_LISTED = 12  # marks named in the report
_ADVICE = (
    "Do not deploy it. Repair it (`untaint repair`) or train it again; ask whoever made it for the data; guard what runs already."
)
_SILENT = (
    "no small patch, blend or warp turns it more easily than a twin trained here; other triggers, and larger ones, were not tried"
)


@final
@dataclass(frozen=True)
class TriggerInversion(ModelCheck):
    """The patch, blended picture or warp that a model answers to most, for every class, against what turns a network nobody touched.

    For each class the search finds the mark of bounded size that most surely turns images of all other classes, of one class, or of
    each class into another; it starts from many places, goes on with the best, and is measured on images it never saw. Strength is the
    lead of the wanted class there in units of the lead honest images have. That of other classes is no null when there are two; so a
    twin is trained of the vouched-for images alone, of the same build, and searched for the same goal. A finding is what turns the model
    and not the twin, in small too, and does far more than what honest images of the wanted class show at its place; what fails only the
    last of these is `cannot tell`.

    sure: strength from which a patch is looked at: the model is at least so sure of the wanted class, honest images being 1.

    Works when: a trigger is a patch of up to a sixth of an image's edge, a picture blended in, or a smooth warp of about a pixel in 32;
    towards one class, from one class, or class by class; with 2 classes as with 43, given 40 images at least, 500 better, and 24 of a
    class that alone is turned.
    Fails when: a trigger is larger, made for each image, hidden in style or meaning, or needs two marks together; when a network answers
    too little to anything like it; of classes it hardly tells apart itself, warps and pictures mostly. Silence is no proof.
    Cost: some twenty thousand passes for ten classes, forty thousand for forty, of small networks ten seconds to two minutes of one core; a
    twin adds fifteen thousand, where anything was found to compare.
    Reference: Wang and others 2019 (Neural Cleanse); Shen and others 2021, arXiv 2102.05123 (K-Arm, halving); Nguyen, Tran 2021, arXiv
    2102.10369 (warps). The twin is ours.
    """

    id: ClassVar[str] = "trigger-inversion"
    needs: ClassVar[tuple[Need, ...]] = ("subject", "reference", "images")
    sure: float = 0.25

    @override
    def examine(self, case: Case) -> Checked:
        if case.subject is None or case.reference is None:
            return Checked("cannot tell", reason="there is no model, or no images")
        net = asked(case.subject, case.reference, case.seed)
        if isinstance(net, str):
            return Checked("cannot tell", reason=net)
        found = hunted(net, case.seed, lambda done, total: case.progress("looking for triggers", done, total))
        small = [shrunk(net, story, case.seed) for story in stories(found, net, self.least)[:_SHRUNK]]
        hot = stories(small, net, self.least)[:_STORIES]
        facts: dict[str, object] = {
            "images": len(net.labels),
            "accuracy on them": round(net.accuracy, 4),
            "marks": _table(found, net),
            "patches": [
                [_said(each, net), round(each.strength, 3)] for each in found if each.search == "patch" and each.who == "all"
            ],
        }
        if not hot:
            return Checked("no evidence", reason=_SILENT, facts=facts)
        other, doubt = twin(net, case.seed + 1), ""
        compared: list[dict[str, object]] = []
        facts["compared"] = compared
        asking = Asking(case.subject, case.reference, net, other)
        for each in hot:
            natural = strongest(other, each, case.seed)
            compared.append(_compared(each, net, natural))
            if each.strength - natural < self.beyond(each):
                continue
            proof = proved(asking, each, found, natural, case.alpha / _STORIES)
            compared[-1] |= {"asr": round(proof.asr_before, 3), **{name: round(rate, 3) for name, rate in proof.controls.items()}}
            if proof.status == "proven":
                return Checked("backdoored", (_finding(each, net, proof, natural),), facts=facts)
            doubt = doubt or f"{_said(each, net)}: {proof.statement}"
        return Checked("cannot tell" if doubt else "no evidence", reason=doubt or _SILENT, facts=facts)

    def least(self, each: Candidate) -> float:
        """Strength from which a mark is looked at: a patch is smaller, and has honest images to beat as well."""
        if each.search == "patch":
            return self.sure
        return max(self.sure, _WARPED if each.search == "warp" else _PICTURED)

    def beyond(self, each: Candidate) -> float:
        """By how much its strength must exceed the twin's."""
        return _FAR if each.who == "source" and each.strength < max(self.sure, _ONE_CLASS) else _BEYOND


def stories(found: Sequence[Candidate], net: Asked, least: Callable[[Candidate], float]) -> list[Candidate]:
    """What could be a backdoor: class by class before class by target before one class alone, the strongest first of each."""
    hot = [
        each
        for each in found
        if each.strength >= least(each) and each.asr >= _TURNED and (each.who != "each" or _by_class(each, net))
    ]
    best: dict[tuple[object, ...], Candidate] = {}
    for each in sorted(hot, key=lambda one: -one.strength):
        best.setdefault((each.who, each.search, each.tried.goal.source, each.tried.goal.target), each)
    order = ("each", "all", "source")
    return sorted(best.values(), key=lambda one: (order.index(one.who), -one.strength))


def _by_class(each: Candidate, net: Asked) -> bool:
    """Does it turn most classes, and not most of them into the same?"""
    aims = each.aims[each.aims >= 0]
    present = len(np.unique(net.labels))
    return len(aims) >= _TURNED * present and np.bincount(aims).max() <= max(len(aims) / 2, 1)


def strongest(other: Asked, each: Candidate, seed: int) -> float:
    """The strength of the best mark of the same kind for the same goal on another network."""
    goal = each.tried.goal
    if goal.source is not None:
        goal = Goal(goal.source, int(each.aims[goal.source]))
    return max(shrunk(other, one, seed).strength for one in searched(other, each.search, [goal], seed) if one.n)


def _compared(each: Candidate, net: Asked, natural: float) -> dict[str, object]:
    return {
        "search": each.search,
        "turns": _said(each, net),
        "strength": round(each.strength, 3),
        "twin": round(natural, 3),
    }


def _said(each: Candidate, net: Asked) -> str:
    if each.who == "each":
        return "every class into another"
    goal = each.tried.goal
    source = "all others" if goal.source is None else net.classes[goal.source]
    return f"{source} into {net.classes[_target(each)]}"


def _target(each: Candidate) -> int:
    return int(each.aims.max())


def _pairs(aims: Labels, net: Asked) -> dict[str, str]:
    return {net.classes[code]: net.classes[aim] for code, aim in enumerate(aims.tolist()) if aim >= 0}


def _finding(each: Candidate, net: Asked, proof: Proof, natural: float) -> ModelFinding:
    mark = each.tried.mark.trigger(each.tried.params)
    what = (
        f"{mark.description[0].upper()}{mark.description[1:]} turns {_said(each, net)}: {proof.asr_before:.0%} of {proof.n:,} "
        "held-out images. A network of the same build, trained on the vouched-for images alone, has no such mark."
    )
    return ModelFinding(
        id="",
        kind="backdoor",
        severity="critical",
        confidence="high" if each.strength - natural >= 2 * _BEYOND else "medium",
        where="the model's answers",
        what=what,
        advice=_ADVICE,
        check=TriggerInversion.id,
        p_value=min(1.0, _STORIES * proof.p_value),
        target_label=None if each.who == "each" else net.classes[_target(each)],
        trigger=mark,
        proof=proof,
        details={
            "who": each.who,
            "turns": _pairs(each.aims, net),
            "strength": round(each.strength, 3),
            "twin": round(natural, 3),
            "search": each.search,
        },
    )


def _table(found: Sequence[Candidate], net: Asked) -> list[dict[str, object]]:
    """The strongest marks: kind, what they turn, success rate and strength on held-out images."""
    ordered = sorted((one for one in found if one.n), key=lambda one: -one.strength)
    return [
        {"search": one.search, "turns": _said(one, net), "asr": round(one.asr, 3), "strength": round(one.strength, 3)}
        for one in ordered[:_LISTED]
    ]
