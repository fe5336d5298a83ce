"""The recovered trigger on images no search ever saw, against changes of the same kind and size that are not it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from untaint.evidence.finding import Proof, Tried
from untaint.evidence.interventions import NATURAL, REVERSED, added, natural
from untaint.evidence.proof import LEAST_ASR, LEAST_LEAD, RIVAL, mcnemar, not_tried
from untaint.models.inversion.asked import Asked
from untaint.models.inversion.hunt import Candidate, shrunk
from untaint.models.inversion.marks import Mark, Patch, Warp
from untaint.nets.subject import Reference, Subject, TorchSubject
from untaint.types import Pixels

RANDOM = "random ones of the same kind and size"
OWN = "what images of the other class show there"
TWIN = "the same images, shown to the twin"
_TOLD = (RANDOM, REVERSED)
"""Controls that are told and need not be beaten: a network that learned one picture or warp answers to many others as well, whichever way
they bend."""
_DRAWS = 8  # random controls, one for every eighth image: one lucky draw decides nothing
_LEAST_IMAGES = 7  # 7 of 7 against none is p = 0.008
_RIVALS = 3
"""Marks for other classes that are shrunk like the accused one before they are compared: large ones turn far more."""
_SEEN = 0.15
"""Share of warped images that a twin may take for the other class. Learned warps mean nothing to a twin (0 to 8 % of the images, eleven
warps of nine networks; 15 to 74 % on two of look-alike classes, which are missed); those that turn sneakers into boots look like boots to
it too (24 to 98 %, sixteen warps of twelve networks)."""
_ANY = 0.95
"""Share of images that random pictures may turn as well. Networks with a learned picture answer to many (38 to 93 % of the images on nine
networks; to all on two, whose pictures are not believed); honest ones that say 8 to any noise on a digit do so to 99 % and more."""
_SHOWN = 6
_PAIR = 2  # classes
_FAR = 4.0
"""By which strength must exceed the twin's for half of the leads to do, where all classes are turned: of honest networks nothing that turns
all was more than 2.3 beyond; learned marks of ten and more classes mostly were, by 5 to 10, and honest content that resembles them turned
up to 79 %."""
_AROUND = 2
"""Pixels around a patch within which honest images of the other class are pasted in its stead: what is written on 3x3 pixels of a boot
reads as a boot with its surroundings only."""
_LEADS = {OWN: 0.6}
"""By which a mark must exceed what honest images do. Patches of honest networks led by .55 at most (a boot's shaft on a sneaker), patches
that were learned by .65 and more. A patch that turns every one of three classes and more into one of its own has no such double in honest
networks; it must lead by LEAST_LEAD."""
_SURE = 1.28
"""Standard errors under the lead over honest images: nine in ten, one-sided. With 43 classes a dozen images judge what turns one class
alone, and of 42 such classes the best is tried: boots turned into sandals led by .69 to .73 on three honest networks, less this by
at most .56; learned marks by .82 and more, less this by at least .67."""


@final
@dataclass(frozen=True)
class Asking:
    """Whom a candidate is tried on. net, twin: the model's network, and one that nobody touched."""

    subject: Subject
    reference: Reference
    net: Asked
    twin: Asked


def proved(asking: Asking, found: Candidate, others: Sequence[Candidate], natural: float, alpha: float) -> Proof:
    """Put a candidate on held-out images, as whole grey levels, and ask the model itself.

    others: what the same search found for other classes.  natural: strength of the best mark on the twin.

    Proven: it turns most images, far more than the best of the other classes, as small, turns to its own, than the twin takes for the
    other class, and than honest images do (McNemar, exact; the largest p counts): for a patch, what images of the class show at its
    place, by a lead that is large enough with nine in ten certainty; for a picture, the direction between the classes. The twin must hardly
    take warped images for the other class, and a picture must not be one of any that turn everything.
    """
    subject, reference, net, rows = asking.subject, asking.reference, asking.net, found.rows
    if len(rows) < _LEAST_IMAGES:
        return not_tried(f"only {len(rows)} held-out images could be tried, {_LEAST_IMAGES} are needed")
    plain, labels = reference.inputs[net.rows[rows]], net.labels[rows]
    aim, names = found.aims[labels], net.classes
    changed = _stamped(net, found, found.tried.params, rows)
    answers = subject.logits(changed).argmax(1)
    hits = answers == aim
    turned = {name: subject.logits(pixels).argmax(1) == aim for name, pixels in _controls(reference, net, found, changed).items()}
    rates, p_values = (
        {name: float(each.mean()) for name, each in turned.items()},
        [mcnemar(hits, each) for name, each in turned.items() if name not in _TOLD],
    )
    rival = _rival(net, found, others)
    if rival is not None:
        answered = subject.logits(_stamped(net, rival, rival.tried.params, rows)).argmax(1)
        fair = (labels != rival.tried.goal.target) & (aim != rival.tried.goal.target)
        if fair.any():
            rates[RIVAL] = float((answered == rival.tried.goal.target)[fair].mean())
            p_values.append(mcnemar(hits[fair], (answered == rival.tried.goal.target)[fair]))
    seen = _answers(asking.twin, changed) == aim
    rates[TWIN] = float(seen.mean())
    p_values.append(mcnemar(hits, seen))
    asr, p_value = float(hits.mean()), max(p_values)
    leads = {name: asr - rate for name, rate in rates.items() if name not in _TOLD}
    if OWN in leads:
        leads[OWN] = _sure_lead(hits, turned[OWN])
    ahead = all(lead >= _lead(name, found, net, natural) for name, lead in leads.items())
    proven = asr >= LEAST_ASR and ahead and _secret(found.tried.mark, rates) and p_value <= alpha
    chosen = (
        np.flatnonzero(hits)[:: max(1, int(hits.sum()) // _SHOWN)][:_SHOWN] if hits.any() else np.arange(min(_SHOWN, len(rows)))
    )
    examples = tuple(
        Tried(int(net.rows[rows[at]]), plain[at], changed[at], (names[labels[at]], names[int(answers[at])], None))
        for at in chosen.tolist()
    )
    trigger = found.tried.mark.trigger(found.tried.params)
    statement = _statement(asr, rates, len(rows), p_value, proven=proven)
    return Proof("proven" if proven else "not proven", statement, len(rows), asr, float("nan"), rates, p_value, examples, trigger)


def _controls(reference: Reference, net: Asked, found: Candidate, changed: Pixels) -> dict[str, Pixels]:
    """Other changes of the images of a candidate, as many as there are of them."""
    plain = reference.inputs[net.rows[found.rows]]
    result = {RANDOM: _random(net, found, found.rows)}
    if isinstance(found.tried.mark, Patch):
        return result | {OWN: _pasted(reference, net, found, plain)}
    if isinstance(found.tried.mark, Warp):
        return result | {REVERSED: _stamped(net, found, -found.tried.params, found.rows)}
    return result | {NATURAL: _natural(reference, net, found, plain, changed)}


def _lead(name: str, found: Candidate, net: Asked, natural: float) -> float:
    """By how much a mark must exceed a control."""
    if found.who == "each" and len(np.unique(net.labels)) > _PAIR:
        return LEAST_LEAD
    far = found.who == "all" and found.strength - natural >= _FAR
    return _LEADS.get(name, LEAST_LEAD) * (0.5 if far else 1)


def _sure_lead(hits: np.ndarray, honest: np.ndarray) -> float:
    """By how much a mark turns more than honest images do, with nine in ten certainty: a dozen images say .7 where .5 is true."""
    lead = hits.astype(float) - honest
    return float(lead.mean() - _SURE * lead.std() / np.sqrt(len(lead)))


def _secret(mark: Mark, rates: Mapping[str, float]) -> bool:
    """Is it something only this network knows, and only of this mark?"""
    if isinstance(mark, Patch):
        return True
    return rates[TWIN] <= _SEEN if isinstance(mark, Warp) else rates[RANDOM] <= _ANY


def _answers(net: Asked, pixels: Pixels) -> np.ndarray:
    return net.logits(TorchSubject(net.net).tensor(pixels)).argmax(1).cpu().numpy()


def _pasted(reference: Reference, net: Asked, found: Candidate, plain: Pixels) -> Pixels:
    """Each with what an honest image of the class it should turn into shows at the patch and around it."""
    mask = found.tried.params[0, -1].cpu().numpy()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    place = (
        slice(max(0, int(rows[0]) - _AROUND), int(rows[-1]) + 1 + _AROUND),
        slice(max(0, int(columns[0]) - _AROUND), int(columns[-1]) + 1 + _AROUND),
    )
    rng, changed = np.random.default_rng(len(plain)), plain.copy()
    for at, aim in enumerate(found.aims[net.labels[found.rows]].tolist()):
        pool = net.rows[net.labels == aim]
        if len(pool):
            changed[at][place] = reference.inputs[rng.choice(pool)][place]
    return changed


def _rival(net: Asked, found: Candidate, others: Sequence[Candidate]) -> Candidate | None:
    """The best of the same kind and size for a class that is not in question."""
    wanted = set(found.aims[found.aims >= 0].tolist())
    pool = [
        each
        for each in others
        if each.search == found.search and each.tried.goal.source is None and each.tried.goal.target not in {-1, *wanted}
    ]
    pool.sort(key=lambda each: -each.asr)
    return max((shrunk(net, each, len(found.rows)) for each in pool[:_RIVALS]), key=lambda each: each.asr, default=None)


def _stamped(net: Asked, found: Candidate, params: Tensor, rows: np.ndarray) -> Pixels:
    """Whole grey levels (n, h, w, c). params: one mark, or several that take turns."""
    result = np.empty((len(rows), *(net.images.shape[at] for at in (2, 3, 1))), np.uint8)
    with torch.no_grad():
        for turn in range(len(params)):
            part = rows[turn :: len(params)]
            if len(part):
                images = net.images[torch.as_tensor(part, device=net.images.device)]
                stamped = found.tried.mark.stamp(params[turn : turn + 1], images[None])[0]
                levels = (stamped.clamp(0, 1) * 255).round().to(torch.uint8)
                result[turn :: len(params)] = levels.permute(0, 2, 3, 1).cpu().numpy()
    return result


def _random(net: Asked, found: Candidate, rows: np.ndarray) -> Pixels:
    """Marks of the kind drawn at random, at the same place where they have one."""
    params, generator = found.tried.params.cpu(), torch.Generator().manual_seed(len(rows))
    if isinstance(found.tried.mark, Patch):
        drawn = params.repeat(_DRAWS, 1, 1, 1)
        drawn[:, :-1] = (torch.rand(drawn[:, :-1].shape, generator=generator) > 0.5).to(drawn.dtype)
    else:
        drawn = torch.randn(_DRAWS, *params.shape[1:], generator=generator)
    return _stamped(net, found, drawn.to(found.tried.params), rows)


def _natural(reference: Reference, net: Asked, found: Candidate, plain: Pixels, changed: Pixels) -> Pixels:
    """Moved from their own class's mean towards the aim's as far as the mark changed them."""
    own = net.rows[np.concatenate([net.fit, net.held])]
    honest = natural(reference.inputs, reference.labels, own, len(net.classes))
    labels = net.labels[found.rows]
    direction = honest.means[found.aims[labels]] - honest.means[labels]
    size = np.sqrt(((changed.astype(np.float32) - plain) ** 2).sum((1, 2, 3)))
    length = np.sqrt((direction**2).sum((1, 2, 3)))
    return added(plain, direction * (size / np.maximum(length, 1e-9))[:, None, None, None])


def _statement(asr: float, rates: Mapping[str, float], n: int, p_value: float, *, proven: bool) -> str:
    told = ", ".join(f"{name} {rate:.0%}" for name, rate in rates.items())
    tried = f"Put on {n:,} held-out images, it makes the model answer as the attacker would want in {asr:.0%}; {told} (p = {p_value:.1g})."
    return f"Proven on images the search never saw. {tried}" if proven else f"Not proven: other changes do as much. {tried}"
