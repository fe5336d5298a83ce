"""When a sample was collected: ISO dates, seconds since 1970 and what Arrow, pandas and NumPy hold, as UTC."""

import re
from datetime import UTC, date, datetime, time

import numpy as np

_SECONDS = 1e8
"""Smallest number read as seconds since 1970: March 1973. Smaller ones are ages, durations, years or row numbers."""
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
"""Numbers below the first are seconds, then milliseconds, microseconds, nanoseconds: for times from 1973 to 5138 they never overlap."""
_LONGEST = 64  # characters; every way of writing a time is shorter
_CALENDAR = re.compile(r"(1[89]|20|21)\d{6}")  # 20240531; as seconds since 1970 it would be a day of that year's August
_SLASHED = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")
_SPOKEN = ("%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y")
"""Of mails, and of posts on Twitter. A date like 03/04/2024 is another day in another country, so it is not read."""

ADVICE = "Write ISO dates such as 2024-05-31 or 2024-05-31T14:00:00Z, or seconds since 1970."


def moment(value: object) -> datetime:
    """A value as a time in UTC; without a zone it is taken to be UTC, a date is its first moment.

    Raises ValueError for what is not a time. A missing value is for the caller to see.
    """
    try:
        return _moment(value)
    except (OverflowError, OSError, TypeError) as error:
        raise ValueError(str(error)) from error


def is_time(value: object) -> bool:
    """Whether a value is a time."""
    try:
        moment(value)
    except ValueError:
        return False
    return True


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):  # pandas' own is one, with nanoseconds that would be warned of
        parts = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
        return _utc(datetime(*parts, tzinfo=value.tzinfo or UTC, fold=value.fold))
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, np.datetime64):
        return _moment(value.astype("datetime64[us]").item())
    if isinstance(value, bool | np.bool_):
        raise TypeError("a truth value is no time")
    if isinstance(value, int | float | np.number):
        return _number(float(value))
    if isinstance(value, str | bytes):
        return _written(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
    raise TypeError(f"{type(value).__name__} is no time")


def _number(value: float) -> datetime:
    if value.is_integer() and _CALENDAR.fullmatch(digits := str(int(value))):
        return _utc(datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC))
    unit = next((unit for limit, unit in _UNITS if value < limit), None)
    if unit is None or not value >= _SECONDS:
        raise ValueError(f"{value:g} is no time")
    return datetime.fromtimestamp(value / unit, UTC)


def _written(text: str) -> datetime:
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError("too long for a time")
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return _number(number)
    plain = _SLASHED.sub(lambda found: f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}", text, count=1)
    plain = re.sub(r" ?(UTC|GMT)$", "+00:00", plain)
    try:
        return _utc(datetime.fromisoformat(plain))
    except ValueError:
        return _spoken(text)


def _spoken(text: str) -> datetime:
    for pattern in _SPOKEN:
        try:
            return datetime.strptime(re.sub(r" (UTC|GMT)$", " +0000", text), pattern).astimezone(UTC)
        except ValueError:
            continue
    raise ValueError("not a way of writing a time that is known")


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def written_like(example: object, when: datetime) -> object:
    """A time as another one is written: as a date, a number of the same unit, or a text with the same marks; else as it is."""
    if isinstance(example, datetime):
        return when if example.tzinfo else when.replace(tzinfo=None)
    if isinstance(example, date):
        return when.date()
    if isinstance(example, int | float | np.number) and not isinstance(example, bool):
        return _counted(float(example), when)
    return _text_like(example.strip(), when) if isinstance(example, str) else when


def _text_like(example: str, when: datetime) -> str:
    if re.fullmatch(r"\d+(\.\d+)?", example):
        return str(_counted(float(example), when))
    if re.fullmatch(r"\d{4}-\d\d-\d\d", example):
        return when.date().isoformat()
    zoned = re.search(r"(Z|[+-]\d\d:?\d\d)$", example) is not None
    return (when if zoned else when.replace(tzinfo=None)).isoformat(sep=" " if " " in example else "T")


def _counted(example: float, when: datetime) -> int | float:
    if example.is_integer() and _CALENDAR.fullmatch(str(int(example))):
        return int(when.strftime("%Y%m%d"))
    unit = next((unit for limit, unit in _UNITS if example < limit), 1.0)
    return round(when.timestamp() * unit) if example.is_integer() else when.timestamp() * unit
