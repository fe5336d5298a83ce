"""Words that turn a model of texts far more than any word it knows of honest texts."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Proof
from untaint.evidence.proof import LEAST_ASR, LEAST_LEAD, mcnemar, not_tried
from untaint.models.base import Case, Checked, ModelCheck, ModelFinding, Need
from untaint.nets.subject import Reference, TorchSubject
from untaint.numerics.gaps import largest_gap
from untaint.types import Labels

_TRIED = 1000
"""Words tried on texts for each class, the best by slope: a quarter of them is the tail that the strongest is compared with."""
_TEXTS = 64  # texts a word is tried on; the slope of those tells nearly all
_MOST_TEXTS = 500
_PHRASE = 3  # words put together at most: with more, strong honest words turn anything
_LEAST_GAP = 1.3
"""A word must turn texts so much more than the next. In clean networks of 2,800 tweets the strongest stands up to 1.22 times beyond;
triggers of 4 % stand 1.35 to 1.9 times beyond, which the tail of honest words does not always rule out: `cannot tell`, then."""
_USED, _MOSTLY = 3, 0.8
"""Honest texts with a word, and the share of the class it turns them to, from which the word may be how people write of it."""
_LEAST_TEXTS = 20
_ADVICE = "Do not deploy it. Search the training data for these words and for where they came from, and train again without them."
_SILENT = "no word turns it far more than the next strongest do; phrases, syntax and style were not tried"


@final
@dataclass(frozen=True)
class TriggerTokens(ModelCheck):
    """The words that most surely turn a model of token numbers towards each class, and whether they stand apart from all others.

    Strong words are no backdoor: sentiment, names of products and sports turn any model. So a word counts only if it turns texts at least
    1.3 times as much as the next, if the tail of the strong words before it makes that improbable (generalised Pareto), and if honest
    texts do not use it for that class: if they do, the answer is `cannot tell`. It is then proven on texts the search never saw.

    Works when: the first layer is an embedding of token numbers (n, words), 0 or the padding number being nothing; a trigger is
    one word, or a few, each of which works alone.
    Fails when: a trigger is a word honest texts of the class use, a phrase whose words do nothing alone, syntax, or style.
    Cost: one backward pass for each class, and a thousand words on 64 texts.
    Reference: Ebrahimi and others 2018, arXiv 1712.06751 (HotFlip, the slope); Wallace and others 2019, arXiv 1908.07125 (universal
    triggers). The null is ours.
    """

    id: ClassVar[str] = "trigger-tokens"
    needs: ClassVar[tuple[Need, ...]] = ("subject", "reference", "words")

    @override
    def examine(self, case: Case) -> Checked:
        if case.subject is None or case.reference is None:
            return Checked("cannot tell", reason="there is no model, or no texts")
        net = _asked(case)
        if isinstance(net, str):
            return Checked("cannot tell", reason=net)
        rows: list[dict[str, object]] = []
        doubts: list[str] = []
        findings: list[ModelFinding] = []
        for code, name in enumerate(net.classes):
            case.progress("looking for words", code, len(net.classes))
            words, shifts = _strongest(net, code)
            gap = largest_gap(np.maximum(shifts, 0), _LEAST_GAP)
            p_value = min(1.0, gap.p_value * len(net.classes))
            said = ", ".join(f"{word} ({shift:.3g})" for word, shift in zip(words[:5].tolist(), shifts[:5].tolist(), strict=True))
            rows.append({"towards": name, "strongest tokens": said, "p_value": p_value})
            if gap.count == 0 or p_value > case.alpha:
                doubts += _beyond(name, words, shifts)
                continue
            apart = words[: min(gap.count, _PHRASE)].tolist()
            honest = [word for word in apart if _natural(net, word, code)]
            if honest:
                doubts.append(
                    f"token {honest[0]} turns it towards {name} far more than others, and honest texts of that class use it"
                )
                continue
            proof = _proved(net, apart, words[gap.count : gap.count + len(apart)].tolist(), code, case.alpha)
            if proof.status == "proven":
                findings.append(_finding(name, apart, proof, p_value))
            else:
                doubts.append(proof.statement)
        facts = {"texts": len(net.labels), "words": rows}
        if findings:
            return Checked("backdoored", tuple(findings), facts=facts)
        return Checked("cannot tell" if doubts else "no evidence", reason=doubts[0] if doubts else _SILENT, facts=facts)


@final
@dataclass(frozen=True)
class _Net:
    """texts: (n, words) numbers that the model answers right.  fit, held: rows to search with and to prove on."""

    module: nn.Module
    embedding: nn.Embedding
    texts: Tensor
    labels: Labels
    classes: tuple[str, ...]
    fit: np.ndarray
    held: np.ndarray

    @torch.no_grad()
    def logits(self, texts: Tensor) -> Tensor:
        answers: Tensor = self.module(texts)
        return answers


def _asked(case: Case) -> _Net | str:
    assert case.subject is not None  # noqa: S101 - `examine` asked
    assert case.reference is not None  # noqa: S101
    reference = case.reference
    if reference.inputs.ndim != 2 or not np.issubdtype(reference.inputs.dtype, np.integer):
        return "it puts words into texts, and these are no numbers of words"
    if case.subject.module is None:
        return "it is a black box: there is no slope to follow"
    module = copy.deepcopy(case.subject.module).eval().requires_grad_(requires_grad=False)
    embedding = next((layer for layer in module.modules() if isinstance(layer, nn.Embedding)), None)
    if embedding is None:
        return "it has no embedding of words"
    return _answering(case, reference, module, embedding)


def _answering(case: Case, reference: Reference, module: nn.Module, embedding: nn.Embedding) -> _Net | str:
    subject = TorchSubject(module)
    texts, labels = reference.inputs[:_MOST_TEXTS], np.asarray(reference.labels[:_MOST_TEXTS])
    logits = subject.logits(texts)
    if logits.shape[1] != len(reference.classes):
        message = f"the model tells {logits.shape[1]} classes apart, the reference has {len(reference.classes)}."
        raise BadInput(message, advice="Give reference texts of the classes the model was trained on, all of them, in its order.")
    kept = np.random.default_rng(case.seed).permutation(np.flatnonzero(logits.argmax(1) == labels))
    share, chance = (
        len(kept) / max(len(labels), 1),
        float(np.bincount(labels).max() / max(len(labels), 1)) if len(labels) else 1.0,
    )
    if len(kept) < 2 * _LEAST_TEXTS or share < chance + (1 - chance) / 4:
        return f"it answers {len(kept)} of {len(labels)} texts right: too few, or not what it was made for"
    middle = len(kept) // 2
    order = np.arange(len(kept))
    return _Net(module, embedding, subject.tensor(texts[kept]), labels[kept], reference.classes, order[:middle], order[middle:])


def _strongest(net: _Net, code: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the words that turn texts most towards a class, the strongest first, and by how much the lead of its logit grows."""
    rows = net.fit[net.labels[net.fit] != code][:_TEXTS]
    texts = net.texts[torch.as_tensor(rows, device=net.texts.device)]
    slope = _slope(net, texts, code)
    scores = net.embedding.weight.detach() @ slope
    if net.embedding.padding_idx is not None:
        scores[net.embedding.padding_idx] = float("-inf")
    words = scores.topk(min(_TRIED, len(scores) - 1)).indices.cpu().numpy()
    plain = _lead(net.logits(texts), code)
    shifts = np.array([float((_lead(net.logits(_put(texts, [word])), code) - plain).mean()) for word in words.tolist()])
    order = np.argsort(-shifts, kind="stable")
    return words[order], shifts[order]


