"""The walk through a pickle against the standard library's own unpicklers, which are given names that do nothing."""

import contextlib
import io
import pickle
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from untaint.bench.hostile_models.base import called, named, pickled, text
from untaint.models.formats import contents
from untaint.models.formats.judge import ALLOWED, renamed
from untaint.models.formats.notes import Notes
from untaint.models.formats.opcodes import instruction
from untaint.models.formats.pickles import Pickles, is_pickle
from untaint.models.formats.window import Broken, Window


class Stub:
    """Stands for whatever a pickle names."""

    def __init__(self, *args: object, **words: object) -> None:
        self.held: list[object] = []

    def __setstate__(self, state: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def add(self, item: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass


BASE: Any = pickle._Unpickler


class Python(BASE):  # type: ignore[misc]
    asked: list[tuple[str, str]]

    def find_class(self, module: str, name: str) -> type[Stub]:
        self.asked.append(renamed(module, name) if self.proto < 3 else (module, name))
        return Stub

    def persistent_load(self, pid: object) -> object:
        return Stub()

    def get_extension(self, code: int) -> None:
        self.asked.append(("extension", str(code)))
        self.append(Stub)


class C(pickle.Unpickler):
    """The one in C, which is told names before they are translated from Python 2."""

    asked: list[tuple[str, str]]

    @override
    def find_class(self, module: str, name: str) -> type[Stub]:
        self.asked.append(renamed(module, name))
        return Stub

    @override
    def persistent_load(self, pid: object) -> object:
        return Stub()


def asked(content: bytes) -> list[tuple[str, str]]:
    """What either of the standard unpicklers would import, up to where it gives up."""
    found: list[tuple[str, str]] = []
    for kind in (Python, C):
        unpickler = kind(io.BytesIO(content))
        unpickler.asked = found
        with contextlib.suppress(Exception):
            unpickler.load()
    return found


def flaws(content: bytes) -> list[tuple[str, str]]:
    notes = Notes(contents.look)
    contents.look(Window.of(content), "it", notes, 0)
    return [(flaw.severity, flaw.what) for flaw in notes.flaws.values()]


NAMES = ("os", "system", "mkdir", "collections", "OrderedDict", "torch", "FloatStorage", "a.b", "")
PIECES = st.one_of(
    st.sampled_from(
        [b"(", b")", b"]", b"}", b"\x8f", b"N", b"\x88", b"0", b"1", b"2", b"t", b"\x85", b"\x86", b"\x87", b"l", b"d"]
    ),
    st.sampled_from(
        [b"\x93", b"R", b"b", b"a", b"e", b"s", b"u", b"\x90", b"\x91", b"\x81", b"\x92", b"o", b"\x94", b"Q", b"\x82\x01"]
    ),
    st.integers(0, 3).map(lambda place: b"q" + bytes([place])),
    st.integers(0, 3).map(lambda place: b"h" + bytes([place])),
    st.integers(0, 3).map(lambda place: f"p{place}\n".encode()),
    st.integers(0, 3).map(lambda place: f"g{place}\n".encode()),
    st.sampled_from(NAMES).map(text),
    st.sampled_from(NAMES).map(lambda name: b"\x8c" + bytes([len(name)]) + name.encode()),
    st.sampled_from(NAMES).map(lambda name: f"V{name}\n".encode()),
    st.sampled_from(NAMES).map(lambda name: f"S'{name}'\n".encode()),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(lambda pair: named(*pair)),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(lambda pair: f"i{pair[0]}\n{pair[1]}\n".encode()),
    st.just(b"\x95" + struct.pack("<Q", 0)),
)


@given(st.lists(PIECES, max_size=25).map(b"".join), st.sampled_from([0, 2, 4]))
def test_no_name_escapes(body: bytes, protocol: int) -> None:
    """Whatever the standard unpickler imports, and however it was led to it, the walk has seen."""
    content = pickled(body, protocol) if protocol else body + b"."
    if any(name not in ALLOWED for name in asked(content)):
        assert any(severity in {"high", "critical"} for severity, _ in flaws(content))


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.lists(inner).map(tuple),
), st.integers(0, 5))  # fmt: skip
def test_plain_data_pass(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    notes = Notes(contents.look)
    Pickles(Window.of(content), "it", notes, 0).scan()
    assert not notes.flaws


@given(st.integers(0, 5), st.data())
def test_changed_bytes_break_nothing(protocol: int, data: st.DataObject) -> None:
    content = bytearray(pickle.dumps({"a": [1, 2.5, "x", (b"y",)], "b": {"c": {1, 2}}}, protocol))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    changed = bytes(content[:cut])
    if any(name not in ALLOWED for name in asked(changed)):
        assert flaws(changed)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (called("builtins", "bytearray", b"J\x00\x00\x00\x40"), "it calls builtins.bytearray: its argument is not bytes spelled out"),
        (called("builtins", "list", called("builtins", "range", b"K\x05")), "it calls builtins.list: its argument is not spelled out"),
        (called("_codecs", "encode", text("x"), text("rot13")), "it calls _codecs.encode: it is not text as Latin-1"),
        (called("numpy", "dtype", text("x,y")), "it calls numpy.dtype: its code is not one of NumPy's"),
        (called("torch", "device", text("evil")), "it calls torch.device: it is no device"),
        (called("torch", "FloatStorage"), "it calls torch.FloatStorage: it may be named, not called"),
        (called("torch.serialization", "_get_layout", text("torch.evil")), "it calls torch.serialization._get_layout: it is no layout"),
        (b"]" + text("x") + b"b", "it sets the state of a list"),
        (b"N" + text("x") + b"a", "it puts something into a constant"),
        (named("collections", "OrderedDict") + b"}" + text("x") + b"b" + b"b", "it changes what collections.OrderedDict is"),
    ],
)  # fmt: skip
def test_uses_that_are_not_on_the_list(body: bytes, what: str) -> None:
    assert what in [said for _, said in flaws(pickled(body))]


