import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.report.facts import facts
from untaint.report.text import clip, plain, storable, visible
from untaint.report.v1 import Finding
from untaint.report.wording import KINDS, duration, p_value, percent, title


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 日本語 🙂\n\tok", "naïve 日本語 🙂\n\tok"),
        ("a\u202eb", "a\\u202eb"),
        ("a\x00\x1b[31m", "a\\u0000\\u001b[31m"),
        ("\ud800", "\\ud800"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_nothing_stays_hidden(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(), max_size=200))
def test_what_is_shown_can_be_encoded(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    visible(text).encode()
    str(storable(text)).encode()


@given(st.text(max_size=50), st.integers(1, 60))
def test_a_cut_is_marked(text: str, length: int) -> None:
    cut = clip(text, length)
    assert len(cut) <= length
    assert (cut == text) == (len(text) <= length) or cut.endswith("…")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(st.characters()) | st.just(np.float32("nan")) | st.just({1, 2}),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    )
)
def test_anything_becomes_strict_json(value: object) -> None:
    json.dumps(plain(value), allow_nan=False).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "p not computed"),
        (0.0, "p < 10⁻³⁰⁰"),
        (1.0, "p = 1"),
        (0.0312, "p = 0.031"),
        (2.4e-12, "p = 2 × 10⁻¹²"),
        (9.7e-12, "p = 1 × 10⁻¹¹"),
        (0.00099, "p = 1 × 10⁻³"),
    ],
)
def test_p_values_in_print(value: float | None, text: str) -> None:
    assert p_value(value) == text


def test_other_numbers_in_print() -> None:
    assert [duration(seconds) for seconds in (None, 0.01, 2.34, 200.0)] == ["—", "< 0.1 s", "2.3 s", "3 min 20 s"]
    assert [percent(value) for value in (None, 0.01, 0.0001)] == ["unknown", "1 %", "0.01 %"]


def test_facts_are_flat_and_cut() -> None:
    told = dict(facts({"columns": {"label": "y"}, "classes": list(range(1000)), "none": None, "rows": [{"rate": 0.01}]}))
    assert told["columns.label"] == "y"
    assert told["classes"].endswith("11 … and 988 more")
    assert told["rows"] == "rate 0.01"
    assert "none" not in told
    assert len(facts({str(place): "x" * 10_000 for place in range(1000)})) == 40


@pytest.mark.parametrize("kind", [*KINDS, "of-a-later-release"])
@pytest.mark.parametrize(("target", "source"), [(None, None), ("a {brace}", None), ("a", "b")])
def test_every_kind_has_a_title(kind: str, target: str | None, source: str | None) -> None:
    finding = Finding(
        id="F1",
        kind=kind,
        severity="high",
        confidence="low",
        p_value=None,
        alarm=True,
        target_label=target,
        source_label=source,
        trigger=None,
        n_samples=1,
        sources=(),
        detectors=(),
        explanation="",
        advice="",
    )
    assert "1 sample" in title(finding)
    assert "None" not in title(finding)
