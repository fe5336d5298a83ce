"""The documentation says what is there, and the source keeps the rules that no linter knows."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import typer
from typer.main import get_command

from untaint.evidence.evidence import Kind

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted([*(ROOT / "docs").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
GENERATED = {"docs/reference.md"}
MAX_LINES, MAX_BODY = 500, 50

# In pieces, so that this file does not hold what it looks for.
FOREIGN = tuple(
    "".join(pieces)
    for pieces in (
        *(("..", "/shared"), ("/wo", "rk/"), ("sub", "agent")),
        *(("py", "pi.org"), ("python", "hosted.org"), ("download.", "pytorch.org"), ("npm", "js.org"), ("ana", "conda.org")),
    )
)


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def code(text: str) -> Iterator[str]:
    """Lines of code blocks and the content of code spans."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        yield from re.sub(r"\\\n", " ", block).splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Anchors as code-hosting sites make them of headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(
        r"^#{1,6} +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    ):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken_links(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](#two) [c](gone.md) [d](https://example.org) `[e](gone.md)`\n", encoding="utf-8")
    assert list(broken_links(page)) == ["#two: no such heading", "gone.md: no such file"]


@pytest.mark.parametrize("name", ["pyproject.toml", "src/untaint_flat_image/__init__.py"])
def test_the_example_package_is_the_one_that_is_tested(name: str) -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert f"\n{(ROOT / 'tests' / 'plugin_package' / name).read_text(encoding='utf-8')}```" in page


@cache
def commands() -> dict[str, Any]:
    """The command line's verbs by name; a test that needs them is skipped only while there is no command line at all."""
    if importlib.util.find_spec("untaint.cli.app") is None:
        pytest.skip("untaint has no command line yet")
    apps = [value for value in vars(importlib.import_module("untaint.cli.app")).values() if isinstance(value, typer.Typer)]
    assert apps, "untaint.cli.app has no typer application"
    group: Any = get_command(apps[0])
    return dict(group.commands)


def unknown(line: str, known: dict[str, Any]) -> Iterator[str]:
    """Verbs and flags on a line of documentation that the command line does not know."""
    for call in re.split(r"\s(?:\||&&|;|#)\s|\s\|\|?\s", line):
        match = re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?untaint ([a-z][a-z-]*)(.*)", call)
        if match is None:
            continue
        verb, rest = match[1], match[2]
        second = rest.strip().partition(" ")[0]
        if f"{verb} {second}" in known:
            verb, rest = f"{verb} {second}", rest.partition(second)[2]
        if verb not in known:
            yield f"untaint {verb}"
            continue
        flags = {flag for parameter in known[verb].params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        yield from (f"untaint {verb} {flag}" for flag in re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", rest) if flag not in flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    known = commands()
    assert [bad for line in code(page.read_text(encoding="utf-8")) for bad in unknown(line, known)] == []


def test_every_command_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [verb for verb in commands() if f"untaint {verb}" not in text] == []


def test_the_reference_is_what_the_docstrings_say() -> None:
    told = generator().PAGE.read_text(encoding="utf-8")
    assert told == generator().page(), "run `make docs`"


@pytest.mark.parametrize("kind", ["Detectors", "Attacks", "Readers", "Renderers"])
def test_every_member_is_in_the_reference(kind: str) -> None:
    (chosen,) = [known for known in generator().KINDS if known.heading == kind]
    headings = re.findall(r"^### `(.+)`$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in generator().found(chosen) if name not in headings] == []


def strings(path: Path) -> Iterator[str]:
    """Text literals of a source file, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


@cache
def said() -> dict[str, set[Path]]:
    """Every string of the source, with the files that hold it."""
    found: dict[str, set[Path]] = {}
    for path in SOURCES:
        for text in strings(path):
            found.setdefault(text, set()).add(path)
    return found


@pytest.mark.parametrize("kind", ["Detectors", "Attacks"])
def test_an_algorithm_is_named_in_its_own_file_only(kind: str) -> None:
    (chosen,) = [known for known in generator().KINDS if known.heading == kind]
    found = []
    for name, member in generator().found(chosen).items():
        own = Path(sys.modules[member.__module__].__file__ or "")
        spec = "" if name in get_args(Kind) else "?"  # an attack may share its name with a kind of finding: then only specs tell
        pattern = re.compile(rf"\s*{re.escape(name)}\s*(\(.*){spec}", re.DOTALL)  # the id alone, or a spec
        naming = {path for text, paths in said().items() if pattern.fullmatch(text) for path in paths}
        found += [f"{name}: {path.relative_to(ROOT)}" for path in sorted(naming - {own})]
    assert found == []


@cache
def repository() -> list[Path]:
    """Files a clone holds or soon will."""
    try:
        call = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(call, cwd=ROOT, capture_output=True, check=True).stdout.decode()  # noqa: S603 - fixed arguments
    except (OSError, subprocess.CalledProcessError):
        return [path for path in ROOT.rglob("*") if path.is_file() and not any(part.startswith(".v") for part in path.parts)]
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_project_speaks_of_itself_only() -> None:
    found = []
    for path in repository():
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in FOREIGN if word in text]
    assert found == []


def bodies(path: Path) -> Iterator[tuple[str, int]]:
    """Functions of a file and the lines of their bodies, docstrings left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            rest = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, (rest[-1].end_lineno or 0) - rest[0].lineno + 1 if rest else 0


def test_files_and_functions_stay_small() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in SOURCES + SCRIPTS
        if (lines := len(path.read_text("utf-8").splitlines())) > MAX_LINES
    ]
    long += [
        f"{path.relative_to(ROOT)}: {name} {size} lines"
        for path in SOURCES + SCRIPTS
        for name, size in bodies(path)
        if size > MAX_BODY
    ]
    assert long == []


def test_files_of_tests_have_names_of_their_own() -> None:
    """Folders of tests are no packages: two files of one name hide each other when all are collected."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
