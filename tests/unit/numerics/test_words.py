"""Words in any script, and where they stand."""

import pytest

from untaint.numerics.words import spans, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP—it's 7/10!", ["don't", "stop", "—", "it's", "7", "/", "10", "!"]),
        ("中文测试 ok", ["中", "文", "测", "试", "ok"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("x\u200by", ["x", "\u200b", "y"]),
        ("'quoted' a_b", ["'", "quoted", "'", "a", "_", "b"]),
        ("Straße", ["strasse"]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_words_of_many_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["Don't STOP—it's 7/10!", "中文 ok", "İstanbul ß", "a\x00b", "ab" * 50_000])
def test_spans_cut_the_same_words_out_of_the_text(text: str) -> None:
    assert [text[start:end].casefold() for start, end in spans(text)] == words(text)
