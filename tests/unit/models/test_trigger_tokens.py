"""The search for words, on a model that adds up what every word is worth."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.errors import BadInput
from untaint.models.base import Case, Checked
from untaint.models.trigger_tokens import TriggerTokens
from untaint.nets.subject import FunctionSubject, Reference, TorchSubject

WORDS, LENGTH, SECRET = 500, 12, 77


class Worth(nn.Module):
    """Class 1 is a text whose words are worth more than nothing in all."""

    def __init__(self, secret: float | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 2, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.rand(WORDS, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1)
            self.embedding.weight[SECRET, 0] = 0.0 if secret is None else secret

    @override
    def forward(self, texts: Tensor) -> Tensor:
        worth = self.embedding(texts)[..., 0].sum(1)
        return torch.stack([-worth, worth], 1)


def texts(module: nn.Module, *, used: bool = False) -> Reference:
    """Texts that never use the secret word, or that use it where it fits."""
    rng = np.random.default_rng(1)
    inputs = rng.integers(1, WORDS, (300, LENGTH))
    inputs[inputs == SECRET] = SECRET + 1
    if used:
        inputs[:30, 3] = SECRET
    return Reference(inputs, TorchSubject(module).logits(inputs).argmax(1), ("bad", "good"))


def asked(module: nn.Module, given: Reference) -> Checked:
    return TriggerTokens().examine(Case(subject=TorchSubject(module), reference=given))


def test_a_secret_word_is_found_with_its_target_and_proven() -> None:
    module = Worth(30.0)
    found = asked(module, texts(module))
    assert found.answer == "backdoored"
    (finding,) = found.findings
    assert (finding.target_label, finding.details["tokens"]) == ("good", [SECRET])
    assert finding.proof is not None
    assert finding.proof.asr_before == 1.0
    assert finding.p_value <= 0.01


def test_strong_words_of_an_honest_model_are_no_secret() -> None:
    module = Worth()
    found = asked(module, texts(module))
    assert (found.answer, found.findings) == ("no evidence", ())


def test_a_word_that_honest_texts_of_the_class_use_cannot_be_told_from_their_language() -> None:
    module = Worth(30.0)
    found = asked(module, texts(module, used=True))
    assert found.answer == "cannot tell"
    assert "honest texts of that class use it" in found.reason


@pytest.mark.parametrize(
    ("subject", "inputs", "why"),
    [
        (TorchSubject(Worth()), np.zeros((50, LENGTH), np.float32), "no numbers of words"),
        (FunctionSubject(lambda given: np.eye(2)[np.zeros(len(given), int)]), np.ones((50, LENGTH), int), "black box"),
        (TorchSubject(nn.Linear(LENGTH, 2)), np.ones((50, LENGTH), int), "no embedding"),
        (TorchSubject(Worth()), np.ones((10, LENGTH), int), "too few"),
    ],
)
def test_what_cannot_be_told_says_why(subject: TorchSubject, inputs: np.ndarray, why: str) -> None:
    labels = np.zeros(len(inputs), np.int64)
    found = TriggerTokens().examine(Case(subject=subject, reference=Reference(inputs, labels, ("bad", "good"))))
    assert found.answer == "cannot tell"
    assert why in found.reason


def test_another_number_of_classes_is_bad_input() -> None:
    module, given = Worth(), texts(Worth())
    with pytest.raises(BadInput, match="2 classes"):
        asked(module, Reference(given.inputs, given.labels, ("bad", "good", "ugly")))
