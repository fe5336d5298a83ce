"""A reader turns one format into a `Dataset`: it indexes every row once and leaves the payloads where they lie."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from untaint.data.dataset import Dataset


@final
@dataclass(frozen=True)
class Request:
    """What the user asked for; None = find it.

    label, source, time: a column's name.  payload: the column (or columns) to audit.
    """

    label: str | None = None
    source: str | None = None
    payload: tuple[str, ...] | None = None
    time: str | None = None


class Reader(ABC):
    """One format. Row order is the file's; a row that cannot be used is kept with the reason; nothing in the data is run."""

    id: ClassVar[str]
    summary: ClassVar[str]
    """One line for `untaint list formats`."""

    @abstractmethod
    def claims(self, path: Path) -> bool:
        """Whether this path is of this format, from its name and first bytes."""

    @abstractmethod
    def read(self, path: Path, request: Request) -> Dataset:
        """The data set at this path. Raises BadInput when it cannot be read as this format."""
