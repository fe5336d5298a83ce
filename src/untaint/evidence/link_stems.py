"""Whether a phrase and what answers are known by name one thing: `get_operations` in the prompt, "operation" in the answer."""

from collections.abc import Iterable
from itertools import product, takewhile

_LONG = 5  # letters that both begin with: shorter beginnings are shared by unrelated words
_MOSTLY = 0.7  # of the longer one: what is left is an ending


def akin(asked: Iterable[str], answered: Iterable[str]) -> bool:
    """Whether some word, or part of a name, of the one side begins as one of the other and differs in its ending at most."""
    return any(_same(one, other) for one, other in product(_parts(asked), _parts(answered)))


def _parts(words: Iterable[str]) -> set[str]:
    return {part for word in words for part in word.split("_") if len(part) >= _LONG}


def _same(one: str, other: str) -> bool:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return shared >= _LONG and shared >= _MOSTLY * max(len(one), len(other))
