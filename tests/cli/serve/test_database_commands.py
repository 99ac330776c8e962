"""`migrate` and `verify` on a SQLite ledger."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, here, serving, tollkeeper
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Generator[Serving]:
    """A running server whose account acme has a grant, a charge and an open hold."""
    with serving(tmp_path, "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.json("account", "create", "other")
        server.json("grant", "acme", "100")
        held = server.json("authorize", "acme", "GET", "/v1/leads")
        server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        server.json("authorize", "acme", "GET", "/v1/leads", "--hold", "3600")
        yield server


def test_a_ledger_in_order_has_no_findings_while_it_is_served(ledger: Serving) -> None:
    person = here("verify", "--database", ledger.database)
    script = tollkeeper("verify", "--json", folder=ledger.folder)

    assert (person.code, person.err) == (0, "")
    assert person.out == "checked 13 invariants of 2 accounts: all hold\n"
    assert script.json == {"accounts": 2, "findings": []}


@thorough
def test_a_broken_account_is_named(ledger: Serving) -> None:
    ledger.stop()
    with sqlite3.connect(ledger.folder / "tollkeeper.db") as connection:
        connection.execute("UPDATE account SET settled = settled + 3 WHERE account_id = 'acme'")
    connection.close()

    person = here("verify", "--database", ledger.database)
    script = here("verify", "--json", "--database", ledger.database)

    assert person.code == script.code == 1
    assert "acme" in person.out
    assert "other" not in person.out
    assert "checked 13 invariants of 2 accounts: " in person.err
    assert {finding["account_id"] for finding in script.json["findings"]} == {"acme"}
    assert all(finding["message"] for finding in script.json["findings"])


@pytest.mark.parametrize("command", [("verify",), ("migrate", "--check")])
def test_a_file_that_is_not_there_is_named_and_not_made(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = here(*command)

    assert ended.code == 1
    assert ended.err == "there is no file tollkeeper.db; name the ledger with --database\n"
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("method,path,credits\n" * 100, encoding="utf-8")

    ended = here("verify", "--database", f"sqlite:///{tmp_path / 'prices.csv'}")

    assert (ended.code, ended.err) == (
        1,
        "the file is not a SQLite database; name the ledger's\n",
    )


def test_a_file_without_a_schema_is_not_verified(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()

    ended = here("verify", "--database", f"sqlite:///{tmp_path / 'empty.db'}")

    assert ended.code == 1
    assert "the database has no schema" in ended.err
    assert "run `tollkeeper migrate`" in ended.err


def test_a_new_file_is_migrated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    before = here("migrate", "--check")
    first = here("migrate")
    second = here("migrate", "--json")

    assert before.code == 1
    assert (first.code, first.out) == (0, "the schema is current now\n")
    assert second.json == {"current": True, "migrated": False}
