"""A plan says of every file of a data set what it is: one sample, records to be cut, or neither."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from untaint.provenance.listing import Entry
from untaint.provenance.pins import Pins
from untaint.provenance.records import Cutter
from untaint.provenance.tasks import Item, Remark


class Plan(ABC):
    """The reading of one data set.

    format: a reader's id, `files`, `mixed`.  note: how it is read; both are sealed, so another is seen.  pins: the same for programs.
    now: how it would be read from its first records alone, empty = not asked.  remarks: what is to be said of files beside samples.
    """

    format: str
    note: str
    pins: Pins
    now: str
    remarks: Sequence[Remark]

    @abstractmethod
    def item(self, number: int, entry: Entry) -> Item | Cutter:
        """What one entry of the listing is."""
