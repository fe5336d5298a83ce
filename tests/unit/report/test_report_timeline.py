"""When the samples of a finding were collected, as every report tells it."""

import json
import re
from dataclasses import replace

import pytest

from untaint.data.dataset import Dataset
from untaint.evidence.finding import AuditResult, TimeShare
from untaint.report import pictures
from untaint.report.base import Report
from untaint.report.html import Html
from untaint.report.markdown import Markdown
from untaint.report.v1 import document
from untaint.report.wording import when

LINE = (
    TimeShare("2024-05-01T00:00:00Z", "2024-05-10T18:00:00Z", 40, 1),
    TimeShare("2024-05-11T08:00:00Z", "2024-05-11T09:30:00Z", 40, 6),
    TimeShare("2024-05-11T09:31:00Z", "2024-05-12T00:00:00Z", 40, 4),
    TimeShare("2024-05-12T00:10:00Z", "2024-06-01T00:00:00Z", 40, 1),
)
SENTENCE = "10 of 12 samples with a date were collected between 2024-05-11 08:00 and 2024-05-12, when 50 % of everything was."


@pytest.fixture
def dated(result: AuditResult, dataset: Dataset) -> Report:
    first, *others = result.verdict.findings
    known = replace(result, verdict=replace(result.verdict, findings=(replace(first, timeline=LINE), *others)))
    return Report(document(known), known.samples, pictures.choose(known, dataset))


def test_a_sentence_names_the_shortest_time_in_which_most_came(dated: Report) -> None:
    assert when(dated.document.findings[0]) == SENTENCE
    assert when(dated.document.findings[1]) == ""
    whole = dated.document.findings[0].model_copy(update={"timeline": (dated.document.findings[0].timeline[1],)})
    assert when(whole) == (
        "6 of 6 samples with a date were collected between 2024-05-11 08:00 and 2024-05-11 09:30, when 100 % of everything was."
    )


def test_the_document_holds_the_time_line(dated: Report) -> None:
    found = json.loads(dated.document.model_dump_json(by_alias=True))["findings"]
    assert found[0]["timeline"][1] == {"start": "2024-05-11T08:00:00Z", "end": "2024-05-11T09:30:00Z", "n": 40, "n_flagged": 6}
    assert found[1]["timeline"] == []


def test_markdown_says_the_sentence(dated: Report) -> None:
    assert SENTENCE in re.sub(r"\\", "", Markdown().render(dated))


def test_html_shows_a_picture_with_a_bar_for_every_stretch(dated: Report) -> None:
    page = Html().render(dated)
    assert page.count('class="timeline"') == 1
    heights = [float(height) for height in re.findall(r'<rect x="\d+" y="[\d.]+" width="9" height="([\d.]+)">', page)]
    assert heights == pytest.approx([30 / 6, 30, 20, 30 / 6], abs=0.1)
    assert SENTENCE in page
    assert "<title>2024-05-11 08:00 to 2024-05-11 09:30: 6 of 40</title>" in page