def test_names_of_python_2() -> None:
    assert flaws(pickled(called("__builtin__", "set", b"]"))) == []
    assert flaws(pickled(called("__builtin__", "set", b"]"), 4)) == [("critical", "it imports __builtin__.set")]
    assert flaws(pickled(named("__builtin__", "apply"))) == [
        ("critical", "it imports builtins.apply (written __builtin__.apply)")
    ]


@pytest.mark.parametrize(
    "content", [b"I\n.", b"Ix\n.", b"(.", b"a.", b"t.", b"h\x05.", b"cos\n", b"\x80\x09N.", b"\x8e" + b"\xff" * 8 + b"."]
)
def test_nonsense_is_broken(content: bytes) -> None:
    with pytest.raises(Broken):
        Pickles(Window.of(content), "it", Notes(contents.look), 0).scan()


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (b"\x80\x04N.", True),
        (b"cos\nsystem\n(S'x'\ntR", True),
        (b"configuration\nand such\n", False),
        (b"N.", True),
        (b"N. and more", False),
        (b"# A title\n", False),
        (b"(lp0\n.", True),
        (b"", False),
    ],
)
def test_what_is_a_pickle(content: bytes, is_one: bool) -> None:
    assert is_pickle(Window.of(content)) is is_one


def test_every_instruction_is_handled() -> None:
    """Of the standard library's table: a new one would be unknown, and found."""
    import pickletools

    from untaint.models.formats.machine import Around, Machine

    machine: Any = Machine(Window.of(b""), None, Around())  # type: ignore[arg-type]
    handled: dict[str, Callable[..., None]] = machine._handlers
    assert set(handled) | {"STOP"} == {op.name for op in pickletools.opcodes}
    with pytest.raises(Broken, match="no instruction"):
        instruction(Window.of(b"\xff"), 0)
