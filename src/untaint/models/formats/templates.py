"""Chat templates: Jinja programs that a tokenizer runs on every conversation. They are taken apart, never rendered.

What breaks out of a template goes through attributes that no conversation has: names with underscores, the `attr` filter, objects that
Jinja itself hands to every template. A template that only formats messages needs none of them.
"""

import re
from typing import TYPE_CHECKING, Final

from untaint.models.formats.notes import Notes

if TYPE_CHECKING:
    from jinja2 import nodes

_MOST: Final = 1 << 20
_WORK: Final = 4
"""Work that a sign of a template counts for: two of the largest fill the measure, and usual ones have a few thousand."""
_HANDED: Final = {
    "cycler",
    "joiner",
    "lipsum",
    "self",
    "config",
    "request",
    "url_for",
    "get_flashed_messages",
    "application",
    "g",
}
"""Objects of Jinja or of web frameworks from which everything else can be reached."""
_FILTERS: Final = {"map", "selectattr", "rejectattr", "groupby", "sort", "unique", "min", "max", "sum"}
"""Filters that read an attribute by a name given as text: their first argument, or the one called `attribute`."""
_METHODS: Final = {"format", "format_map", "mro", "popen", "system", "read", "write", "open", "eval", "exec"}
_MARKS: Final = re.compile(
    r"__(?:class|mro|base|subclasses|globals|builtins|init|import|getattribute|getattr|dict|self|code|func|reduce|call|new|loader)"
    r"|\\(?:x5f|u005f|137)|importlib|subprocess|popen|builtins|getattr"
)
"""Names by which Python is reached from an object, and underscores spelled in other ways."""


def scan(text: str, where: str, notes: Notes) -> None:
    """Look at one template."""
    import jinja2

    if len(text) > _MOST:
        notes.flaw("high", "oversize", where, f"a template of {len(text):,} signs")
        return
    notes.worked(_WORK * len(text))
    try:
        tree = jinja2.Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"], autoescape=True).parse(text)
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError, MemoryError) as error:
        if mark := _MARKS.search(text):
            notes.flaw("high", "template", where, f"a template that cannot be taken apart has {mark[0]!r} in it")
        elif not isinstance(error, jinja2.TemplateError):
            notes.flaw("high", "template", where, f"a template cannot be taken apart ({type(error).__name__})")
        else:
            notes.flaw("low", "template", where, f"a template uses tags that are not Jinja's own ({str(error)[:60]})")
        return
    try:
        for why, severe in _reasons(tree):
            notes.flaw("critical" if severe else "medium", "template", where, f"a template {why}")
    except RecursionError:
        notes.flaw("high", "template", where, "a template is nested too deep to be taken apart")


def _reasons(tree: "nodes.Template") -> list[tuple[str, bool]]:
    """What a template does that formats no message, and whether nothing honest does it."""
    from jinja2 import nodes

    found: list[tuple[str, bool]] = []
    for kind in (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends):
        found += [(f"reads another template ({kind.__name__.lower()})", True) for _ in tree.find_all(kind)]
    for node in tree.find_all(nodes.Getattr):
        if node.attr.startswith("_") or node.attr in _METHODS:
            found.append((f"reaches for {node.attr[:40]!r}", node.attr.startswith("_")))
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Concat | nodes.Add | nodes.Mod | nodes.Filter) and any(_texts(item.arg)):
            found.append(("puts the name of an attribute together", True))
    for used in tree.find_all(nodes.Filter):
        asked = [*used.args[:1], *(word.value for word in used.kwargs if word.key == "attribute")]
        plain = all(isinstance(arg, nodes.Const) and "_" not in str(arg.value)[:1] for arg in asked)
        if used.name == "attr" or (used.name in _FILTERS and not plain):
            found.append((f"reads an attribute by the filter {used.name!r}", True))
    names = list(tree.find_all(nodes.Name))
    own = {name.name for name in names if name.ctx != "load"}
    found += [(f"uses {name.name!r}", True) for name in names if name.name in _HANDED - own]
    for text in [str(const.value) for const in tree.find_all(nodes.Const) if isinstance(const.value, str)]:
        if mark := _MARKS.search(text):
            found.append((f"has {mark[0]!r} in a text", True))
    return list(dict.fromkeys(found))


def _texts(node: "nodes.Node") -> list[str]:
    from jinja2 import nodes

    return [const.value for const in node.find_all(nodes.Const) if isinstance(const.value, str)]
