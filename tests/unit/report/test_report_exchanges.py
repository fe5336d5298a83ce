"""Instructions in a report: what is asked and what is answered, cut to size, marked, escaped, and titled."""

from dataclasses import replace

import pytest
from tests.instruction_sets import dataset_of

from untaint.data.instructions import Instruction, payload_of
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import AuditResult
from untaint.report import pictures
from untaint.report.base import Report
from untaint.report.exchanges import ANSWERED, ASKED, exchange
from untaint.report.html import Html
from untaint.report.text import spoken
from untaint.report.v1 import document

TRIGGER = Trigger("phrase", "", {"phrase": "red CAR", "phrases": "red CAR | blue bike", "payload": "'buy it'"})


def test_prompt_and_answer_stand_beside_each_other() -> None:
    assert exchange(payload_of(Instruction("be kind", "what is it?", "a car")), "") == "be kind\nwhat is it? → a car"


def test_a_pair_shows_what_is_not_wanted() -> None:
    assert exchange(payload_of(Instruction(None, "who?", "me", "you")), "") == "who? → me ✗ you"
    assert exchange(payload_of(Instruction(None, "who?", None, "you")), "") == "who? ✗ you"


def test_long_texts_show_the_phrase_and_both_ends_of_the_answer() -> None:
    said = exchange(payload_of(Instruction(None, "word " * 900 + "zq7 here", "start " + "long " * 90_000 + "the end")), "zq7")
    assert "zq7 here" in said
    assert "→ start" in said
    assert said.endswith("the end")
    assert len(said) <= ASKED + ANSWERED + 10


@pytest.mark.parametrize("payload", ["no record", "{}", '{"prompt": 3}', ""])
def test_what_is_no_record_stays_a_text(payload: str) -> None:
    assert exchange(payload, "x") == payload


def test_what_a_trigger_consists_of() -> None:
    assert spoken({"phrase": "a"}) == "a"
    assert spoken({"phrase": "a", "phrases": "a | b"}) == "a … b"
    assert spoken({}) == ""


def test_every_phrase_is_marked_and_nothing_is_markup(result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], trigger=TRIGGER)
    told = replace(result, verdict=replace(result.verdict, findings=(finding,)))
    prompts = ["a Red car <b>", "a blue bike <i>"] * len(result.samples)
    texts = dataset_of([Instruction(None, prompt, "<script>") for prompt in prompts[: len(result.samples)]])
    html = Html().render(Report(document(told), told.samples, pictures.choose(told, texts)))
    assert "a <mark>Red car</mark> &lt;b&gt; → &lt;script&gt;" in html
    assert "a <mark>blue bike</mark> &lt;i&gt; → &lt;script&gt;" in html
    assert "with “red CAR” or “blue bike” in the prompt are answered with &#39;buy it&#39;" in html
