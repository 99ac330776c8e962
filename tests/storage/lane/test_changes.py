"""The one list of what a batch writes has everything that a batch can change, and both lanes keep to it."""

from dataclasses import fields
from typing import Any, cast

import pytest

from tollkeeper.engine.ports import Writes
from tollkeeper.storage.lane import postgres_sql, sqlite_lane
from tollkeeper.storage.lane.changes import CHANGE, CHANGES, Change, How
from tollkeeper.storage.lane.postgres_batch import PostgresBatch


class _Read(Writes):
    """Nothing to write; remembers which lists were asked for."""

    __slots__ = ("read",)

    def __getattribute__(self, name: str) -> Any:
        if name != "read":
            self.read.add(name)
        return super().__getattribute__(name)


def _lists_of(change: Change) -> set[str]:
    writes = _Read.__new__(_Read)
    writes.read = cast("set[str]", set())
    Writes.__init__(writes)
    writes.read.clear()
    assert list(change.rows(writes)) == []
    return writes.read


def test_every_list_of_writes_is_written() -> None:
    written = set[str]().union(*map(_lists_of, CHANGES))

    assert written == {each.name for each in fields(Writes)}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_names_columns_of_its_table(change: Change) -> None:
    columns = set(change.table.columns.keys())

    assert {*change.names, *change.more} <= columns
    assert len(change.names) == len(set(change.names))
    if change.how in {How.UPDATE, How.ADD_TO, How.DELETE}:
        assert change.keys[0] == "shard"  # each is looked up in one shard


def test_both_lanes_have_a_statement_of_every_change() -> None:
    names = [change.name for change in CHANGES]

    assert len(CHANGE) == len(names)
    assert list(postgres_sql.STATEMENTS) == names
    assert list(sqlite_lane._STATEMENTS) == names  # pyright: ignore[reportPrivateUsage]
    assert PostgresBatch._OTHERWISE.keys() <= CHANGE.keys()  # pyright: ignore[reportPrivateUsage]
