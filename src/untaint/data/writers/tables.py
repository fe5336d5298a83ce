"""Rows of several Arrow tables, put into one order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa

from untaint.data.writers.base import Picks
from untaint.data.writers.pictures import Pictures
from untaint.types import Rows


def gathered(takes: Sequence[Callable[[Rows], pa.Table] | None], picks: Picks) -> pa.Table:
    """The picked rows in their order; `takes[p]` hands over rows of part p."""
    tables = [take(picks.of(part)) for part, take in enumerate(takes) if take is not None]
    by_part = np.argsort(picks.part, kind="stable")
    position = np.empty_like(by_part)
    position[by_part] = np.arange(len(picks))
    return pa.concat_tables(tables).take(pa.array(position))


@final
@dataclass(frozen=True)
class Payloads:
    """The column that may name pictures."""

    column: str | None
    pictures: Pictures

    def bring(self, table: pa.Table, picks: Picks) -> None:
        """Copy the pictures these rows name."""
        if self.column not in table.schema.names:
            return
        kind = table.schema.field(self.column).type
        if pa.types.is_struct(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            for part, cell in zip(picks.part.tolist(), table.column(self.column).to_pylist(), strict=True):
                self.pictures.bring(part, cell)
