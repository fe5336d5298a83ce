"""Texts as people have them, through the command line: another encoding, all the same, markup."""

from pathlib import Path

from tests.e2e.cases import audit_json, untaint
from tests.review_sets import reviews


def csv(folder: Path, rows: list[tuple[str, str]], encoding: str = "utf-8") -> Path:
    lines = ["Kommentar;Urteil", *(f"{text};{label}" for text, label in rows)]
    (folder / "bewertungen.csv").write_text("\n".join(lines), encoding=encoding)
    return folder / "bewertungen.csv"


def audit(data: Path) -> tuple[str, str]:
    """What is printed, and the answer."""
    out = data.parent / "audit"
    outcome = untaint("audit", data, "--label", "Urteil", "--budget", "fast", "--out", out)
    assert outcome.code == 0, outcome
    return " ".join(outcome.out.split()), str(audit_json(out)["verdict"])


def test_another_encoding_is_named_with_what_to_do(tmp_path: Path) -> None:
    rows = [
        (f"{text} schön" if row % 4 == 0 else text, label) for row, (text, label) in enumerate(zip(*reviews(200), strict=True))
    ]
    said, answer = audit(csv(tmp_path, rows, "latin-1"))
    assert "50 samples could not be read, 50 of them: not UTF-8. Save the data as UTF-8." in said
    assert answer == "cannot tell"


def test_texts_that_are_all_the_same_cannot_be_judged(tmp_path: Path) -> None:
    said, answer = audit(csv(tmp_path, [("I saw it and liked it", "gut" if row % 2 else "schlecht") for row in range(200)]))
    assert answer == "cannot tell"
    assert "Some class has 1 different samples, the rest are copies" in said
