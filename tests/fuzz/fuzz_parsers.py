"""`make fuzz`: the parsers of `tests/parsers.py` under atheris, which follows the branches they take. Stops at the first bug.

Arguments are libFuzzer's, such as `-max_total_time=60`, then the folder of the corpus; the first byte of an input chooses the parser.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["untaint.provenance", "untaint.models.formats"]):
    from tests.parsers import PARSERS, survives

NAMES = sorted(PARSERS)


def one(content: bytes) -> None:
    """One input."""
    if content:
        survives(PARSERS[NAMES[content[0] % len(NAMES)]][0], content[1:])


def begin(folder: Path) -> None:
    """Put the good examples into the corpus, where mutations start from."""
    for number, name in enumerate(NAMES):
        (folder / f"example-{number}").write_bytes(bytes([number]) + PARSERS[name][1])


if __name__ == "__main__":
    begin(Path(sys.argv[-1]))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
