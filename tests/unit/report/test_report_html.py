import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from untaint.data.dataset import from_arrays
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import AuditResult, Check, SourceShare
from untaint.report import pictures
from untaint.report.base import Report
from untaint.report.html import MAX_BYTES, Html, prose
from untaint.report.v1 import document
from untaint.report.view import histogram


def page(result: AuditResult) -> str:
    return Html().render(Report(document(result), result.samples, {}))


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_tells_what_a_person_needs(report: Report) -> None:
    html = words(Html().render(report))
    for said in (
        "Poisoned",
        "12 of 160 samples flagged in 1 finding",
        "at most 1 % would be called poisoned",
        "Backdoor: 12 samples carry a trigger that means &#39;T-shirt&#39;",
        "severity critical",
        "confidence high",
        "contractor-7",
        "untaint clean &#39;shop photos&#39; --audit untaint-audit --out untaint-clean",
        "Worth a look, not an accusation",
        "Trouser/00159.png not a readable image",
        "phrase-search skipped The data are images",
    ):
        assert said in html


def test_silence_is_not_called_safety(clean: AuditResult) -> None:
    html = words(page(clean))
    assert "No evidence of poisoning" in html
    assert "not proof of safety" in html
    assert "untaint clean" not in html


def test_nothing_can_run_or_be_fetched(report: Report) -> None:
    html = Html().render(report)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    assert "<script" not in html
    assert not re.search(r"(?:src|href)=\"(?!data:image/png;base64,|#)", html)
    assert not re.search(r"url\(|@import", html)


def test_words_are_explained_only_if_used(result: AuditResult, clean: AuditResult) -> None:
    assert "<dt>trigger</dt>" in page(result)
    assert "<dt>trigger</dt>" not in page(clean)
    assert "<dt>TPR</dt>" not in page(result)


def test_the_phrase_is_marked(result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], trigger=Trigger("phrase", "words", {"phrase": "red CAR"}))
    told = replace(result, verdict=replace(result.verdict, findings=(finding,)))
    texts = from_arrays(["a Red car <b>"] * len(result.samples), result.samples.column("label").to_pylist())
    html = Html().render(Report(document(told), told.samples, pictures.choose(told, texts)))
    assert "a <mark>Red car</mark> &lt;b&gt;" in html


def test_code_is_set_as_code() -> None:
    assert prose("run `a <b>` & go", 100) == "run <code>a &lt;b&gt;</code> &amp; go"


def test_samples_not_assessed_are_not_in_the_chart(result: AuditResult) -> None:
    assert np.sum(histogram(result.samples)) == len(result.samples) - 1
    index = result.samples.schema.get_field_index("risk")
    nothing = result.samples.set_column(index, "risk", pa.array([None] * len(result.samples), pa.float64()))
    assert histogram(nothing) == []


def test_small_whatever_the_data(result: AuditResult) -> None:
    long = "\u202e<&" * 33_000
    noise = np.random.default_rng(0).integers(0, 256, (len(result.samples), 96, 96, 3), dtype=np.uint8)
    first = result.verdict.findings[0]
    trigger = Trigger("patch", long, {f"p{i}": long for i in range(2)}, noise[0])
    sources = tuple(SourceShare(f"{i} {long[:200]}", 10, 5, 0.1) for i in range(100_000))
    findings = tuple(
        replace(
            first,
            id=f"F{i}",
            explanation=long,
            advice=long,
            target_label=long,
            trigger=trigger,
            sources=sources if i == 0 else (),
        )
        for i in range(500)
    )
    verdict = replace(result.verdict, findings=findings, reasons=(long,) * 1000)
    checks = tuple(Check(f"d{i}", f"d{i}()", "failed" if i % 2 else "ran", long if i < 50 else "r", 1.0) for i in range(100_000))
    huge = replace(
        result,
        verdict=verdict,
        checks=checks,
        dataset={"classes": [long] * 1000},
        environment={str(i): long for i in range(1000)},
    )
    chosen = pictures.choose(huge, from_arrays(noise, result.samples.column("label").to_pylist()))
    html = Html().render(Report(document(huge), huge.samples, chosen))
    assert len(html.encode()) < MAX_BYTES
    assert "more finding" in html
    assert "more check" in html
    assert "data:image/png" in html


def test_a_proof_shows_each_image_plain_and_with_the_trigger(report: Report) -> None:
    page = Html().render(report)
    proof = page[page.index("Proof by intervention") : page.index("Accused samples")]
    assert proof.count("<img") == 6
    assert "<figcaption>T-shirt; without the accused: Bag</figcaption>" in proof
    assert "97%" in proof


def test_an_audit_of_a_release_without_proofs_renders(report: Report) -> None:
    plain = tuple(finding.model_copy(update={"proof": None}) for finding in report.document.findings)
    page = Html().render(replace(report, document=report.document.model_copy(update={"findings": plain})))
    assert "intervention" not in page


def test_the_most_telling_detector_speaks_first_and_the_others_wait(result: AuditResult) -> None:
    finding = replace(result.verdict.findings[0], explanation="A patch recurs.\nspectral: <b>They</b> part.")
    one = replace(result, verdict=replace(result.verdict, findings=(finding,)))
    page = Html().render(Report(document(one), one.samples, {}))
    assert '<p class="lead">A patch recurs.</p>' in page
    assert "1 more check found the same" in page.replace("\n", " ")
    assert "<li>spectral: &lt;b&gt;They&lt;/b&gt; part.</li>" in page


def test_the_command_names_the_folder_the_audit_lies_in(report: Report) -> None:
    html = Html().render(replace(report, folder="out/my audit"))
    assert "--audit &#39;out/my audit&#39; --out untaint-clean" in html
