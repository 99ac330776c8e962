"""Rows and hot tuples are unpacked into names: those of the columns or fields that are there, in their order."""

import ast
import inspect
from types import ModuleType

import pytest

from tollkeeper.core.account import Account
from tollkeeper.core.grants import Grant
from tollkeeper.core.journal import Entry
from tollkeeper.core.reservation import Reservation
from tollkeeper.storage.rows import hot, written
from tollkeeper.storage.schema import tables

LONG = 6
"""With so many names a reader does not see that two of them are swapped."""

ROWS = {
    "account_of": tables.account,
    "grant_of": tables.credit_grant,
    "reservation_of": tables.reservation,
    "entry_of": tables.entry,
}
VALUES = {"account": Account, "grant": Grant, "entry": Entry, "reservation": Reservation}


def unpackings(module: ModuleType) -> dict[str, tuple[str, list[str]]]:
    """Return by function what is unpacked in it, and into which names; a rest (`*_`) is left out."""
    found: dict[str, tuple[str, list[str]]] = {}
    for function in ast.parse(inspect.getsource(module)).body:
        for node in ast.walk(function):
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)):
                continue
            names = [each.id for each in node.targets[0].elts if isinstance(each, ast.Name)]
            if len(names) >= LONG:
                assert isinstance(function, ast.FunctionDef)
                found[function.name] = (ast.unparse(node.value), names)
    return found


@pytest.mark.parametrize("function", ROWS)
def test_a_row_is_unpacked_into_the_names_of_its_columns(function: str) -> None:
    value, names = unpackings(hot)[function]

    columns = ROWS[function].columns.keys()[: len(names)]
    assert value == "row"
    assert all(name in {"_", column} for name, column in zip(names, columns, strict=True))


def test_a_value_is_unpacked_into_the_names_of_its_fields() -> None:
    found = unpackings(written)

    assert found.keys() == {
        *("account_row", "account_update", "grant_row", "reservation_row", "entry_row")
    }
    for function, (value, names) in found.items():
        fields = VALUES[value]._fields[: len(names)]
        assert [*names] == [n if n == "_" else f for n, f in zip(names, fields, strict=True)], (
            function
        )


def test_nothing_is_copied_by_a_slice() -> None:
    sliced = [
        f"{module.__name__}:{node.lineno}"
        for module in (hot, written)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Starred) and isinstance(node.value, ast.Subscript)
    ]

    assert not sliced
