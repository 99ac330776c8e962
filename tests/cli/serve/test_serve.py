"""The server as a process: how it starts, what keeps it from starting, and how it ends."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import here, serving, tollkeeper
from tests.support.thorough import thorough, with_thorough
from tests.support.waiting import wait_until
from tollkeeper.cli import health
from tollkeeper.cli.client import connect
from tollkeeper.v1 import admin_pb2, ledger_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.support.postgres import Postgres

DRAIN_S = 30
LEDGER = "tollkeeper.db"
ENDLESS_CALL = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
LIST_SERVICES = b"\x3a\x00"  # field 7, list_services, is empty


@contextmanager
def call_in_flight(address: str, ledger: Path) -> Generator[None]:
    """Have a call that does not end, because somebody else is writing to the file."""
    with closing(sqlite3.connect(ledger)) as other, grpc.insecure_channel(address) as channel:
        admin = AdminServiceStub(channel)
        admin.CreateAccount(admin_pb2.CreateAccountRequest(account_id="a", request_id="a"))
        other.execute("BEGIN IMMEDIATE")
        asked = admin.CreateAccount.future(
            admin_pb2.CreateAccountRequest(account_id="b", request_id="b")
        )
        # On one connection calls are begun in their order: this one's answer says that the other is on its way.
        admin.ListAccounts(admin_pb2.ListAccountsRequest())
        yield
        asked.cancel()


@contextmanager
def stream_without_end(address: str) -> Generator[None]:
    """Have a stream of reflection that does not end, because its requests do not."""
    done = Event()

    def requests() -> Iterator[bytes]:
        yield LIST_SERVICES
        done.wait()

    with grpc.insecure_channel(address) as channel:
        answers = cast("Any", channel).stream_stream(ENDLESS_CALL)(requests())
        next(answers)
        try:
            yield
        finally:
            done.set()


@pytest.mark.parametrize(
    "number", with_thorough([signal.SIGTERM, signal.SIGINT], quick=[signal.SIGTERM])
)
def test_a_server_says_one_line_and_ends_well_on_a_signal(
    number: signal.Signals, tmp_path: Path
) -> None:
    with serving(tmp_path) as server:
        assert server.json("account", "list") == {"accounts": []}

        ended = server.stop(number)

    assert ended.code == 0
    assert ended.out == f"listening on {server.address}\n"
    assert ended.err == ""


@thorough
def test_an_idle_connection_does_not_hold_a_server_up(tmp_path: Path) -> None:
    with serving(tmp_path) as server, connect(server.address):
        started = time.monotonic()
        ended = server.stop()

    assert ended.code == 0
    assert time.monotonic() - started < DRAIN_S


@thorough
def test_what_only_looks_does_not_hold_a_server_up(tmp_path: Path) -> None:
    with serving(tmp_path) as server, stream_without_end(server.address):
        started = time.monotonic()
        ended = server.stop()

    assert ended.code == 0
    assert time.monotonic() - started < DRAIN_S


@thorough
def test_a_call_in_flight_is_waited_for_no_longer_than_drain_s(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--drain-s", "1") as server,
        call_in_flight(server.address, tmp_path / LEDGER),
    ):
        started = time.monotonic()
        ended = server.stop()

    assert ended.code == 0
    assert 1 <= time.monotonic() - started < DRAIN_S


@thorough
def test_a_session_is_ended_by_a_stop_and_told_why(tmp_path: Path) -> None:
    open_end = Event()

    def requests() -> Iterator[ledger_pb2.SessionRequest]:
        yield ledger_pb2.SessionRequest(sequence=1, operations=[ledger_pb2.Operation()])
        open_end.wait()

    with serving(tmp_path) as server, grpc.insecure_channel(server.address) as channel:
        answers = LedgerServiceStub(channel).Session(requests())
        assert next(answers).sequence == 1

        started = time.monotonic()
        ended = server.stop()
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        open_end.set()

    assert ended.code == 0
    assert time.monotonic() - started < DRAIN_S
    assert cast("Any", caught.value).code() is grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in cast("Any", caught.value).details()


@thorough
def test_a_second_signal_ends_a_server_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as server, call_in_flight(server.address, tmp_path / LEDGER):
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: health.main([server.address]) == 1, timeout_s=DRAIN_S)
        ended = server.stop()

    assert ended.code == 128 + signal.SIGTERM
    assert time.monotonic() - started < DRAIN_S


def test_the_ledger_is_as_it_was_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.json("grant", "acme", "100")
        held = server.json("authorize", "acme", "GET", "/v1/leads", "--hold", "3600")
        server.stop(signal.SIGKILL)

    with serving(tmp_path, "--prices", str(PRICES)) as server:
        settled = server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        lists = server.json("prices", "list")["price_lists"]

    assert settled["balance"]["settled"] == 90
    assert [each["version"] for each in lists] == [1]


@thorough
def test_the_prices_of_the_settings_do_not_replace_what_is_published(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('[[price]]\nmethod = "GET"\npath = "/a"\ncredits = 1\n', encoding="utf-8")
    with serving(tmp_path, "--prices", str(PRICES)) as server:
        server.stop()

    with serving(tmp_path, "--prices", str(other)) as server:
        lists = server.json("prices", "list")["price_lists"]

    assert [(each["version"], len(each["prices"])) for each in lists] == [(1, 5)]


@thorough
def test_settings_reach_the_engine(tmp_path: Path) -> None:
    config = tmp_path / "tollkeeper.toml"
    config.write_text("hold_default_s = 7\nhold_max_s = 8\n", encoding="utf-8")
    with serving(tmp_path, "--config", str(config), "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.json("grant", "acme", "100")

        held = server.json("authorize", "acme", "GET", "/v1/leads")["reservation"]
        too_long = server.run("authorize", "acme", "GET", "/v1/leads", "--hold", "9")

    assert int(held["expire_time"][17:19]) == (int(held["create_time"][17:19]) + 7) % 60
    assert too_long.code == 1
    assert "hold: must be between 1 s and 8 s" in too_long.err


@thorough
def test_a_call_is_logged_where_that_is_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "info") as server:
        server.json("account", "create", "acme")

        ended = server.stop()

    assert "rpc method=CreateAccount account=acme answer=OK" in ended.err
    assert ended.out == f"listening on {server.address}\n"


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = tollkeeper("serve", "--listen", address, folder=tmp_path)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"cannot listen on {address}: ")
    assert len(ended.err.splitlines()) == 1


def test_a_bad_price_list_keeps_a_server_from_starting(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[[price]]\nmethod = "GET"\npath = "/a"\ncost = 1\n', encoding="utf-8")

    ended = tollkeeper("serve", "--prices", str(bad), folder=tmp_path)

    assert ended.code == 1
    assert f"{bad}: price 1, line 1 (GET /a): cost: no such key" in ended.err
    assert not (tmp_path / "tollkeeper.db").exists()


@thorough
def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    ended = tollkeeper("serve", "--database", f"sqlite:///{file}", "--listen", "127.0.0.1:0")

    assert ended.code == 1
    assert "is not a ledger; name another" in ended.err


def test_a_database_that_cannot_be_reached_is_said_in_a_line(tmp_path: Path) -> None:
    url = "postgresql+psycopg://ledger:hunter2@127.0.0.1:1/ledger"

    ended = tollkeeper("serve", "--database", url, folder=tmp_path)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("cannot use the database: ")
    assert "hunter2" not in ended.err


@thorough
@pytest.mark.postgres
def test_an_empty_postgresql_database_must_be_migrated_first(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.create_database()

    refused = tollkeeper("serve", "--database", url, folder=tmp_path)
    unchecked = here("migrate", "--check", "--database", url)
    migrated = here("migrate", "--database", url, "--json")
    checked = here("migrate", "--check", "--database", url)

    assert refused.code == 1
    assert "run `tollkeeper migrate`" in refused.err
    assert unchecked.code == 1
    assert "the database has no schema" in unchecked.err
    assert "run `tollkeeper migrate`" in unchecked.err
    assert migrated.json == {"current": True, "migrated": True}
    assert (checked.code, checked.out) == (0, "the schema is current\n")


@thorough
@pytest.mark.postgres
def test_servers_that_start_together_on_postgresql_publish_their_prices_once(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.create_database()
    here("migrate", "--database", url)

    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        starting = [
            threads.submit(
                stack.enter_context, serving(tmp_path, "--prices", str(PRICES), database=url)
            )
            for _ in range(2)
        ]
        first, second = (each.result() for each in starting)
        lists = first.json("prices", "list")["price_lists"]
        first.json("account", "create", "acme")
        second.json("grant", "acme", "10")
        held = first.json("authorize", "acme", "GET", "/v1/leads")
        second.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        page = first.run("overview", "acme").out
        verified = here("verify", "--database", url)
        codes = [first.stop().code, second.stop().code]

    assert [each["version"] for each in lists] == [1]
    assert "10 credits consumed by 1 request" in page
    assert (verified.code, verified.out) == (0, "checked 13 invariants of 1 account: all hold\n")
    assert codes == [0, 0]


def test_a_price_list_without_prices_is_named_at_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("price = []\n", encoding="utf-8")

    ended = tollkeeper("serve", "--prices", str(empty), folder=tmp_path)

    assert ended.code == 1
    assert ended.err == (
        f"{empty}: has no prices, so every endpoint would be free; leave --prices out, or publish this list "
        "with: tollkeeper prices publish --allow-empty\n"
    )


@thorough
def test_at_info_only_what_an_operator_wants_is_logged(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "info", "--metrics-listen", "127.0.0.1:0") as server:
        ended = server.stop()

    names = [line.split()[3] for line in ended.err.splitlines()]
    assert "alembic.runtime.migration Running upgrade" in ended.err.splitlines()[0]
    assert {name.split(".")[0] for name in names} == {"alembic", "tollkeeper"}
    assert all("Running" in line for line in ended.err.splitlines() if " alembic." in line)
    assert "tollkeeper.app serving address=" in ended.err


@thorough
def test_at_debug_libraries_are_logged_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "debug") as server:
        ended = server.stop()

    assert "alembic.runtime.migration Context impl SQLiteImpl." in ended.err
