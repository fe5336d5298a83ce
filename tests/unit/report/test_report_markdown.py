from dataclasses import replace

import pytest

from untaint.evidence.finding import AuditResult
from untaint.report.base import Report
from untaint.report.markdown import Markdown, code, prose
from untaint.report.v1 import document


def test_tells_what_a_person_needs(report: Report) -> None:
    text = Markdown().render(report)
    for said in (
        "# untaint audit: Poisoned",
        "12 of 160 samples",
        "Worth a look, not an accusation",
        "not checked, and why",
        "contractor-7",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        ("<b> & `x <y>` `", r"&lt;b&gt; &amp; `x <y>` \`"),
        ("[x](http://e.example)", r"\[x\](http:<!-- -->//e.example)"),
        ("@everyone www.e.example", "@<!-- -->everyone www<!-- -->.e.example"),
        ("# one\ntwo", r"\# one two"),
    ],
)
def test_prose_is_not_markup(text: str, written: str) -> None:
    assert prose(text) == written


@pytest.mark.parametrize(("text", "written"), [(None, "—"), ("a|b\n<i>", r"`a\|b <i>`"), ("``", "``` `` ```"), ("", "`  `")])
def test_data_is_code(text: str | None, written: str) -> None:
    assert code(text) == written


def test_fits_a_comment(result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], explanation="x" * 100_000, advice="y" * 100_000, target_label="z" * 100_000)
    many = replace(result, verdict=replace(result.verdict, findings=(finding,) * 500, reasons=("r" * 100_000,) * 500))
    text = Markdown().render(Report(document(many), many.samples, {}))
    assert len(text) <= 65_536
    assert "more findings" in text


def test_what_each_detector_says_is_a_line_of_its_own(result: AuditResult) -> None:
    finding = replace(
        result.verdict.findings[0], explanation="A patch recurs.\nmatched-filter: They share a pattern.\nspectral: They part."
    )
    one = replace(result, verdict=replace(result.verdict, findings=(finding,)))
    text = Markdown().render(Report(document(one), one.samples, {}))
    assert "\nA patch recurs.\n\n- matched-filter: They share a pattern.\n- spectral: They part.\n" in text
