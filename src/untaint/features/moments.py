"""When samples were collected, as bins of time with about as many samples in each."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.data.dataset import Dataset
from untaint.errors import FeatureUnavailable
from untaint.features.graph import feature

BINS = 24
"""Bins of a set: of 3,000 samples each has 125, enough to see its habits, and a burst of an hour or of a twentieth of the whole
period lies in one or two. Bins hold equal counts, not equal spans: honest traffic is uneven, and bins by the clock would hold
nothing at night and everything on a busy day."""
SHORT, _LEAST = 120, 20
"""Bins, and samples of each at least, for bursts of hours: where titles come and go within days, only there does one stand out."""
UNDATED = "the data do not say when samples were collected"


@final
@dataclass(frozen=True)
class Moments:
    """codes: (n,) the bin of every row, -1 = not known when. starts, ends: (b,) first and last time in each bin, datetime64[us]."""

    codes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Each bin in words."""
        return tuple(between(start, end) for start, end in zip(self.starts, self.ends, strict=True))


@feature()
def moments(dataset: Dataset) -> Moments:
    """Bins of time. Samples of one time share a bin, so a day of which only the date is known is never cut."""
    return binned(_known(dataset), BINS)


@feature()
def short_moments(dataset: Dataset) -> Moments:
    """The same in five times as many bins, as far as there are samples for them."""
    times = _known(dataset)
    return binned(times, max(1, min(SHORT, int((~np.isnat(times)).sum()) // _LEAST)))


def _known(dataset: Dataset) -> np.ndarray:
    if np.isnat(dataset.times).all():
        raise FeatureUnavailable(UNDATED)
    return dataset.times


def binned(times: np.ndarray, bins: int) -> Moments:
    """Times (n,) in at most so many bins by the middle of their ranks."""
    known = ~np.isnat(times)
    values, place, counts = np.unique(times[known], return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    number = np.unique((middle * bins / counts.sum()).astype(np.int64), return_inverse=True)[1]
    codes = np.full(len(times), -1)
    codes[known] = number[place]
    first = np.flatnonzero(np.diff(number, prepend=-1))
    return Moments(codes, values[first], values[np.append(first[1:], len(values)) - 1])


def between(start: np.datetime64, end: np.datetime64) -> str:
    """A stretch of time in words, to the minute unless only dates are known."""
    known = "D" if all(each == each.astype("datetime64[D]") for each in (start, end)) else "m"
    first, last = (str(each.astype(f"datetime64[{known}]")).replace("T", " ") for each in (start, end))
    return first if first == last else f"{first} to {last}"


def stretches(codes: np.ndarray, found: Moments) -> list[str]:
    """Bins in words, those that follow each other as one."""
    ordered = np.unique(codes)
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return [between(found.starts[run[0]], found.ends[run[-1]]) for run in runs if len(run)]
