"""Bytes from others: any parser takes them or says what is wrong with them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.parsers import PARSERS, survives

PIECES = [
    b"",
    b"\0",
    b"\n",
    b"\n\n",
    b'"',
    b"{",
    b"}",
    b"[",
    b",",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"\\ud800",
    b"..",
    b"/",
    b"\xff",
    b"\xe2\x80\x94 ",
    b"=" * 4,
    b"9" * 30,
]


@st.composite
def edited(draw: st.DrawFn, example: bytes) -> bytes:
    """A good example with some stretches of it replaced, doubled or cut."""
    content = example
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 40)))
        piece = draw(st.sampled_from([*PIECES, content[start:end] * 2]) | st.binary(max_size=8))
        content = content[:start] + piece + content[end:]
    return content


@pytest.mark.parametrize("name", PARSERS)
def test_the_example_is_good(name: str) -> None:
    parse, example = PARSERS[name]
    assert survives(parse, example) or name == "private key"


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=60)
def test_anything_is_taken_or_refused(name: str, data: st.DataObject) -> None:
    parse, example = PARSERS[name]
    survives(parse, data.draw(edited(example) | st.binary(max_size=200)))
