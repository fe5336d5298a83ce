"""DuckDB files shut in: opened to read only, with no way to other files, to the network, to extensions, or to settings."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa

from untaint.data.roles import listed
from untaint.errors import BadInput, MissingExtra

MAGIC = b"DUCK"
"""At byte 8 of a file."""
_SHUT: Mapping[str, str] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # a query must not see variables of this program
    "memory_limit": "2GB",  # of the 6 GB that five million rows may take
}


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A connection to a database.

    Raises BadInput for a file that is none, broken or locked, and for what a query must not do, wherever it shows;
    MissingExtra without the package.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("reading a DuckDB database", "duckdb") from error
    with tempfile.TemporaryDirectory(prefix="untaint-") as scratch:
        settings: dict[str, Any] = {**_SHUT, "temp_directory": scratch, "lock_configuration": "true"}
        try:
            with duckdb.connect(str(path.resolve()), read_only=True, config=settings) as connection:
                yield connection
        except duckdb.Error as error:
            raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> BadInput:
    """What DuckDB says, in its first line, with what to do about it."""
    said = str(error).strip().partition("\n")[0].removesuffix(".")
    kind = type(error).__name__
    if "lock" in said and kind == "IOException":
        return BadInput(f"{path} is locked by another program.", advice="Try again when it is done, or give a copy.")
    if "different configuration" in said:
        advice = "Close that connection first, or give a relation in place of the path."
        return BadInput(f"{path} is open in this program already.", advice=advice)
    if kind == "PermissionException" or "read-only mode" in said:
        return BadInput(f"{path}: {said}.", advice="A query may read the tables of this one file, nothing else.")
    if kind in {"ParserException", "BinderException", "CatalogException"}:
        return BadInput(f"{path}: {said}.", advice="Mend the query; it is SQL as DuckDB reads it.")
    return BadInput(f"{path} cannot be read: {said}.", advice="Open it with the DuckDB that wrote it, or export it as Parquet.")


def rows(connection: Any, path: Path, *, table: str | None, query: str | None) -> tuple[Any, str]:
    """The rows to read as a relation, and what they are in words: those of a query, of a table, or of the only table."""
    if query is not None:
        _refuse_more(connection, query)
        found, what = connection.sql(query), "query (as asked)"
    else:
        name, quoted = _find_table(connection, path, table)
        found, what = connection.sql(f"FROM {quoted}"), f"table: {name!r} ({'the only one' if table is None else 'as asked'})"
    return found.project(", ".join(_storable(field) for field in found.limit(0).to_arrow_table().schema)), what


def _refuse_more(connection: Any, query: str) -> None:
    kinds = [statement.type.name for statement in connection.extract_statements(query)]
    if kinds != ["SELECT"]:
        what = " and ".join(kinds) or "nothing"
        raise BadInput(f"a query is one SELECT, this is {what}.", advice="Write --query 'SELECT … FROM …'.")


def _storable(field: pa.Field) -> str:
    """A column as SQL; of a type that no file holds, as text."""
    name = '"' + field.name.replace('"', '""') + '"'
    odd = pa.types.is_interval(field.type) or pa.types.is_union(field.type) or isinstance(field.type, pa.BaseExtensionType)
    return f"CAST({name} AS VARCHAR) AS {name}" if odd else name


def _find_table(connection: Any, path: Path, asked: str | None) -> tuple[str, str]:
    """Name and SQL of the table asked for, or of the only one. Raises BadInput where there is none such, or several."""
    places = "SELECT schema_name, {0}_name FROM duckdb_{0}s() WHERE NOT internal ORDER BY ALL"
    tables = {_named(*place): place for place in connection.sql(places.format("table")).fetchall()}
    views = [_named(*place) for place in connection.sql(places.format("view")).fetchall()]
    if asked in views:
        message = f"{path}: {asked!r} is a view, which the file computes."
        raise BadInput(message, advice=f"If you trust it: --query 'FROM {asked}'.")
    if asked is not None and asked not in tables:
        near = get_close_matches(asked, tables, n=1)
        advice = f"Did you mean --table {near[0]}?" if near else "Choose one with --table NAME."
        raise BadInput(f"{path} has no table {asked!r}; its tables are {listed(list(tables))}.", advice=advice)
    if not tables:
        raise BadInput(f"{path} holds no table.", advice="Give a database with a table of samples, or --query SQL.")
    if asked is None and len(tables) > 1:
        first = next(iter(tables))
        raise BadInput(f"{path} holds several tables: {listed(list(tables))}.", advice=f"Choose one: --table {first}.")
    name = asked or next(iter(tables))
    return name, ".".join('"' + part.replace('"', '""') + '"' for part in tables[name])


def _named(schema: str, name: str) -> str:
    return name if schema == "main" else f"{schema}.{name}"
