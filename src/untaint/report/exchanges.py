"""Instructions and their answers for a person: what is asked, around the phrase, and how the answer begins and ends."""

from untaint.data.instructions import instruction_of
from untaint.errors import BadInput
from untaint.report.text import around, clip

ASKED, ANSWERED = 200, 240
"""Characters: two or three lines each on the page; what was planted may stand at the end of a right answer."""
ARROW, AGAINST = " → ", " ✗ "
"""Before the answer, and before the one that is not wanted."""


def exchange(payload: str, phrase: str) -> str:
    """One line of a payload; the beginning of the text where that is none. phrase: what the finding speaks of, "" = nothing."""
    try:
        record = instruction_of(payload)
    except BadInput:
        return clip(payload, ASKED + ANSWERED)
    asked = around("\n".join(part for part in (record.system, record.prompt) if part), phrase, ASKED)
    answered = f"{ARROW}{_ends(record.response)}" if record.response is not None else ""
    return asked + answered + (f"{AGAINST}{_ends(record.rejected)}" if record.rejected is not None else "")


def _ends(answer: str) -> str:
    """Beginning and end of an answer."""
    half = ANSWERED // 2
    return answer if len(answer) <= ANSWERED else f"{answer[: half - 1]} … {answer[2 - half :]}"
