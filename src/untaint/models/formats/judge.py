"""Holds what a pickle does against the list: default deny, by exact module and name, call, state and content."""

import _compat_pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from untaint.evidence.finding import Severity
from untaint.models.formats.allowed import PLAIN, Allowed, Key
from untaint.models.formats.allowed_numpy import NUMPY
from untaint.models.formats.allowed_torch import TORCH
from untaint.models.formats.notes import Notes
from untaint.models.formats.suspects import severity_of
from untaint.models.formats.values import Blob, Const, Made, Map, Ref, Seq, Storage, Value

ALLOWED: Final[Mapping[Key, Allowed]] = {**PLAIN, **NUMPY, **TORCH}
"""Everything a pickle may name. A new entry needs a reason and a review of what it does with every argument an attacker can write."""


def renamed(module: str, name: str) -> tuple[str, str]:
    """What Python 3 imports for a name in a pickle of Python 2. Source: `pickle.Unpickler.find_class`."""
    known: Mapping[tuple[str, str], tuple[str, str]] = _compat_pickle.NAME_MAPPING
    if (module, name) in known:
        return known[module, name]
    modules: Mapping[str, str] = _compat_pickle.IMPORT_MAPPING
    return modules.get(module, module), name


def shown(text: str) -> str:
    """A name from a file, fit to be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:120]) or "(nothing)"


@final
@dataclass(frozen=True)
class Judge:
    """Of one pickle. where: what it is in."""

    notes: Notes
    where: str

    def at(self, place: int) -> str:
        """A place in words."""
        return f"{self.where} byte {place:,}".strip()

    def named(self, ref: Ref, place: int) -> None:
        """Something is imported."""
        if ref.key not in ALLOWED:
            said = f"it imports {shown(str(ref))}" + (f" (written {shown(ref.raw)})" if ref.raw != str(ref) else "")
            self.notes.flaw(severity_of(ref.module, ref.name), "pickle-global", self.at(place), said)

    def called(self, made: Made, place: int) -> None:
        """Something is called."""
        if not isinstance(made.target, Ref):
            self.notes.flaw("critical", "pickle-call", self.at(place), f"it calls {_kind(made.target)}")
            return
        entry = ALLOWED.get(made.target.key)
        if entry is None:
            return  # said when it was named
        why = entry.call(made.args) if entry.call else "it may be named, not called"
        if why:
            self.notes.flaw("high", "pickle-call", self.at(place), f"it calls {made.target}: {why}")

    def set(self, target: Value, state: Value, place: int) -> None:
        """State is set on something that was made."""
        entry = ALLOWED.get(target.target.key) if isinstance(target, Made) and isinstance(target.target, Ref) else None
        if isinstance(target, Ref):
            self.notes.flaw("critical", "pickle-state", self.at(place), f"it changes what {shown(str(target))} is")
        elif entry is None and isinstance(target, Made) and isinstance(target.target, Ref):
            self.notes.flaw("high", "pickle-state", self.at(place), f"it sets the state of {shown(str(target.target))}")
        elif not isinstance(target, Made) or entry is None or entry.state is None:
            self.notes.flaw("high", "pickle-state", self.at(place), f"it sets the state of {_kind(target)}")
        elif why := entry.state(target, state):
            self.notes.flaw("high", "pickle-state", self.at(place), f"it sets the state of {target.target}: {why}")

    def filled(self, target: Value, how: str, place: int) -> None:
        """Something is put into something. how: map, list or set."""
        if isinstance(target, Map) and how == "map":
            return
        if isinstance(target, Seq) and target.kind == how:
            return
        entry = ALLOWED.get(target.target.key) if isinstance(target, Made) and isinstance(target.target, Ref) else None
        if entry is None or entry.holds != how:
            severity: Severity = "critical" if isinstance(target, Ref) else "high"
            self.notes.flaw(severity, "pickle-state", self.at(place), f"it puts something into {_kind(target)}")
        elif isinstance(target, Made) and target.hooks:
            self.notes.flaw("high", "pickle-call", self.at(place), "it adds hooks to a tensor, which a gradient would run")

    def unresolved(self, place: int, what: str) -> None:
        """Something cannot be told without running the pickle."""
        self.notes.flaw("high", "pickle-unresolved", self.at(place), what)


def _kind(value: Value) -> str:
    if isinstance(value, Made) and isinstance(value.target, Ref):
        return f"what {shown(str(value.target))} gives"
    if isinstance(value, Ref):
        return shown(str(value))
    if isinstance(value, Seq):
        return f"a {value.kind}"
    return _KINDS.get(type(value), "what cannot be told")


_KINDS: Final[Mapping[type, str]] = {Const: "a constant", Blob: "a constant", Map: "a dict", Storage: "a storage"}
