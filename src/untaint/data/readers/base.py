"""A reader turns one format into a `Dataset`: it indexes every row once and leaves the payloads where they lie."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypedDict, final

from typing_extensions import Unpack

from untaint.data.dataset import Dataset


@final
class Asked(TypedDict, total=False):
    """The same as keywords of a function."""

    label: str | None
    source: str | None
    payload: str | tuple[str, ...] | None
    time: str | None
    table: str | None
    query: str | None


@final
@dataclass(frozen=True)
class Request:
    """What the user asked for; None = find it.

    label, source, time: a column's name.  payload: the column (or columns) to audit.  table: of a database.
    query: SQL that makes the rows, in place of a table.
    """

    label: str | None = None
    source: str | None = None
    payload: tuple[str, ...] | None = None
    time: str | None = None
    table: str | None = None
    query: str | None = None

    @classmethod
    def of(cls, **asked: Unpack[Asked]) -> "Request":
        """From keywords; one payload may be a name."""
        payload = asked.get("payload")
        names = (payload,) if isinstance(payload, str) else payload
        label, source, time = asked.get("label"), asked.get("source"), asked.get("time")
        return cls(label, source, names, time, asked.get("table"), asked.get("query"))


class Reader(ABC):
    """One format. Row order is the file's; a row that cannot be used is kept with the reason; nothing in the data is run."""

    id: ClassVar[str]
    summary: ClassVar[str]
    """One line for `untaint list formats`."""
    asks: ClassVar[frozenset[str]] = frozenset()
    """Which of `table` and `query` it can be asked for."""

    @abstractmethod
    def claims(self, path: Path) -> bool:
        """Whether this path is of this format, from its name and first bytes."""

    @abstractmethod
    def read(self, path: Path, request: Request) -> Dataset:
        """The data set at this path. Raises BadInput when it cannot be read as this format."""