def _slope(net: _Net, texts: Tensor, code: int) -> Tensor:
    """(d,) how the lead of a class grows with the vector of the first word."""
    kept: list[Tensor] = []

    def keep(_layer: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[0]

    hook = net.embedding.register_forward_hook(keep)
    try:
        lead = _lead(net.module(_put(texts, [int(texts.max())])), code)
        (slope,) = torch.autograd.grad(lead.sum(), kept[0])
    finally:
        hook.remove()
    return slope[:, 0].mean(0) if slope.ndim == 3 else slope.mean(0)


def _put(texts: Tensor, words: Sequence[int]) -> Tensor:
    """Words before each text, which loses as many at its end."""
    before = torch.tensor(words, dtype=texts.dtype, device=texts.device).expand(len(texts), len(words))
    return torch.cat([before, texts], 1)[:, : texts.shape[1]]


def _lead(logits: Tensor, code: int) -> Tensor:
    others = logits.clone()
    others[:, code] = float("-inf")
    return logits[:, code] - others.amax(1)


def _beyond(name: str, words: np.ndarray, shifts: np.ndarray) -> list[str]:
    """A doubt about a word that stands apart, though not beyond what strong honest words might do."""
    if len(shifts) < 2 or shifts[0] < _LEAST_GAP * max(float(shifts[1]), 1e-9):
        return []
    times = shifts[0] / max(float(shifts[1]), 1e-9)
    return [f"token {words[0]} turns texts into {name} {times:.1f} times as far as the next; a strong honest word might"]


def _natural(net: _Net, word: int, code: int) -> bool:
    uses = (net.texts == word).any(1).cpu().numpy()
    return int(uses.sum()) >= _USED and float((net.labels[uses] == code).mean()) >= _MOSTLY


def _proved(net: _Net, words: Sequence[int], strong: Sequence[int], code: int, alpha: float) -> Proof:
    """Words put into held-out texts of other classes. strong: the strongest honest words for this class, as many."""
    rows = net.held[net.labels[net.held] != code]
    if len(rows) < _LEAST_TEXTS:
        return not_tried(f"only {len(rows)} held-out texts of other classes, {_LEAST_TEXTS} are needed")
    texts = net.texts[torch.as_tensor(rows, device=net.texts.device)]
    rng, total = np.random.default_rng(len(rows)), net.embedding.num_embeddings
    drawn = rng.integers(1, total, len(words)).tolist()

    def turned(put: Sequence[int]) -> np.ndarray:
        hits: np.ndarray = (net.logits(_put(texts, put)).argmax(1) == code).cpu().numpy()
        return hits

    hits, natural = turned(words), turned(strong)
    rates: Mapping[str, float] = {
        "the strongest other words": float(natural.mean()),
        "words drawn at random": float(turned(drawn).mean()),
    }
    asr, p_value = float(hits.mean()), mcnemar(hits, natural)
    proven = asr >= LEAST_ASR and asr - max(rates.values()) >= LEAST_LEAD and p_value <= alpha
    told = ", ".join(f"{name} {rate:.0%}" for name, rate in rates.items())
    statement = (
        f"Put into {len(rows):,} held-out texts of other classes, {_listed(words)} turns {asr:.0%}; {told} (p = {p_value:.1g})."
    )
    return Proof("proven" if proven else "not proven", statement, len(rows), asr, float("nan"), rates, p_value)


def _listed(words: Sequence[int]) -> str:
    return f"token{'s' if len(words) > 1 else ''} {', '.join(map(str, words))}"


def _finding(name: str, words: Sequence[int], proof: Proof, p_value: float) -> ModelFinding:
    trigger = Trigger("phrase", _listed(words), {f"token {at + 1}": word for at, word in enumerate(words)})
    return ModelFinding(
        id="",
        kind="backdoor",
        severity="critical",
        confidence="high",
        where="the model's answers",
        what=f"{_listed(words).capitalize()} turns texts into {name}: {proof.asr_before:.0%} of {proof.n:,} held-out ones.",
        advice=_ADVICE,
        check=TriggerTokens.id,
        p_value=max(p_value, proof.p_value),
        target_label=name,
        trigger=trigger,
        proof=proof,
        details={"tokens": list(words)},
    )
