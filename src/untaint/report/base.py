"""What a renderer is. One rule: findings in, text out; nothing is computed from the data, nothing is decided."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import pyarrow as pa

from untaint.report.v1 import Document

Role = Literal["member", "normal", "trigger", "difference", "plain", "stamped"]


@final
@dataclass(frozen=True)
class Picture:
    """One thing to look at: a PNG, or the beginning of a text. row: the sample shown, -1 = none in particular.

    Of a proof: `plain` is an image nobody accuses, `stamped` the same with the trigger, their text what networks answer.
    """

    finding: str
    role: Role
    row: int
    png: bytes | None = None
    text: str | None = None

    @property
    def name(self) -> str:
        """Its key in `pictures.parquet`."""
        return f"{self.finding}/{self.role}" if self.row < 0 else f"{self.finding}/{self.role}/{self.row}"


@final
@dataclass(frozen=True)
class Report:
    """All that an audit folder holds, and all that a renderer may use. folder: where it lies, as a command would name it."""

    document: Document
    samples: pa.Table
    pictures: Mapping[str, Picture]
    folder: str = "untaint-audit"


class Renderer(ABC):
    """A report as text. file: its name in the audit folder.  with_audit: written by every audit, not only on request."""

    id: ClassVar[str]
    file: ClassVar[str]
    with_audit: ClassVar[bool]

    @abstractmethod
    def render(self, report: Report) -> str:
        """The text, encodable as UTF-8: the same for the same report, whenever and wherever."""
