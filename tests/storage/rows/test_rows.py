"""A value that goes through a row comes back as it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from tests.support.builders import LedgerBuilder, busy_ledger
from tollkeeper.core.grants import Slice
from tollkeeper.storage.rows.hot import (
    account_of,
    charge_on_column,
    charge_on_of,
    entry_of,
    grants_of,
    reservation_of,
    slices_columns,
    slices_of,
)
from tollkeeper.storage.rows.limits import put_windows
from tollkeeper.storage.schema import tables

IDS = st.integers(0, 2**63 - 1)
CREDITS = st.integers(0, 10**12)
SLICES = st.lists(st.builds(Slice, IDS, CREDITS), min_size=1, max_size=5).map(tuple)


def test_what_is_saved_is_read_back(module_engine: Engine) -> None:
    ledger = busy_ledger()
    with module_engine.begin() as connection:
        ledger.save(connection)

        def rows(table: Any) -> list[Any]:
            return list(connection.execute(select(table)).all())

        reservations = [reservation_of(row) for row in rows(tables.reservation)]
        entries = [entry_of(row) for row in rows(tables.entry)]
        windows = rows(tables.limit_window)
        accounts = [
            account_of(
                row, grants_of(each for each in rows(tables.credit_grant) if each[1] == row[1])
            )
            for row in rows(tables.account)
        ]

    accounts = list(put_windows({each.key: each for each in accounts}, windows).values())
    assert {each.reservation_id: each for each in reservations} == ledger.reservations
    assert {each.account_id: each for each in accounts} == ledger.accounts
    assert sorted(entries) == sorted(map(entry_of, ledger.entries))
    assert all(isinstance(each.late, bool) for each in reservations)


@given(slices=SLICES)
def test_slices_come_back(slices: tuple[Slice, ...]) -> None:
    total = sum(part for _, part in slices)

    assert slices_of(slices_columns(slices)[0], total, slices_columns(slices)[1]) == slices


def test_one_payer_needs_no_text() -> None:
    assert slices_columns((Slice(7, 10),)) == (7, None)
    assert slices_columns((Slice(7, 10), Slice(0, 5))) == (0, "7:10,0:5")


@pytest.mark.parametrize("text", ["", "7", "7:", "7:1:2", "a:1", "7:1,", "7:1;8:2"])
def test_a_text_that_is_no_slices_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        slices_of(0, 1, text)


@pytest.mark.parametrize("rule", [(), ("2xx",), ("2xx", "404", "503")])
def test_a_charge_rule_comes_back(rule: tuple[str, ...]) -> None:
    assert charge_on_of(charge_on_column(rule)) == rule


def test_the_default_charge_rule_needs_no_text() -> None:
    assert charge_on_column(()) is None


def test_grants_are_read_in_burn_order() -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")
    for priority, expires_us in ((1, None), (0, None), (0, ledger.now_us + 9), (1, None)):
        ledger.grant("acme", 10, priority=priority, expires_us=expires_us)
    grants = ledger.accounts["acme"].grants

    assert grants_of((0, 0, *grant[:-1], True, False) for grant in reversed(grants)) == grants
