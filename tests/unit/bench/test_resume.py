"""A stopped measurement goes on, but only as the same measurement."""

from pathlib import Path

from untaint.bench import resume


def test_only_whole_lines_with_the_same_facts_count(tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    assert resume.done(log, {}) == []
    resume.add(log, {"run": 1, "code": "a"})
    resume.add(log, {"run": 2, "code": "b"})
    log.write_text(log.read_text() + '{"run": 3, "co')
    assert resume.done(log, {"code": "a"}) == [{"run": 1, "code": "a"}]
    assert [record["run"] for record in resume.done(log, {})] == [1, 2]


def test_the_code_has_one_digest() -> None:
    assert resume.code() == resume.code()
    assert len(resume.code()) == 16
