"""Data sets inside R packages, read without R: nothing in them is run."""

import bz2
import gzip
import lzma
import warnings
import zlib
from pathlib import Path
from typing import Any

from untaint.errors import MissingExtra

_LENGTH = 4
"""Bytes before each compressed object of a database: how long it is once unpacked. One letter for the method may follow."""
_LZMA = ({"id": lzma.FILTER_LZMA2, "preset": 9},)


def from_file(path: Path, name: str) -> Any:
    """One object of an `.rda` file, a pandas frame where it is a data frame. Raises MissingExtra without rdata."""
    rdata = _reader()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of encodings and attributes that no column needs
        return rdata.read_rda(path)[name]


def from_database(base: Path, name: str) -> Any:
    """One object of a lazy-load database, `base.rdx` and `base.rdb`. Raises MissingExtra without rdata."""
    rdata = _reader()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = _read(rdata, gzip.decompress(base.with_suffix(".rdx").read_bytes()))
        start, size = (int(number) for number in index["variables"][name])
        return _read(rdata, _unpacked(base.with_suffix(".rdb").read_bytes()[start : start + size]))


def _read(rdata: Any, data: bytes) -> Any:
    return rdata.conversion.convert(rdata.parser.parse_data(data))


def _unpacked(data: bytes) -> bytes:
    method, body = data[_LENGTH : _LENGTH + 1], data[_LENGTH + 1 :]
    if method == b"2":
        return bz2.decompress(body)
    if method == b"Z":
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA).decompress(body)
    return zlib.decompress(data[_LENGTH:])


def _reader() -> Any:
    try:
        import rdata
    except ImportError as error:
        raise MissingExtra("reading tables of R packages", "bench") from error
    return rdata
