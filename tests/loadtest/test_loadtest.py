"""Load tests of a second or two against servers that are real ones. None says how fast anything is."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import SERVER, here, serving
from tests.loadtest.runs import MIXED, loadtest, running
from tests.support.ledgers import Ledger
from tests.support.thorough import thorough
from tollkeeper_loadtest import run as load_run
from tollkeeper_loadtest.checking.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.cli.processes import Serving

CLOSED: tuple[str, ...] = ()
OPEN = ("--rate", "150")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "loop"),
    [
        ("unary", CLOSED),
        pytest.param("unary", OPEN, marks=pytest.mark.thorough),
        pytest.param("batch", OPEN, marks=pytest.mark.thorough),
        pytest.param("session", CLOSED, marks=pytest.mark.thorough),
        pytest.param("client", CLOSED, marks=pytest.mark.thorough),
        pytest.param("client", OPEN, marks=pytest.mark.thorough),
    ],
)
def test_a_mixed_load_ends_with_a_ledger_that_agrees(
    mode: str, loop: tuple[str, ...], ledger_on_any: Ledger
) -> None:
    mixed = (*MIXED, "--expired", "10", "--credits", "100", "--accounts-by", "zipf")

    ended = loadtest("--mode", mode, *loop, *mixed, *at(ledger_on_any), "--duration", "1")

    assert ended.code == 0, ended.out
    report = ended.json
    check = report["check"]
    assert (report["good"], check["good"], check["verified"]) == (True, True, True)
    assert all(check[name] for name in ("charged_requests", "released", "expired", "denied"))
    assert (check["unresolved"], report["load"]["errors"]) == (0, {})
    assert report["settings"]["loop"] == ("open" if loop else "closed")
    # The rows of the database say it too.
    charges, credits = ledger_on_any.rows(
        "SELECT count(*), sum(credits) FROM entry WHERE kind = 2"
    )[0]
    assert (charges, -credits) == (check["charged_requests"], check["charged_credits"])
    assert ledger_on_any.findings() == []


@pytest.mark.thorough
def test_a_run_needs_nothing_but_its_name() -> None:
    ended = here("loadtest", "--duration", "0.5", "--warm-up", "0.5")

    assert ended.code == 0, ended.err
    assert "closed, unary, 64 callers" in ended.out
    assert "p99.99" in ended.out
    assert "verify say the same to the last" in ended.out


@thorough
def test_a_load_through_a_client_says_where_the_client_is_missing(server: Serving) -> None:
    for module in [name for name in sys.modules if name.endswith("sending.through_client")]:
        del sys.modules[module]

    with mock.patch.dict(sys.modules, {"tollkeeper_client": None}):
        ended = loadtest("--server", server.address, "--mode", "client")

    assert ended.code == 1
    assert "install it from this project's repository with: pip install ./client" in ended.err


@pytest.mark.thorough
def test_what_requests_come_to_follows_from_the_seed(server: Serving) -> None:
    counted = ("--server", server.address, "--count", "300", *MIXED, "--expired", "5")

    first, slower, shared, other = (
        loadtest(*counted, *more).json["check"]
        for more in (
            ("--seed", "7"),
            ("--seed", "7", "--callers", "2"),
            ("--seed", "7", "--processes", "2"),
            ("--seed", "8"),
        )
    )

    figures = ("charged_requests", "charged_credits", "released", "expired")
    assert [first[name] for name in figures] == [slower[name] for name in figures]
    assert [first[name] for name in figures] == [shared[name] for name in figures]
    assert [first[name] for name in figures] != [other[name] for name in figures]
    assert sum(first[name] for name in ("charged_requests", "released", "expired")) == 300


@thorough
def test_a_ledger_in_use_is_loaded_beside_its_users(server: Serving) -> None:
    server.json("account", "create", "user")
    server.json("grant", "user", "1000")
    server.json("authorize", "user", "GET", "/v1/leads")

    ended = loadtest("--server", server.address, "--run", "beside", "--duration", "0.5")

    assert ended.code == 0, ended.out
    assert ended.json["check"]["verified"] is False
    again = loadtest("--server", server.address, "--run", "beside", "--duration", "0.5")
    assert again.code == 2
    assert "--run beside: there are accounts of a run of this name" in again.err


@thorough
def test_standard_output_is_the_report_alone(server: Serving) -> None:
    ended = loadtest("--server", server.address, "--duration", "1.5")

    assert ended.json["schema"] == "tollkeeper.loadtest.v1"
    assert "load: " in ended.err
    assert "pairs/s" in ended.err


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("statements", "what"),
    [
        (
            [
                "DROP TRIGGER entry_refuses_delete",
                "DELETE FROM entry WHERE reservation_id = (SELECT max(reservation_id) FROM entry)",
            ],
            "journal of ",
        ),
        (["UPDATE account SET settled = settled + 1"], "overview: settled"),
        (["UPDATE reservation SET outcome = 2 WHERE state = 3"], "verify, invariant"),
    ],
)
def test_a_ledger_that_was_tampered_with_fails_the_run(
    statements: list[str], what: str, tmp_path: Path
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")

    def tamper() -> None:
        for statement in statements:
            ledger.execute(statement)

    with before_the_check(tamper):
        ended = loadtest("--database", ledger.url, "--duration", "0.5")

    assert ended.code == 1
    found = ended.json["check"]["mismatches"]
    assert any(each["what"].startswith(what) for each in found), found
    assert any(each["account"].startswith("loadtest-") for each in found)


@thorough
def test_a_charge_that_nobody_acknowledged_fails_the_run(server: Serving) -> None:
    def charge() -> None:
        asked = ("loadtest-odd-00003", "GET", "/v1/leads", "--quiet")
        held = server.run("authorize", *asked).out.strip()
        assert server.run("commit", held, "--status", "200").code == 0

    with before_the_check(charge):
        ended = loadtest("--server", server.address, "--run", "odd", "--duration", "0.5")

    assert ended.code == 1
    found = ended.json["check"]["mismatches"]
    assert {each["account"] for each in found} == {"loadtest-odd-00003"}
    assert {"journal of GET /v1/leads: charges", "consumption: requests"} <= {
        each["what"] for each in found
    }


@thorough
def test_an_acknowledged_charge_that_is_not_there_is_named_for_a_person(server: Serving) -> None:
    def one_more(self: Tally, other: Tally) -> None:
        add(self, other)
        counts = self.of(4, 0)
        counts.charged += 1

    add = Tally.add
    with mock.patch.object(Tally, "add", one_more):
        ended = here(
            *("loadtest", "--server", server.address, "--run", "less", "--warm-up", "0"),
            *("--duration", "0.5", "--endpoint", "POST /v1/track", "--accounts", "9"),
        )

    assert ended.code == 1
    assert "loadtest-less-00004" in ended.out
    assert "journal of POST /v1/track:" in ended.out
    assert "mismatches" in ended.out


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "what"), [("unary", "errors"), ("client", "repeats")])
def test_a_server_that_is_killed_and_comes_back_costs_no_credit(
    mode: str, what: str, ledger: Ledger, tmp_path: Path
) -> None:
    quiet = ("--log-level", "error", "--prices", str(PRICES))
    with serving(tmp_path, *quiet, database=ledger.url) as first:
        address = first.address
        load = ("--server", address, "--database", ledger.url, "--rate", "80", "--duration", "5")
        load = (*load, "--mode", mode)
        with running(tmp_path, *load, "--timeout", "2", *MIXED) as run:
            run.wait_for("load: ")
            first.process.kill()
            first.wait()
            run.wait_for("load: ")
            with serving(tmp_path, "--listen", address, *quiet, database=ledger.url):
                code, report = run.end()

    assert code == 0, report["check"]
    assert sum(report["load"][what].values()) > 0
    assert (report["check"]["resolved"] > 0) == (what == "errors" or bool(report["load"]["errors"]))
    assert report["check"]["unresolved"] == 0
    assert ledger.findings() == []


@pytest.mark.thorough
@pytest.mark.slow
def test_a_server_that_is_gone_for_good_is_a_run_that_could_not_be_checked(tmp_path: Path) -> None:
    with serving(tmp_path, "--prices", str(PRICES)) as server:
        short = ("--server", server.address, "--duration", "3", "--timeout", "0.5")
        with (
            mock.patch.object(load_run, "RESOLVE_WITHIN_S", 1.0),
            before_the_load(server.process.kill),
        ):
            ended = loadtest(*short, "--rate", "20")

    assert ended.code == 1
    found = {each["what"]: each for each in ended.json["check"]["mismatches"]}
    assert int(found["requests of unknown outcome"]["found"]) > 0
    assert "no Tollkeeper server answers" in found["comparison"]["found"]


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("in_flight", ["4000", "4"])
def test_a_stall_is_seen_by_every_request_that_was_due_in_it(
    in_flight: str, tmp_path: Path
) -> None:
    with serving(tmp_path, "--prices", str(PRICES)) as server:
        load = ("--server", server.address, "--rate", "100", "--duration", "5")
        load = (*load, "--in-flight", in_flight)
        with running(tmp_path, *load) as run:
            run.wait_for("load: ")
            os.kill(server.process.pid, signal.SIGSTOP)
            run.wait_for("load: ")
            run.wait_for("load: ")
            os.kill(server.process.pid, signal.SIGCONT)
            code, report = run.end()

    assert code == 0, report["check"]
    found = report["latency_us"]["authorize"]
    stalled_us = 1_000_000
    # Also those that could not even be sent. A closed loop of 4 callers would know of 4 slow calls.
    assert found["p99.9"] > stalled_us
    assert found["p95"] > stalled_us / 2
    assert found["count"] == 500


@pytest.mark.thorough
@pytest.mark.slow
def test_ctrl_c_ends_the_load_and_not_the_check(tmp_path: Path) -> None:
    with running(tmp_path, "--duration", "60", "--processes", "2") as run:
        run.wait_for("load: ")
        run.process.send_signal(signal.SIGINT)
        code, report = run.end()

    assert code == 0
    assert report["run"]["interrupted"] is True
    assert report["check"]["good"] is True
    assert report["check"]["charged_requests"] > 0


@thorough
def test_no_rate_keeps_a_bound_that_nothing_can_keep(server: Serving) -> None:
    ended = loadtest(
        *("--server", server.address, "--find-max", "0.001", "--trial", "0.5", "--rate", "4")
    )

    assert ended.code == 1
    found = ended.json["find_max"]
    assert found["rate"] is None
    assert [each["rate"] for each in found["trials"]] == [4, 2, 1]
    assert "p99" in found["trials"][0]["why_not"]
    assert ended.json["check"]["good"] is True


@thorough
def test_targets_that_are_missed_fail_the_run(server: Serving) -> None:
    ended = loadtest(
        *("--server", server.address, "--duration", "0.5"),
        *("--min-rate", "1000000", "--max-p99", "60000"),
    )

    assert ended.code == 1
    assert [each["met"] for each in ended.json["targets"]] == [False, True]
    assert ended.json["check"]["good"] is True


def test_an_endpoint_without_a_price_is_refused_by_its_flag(server: Serving) -> None:
    ended = loadtest("--server", server.address, "--endpoint", "GET /v1/free")

    assert ended.code == 2
    assert "--endpoint 'GET /v1/free': the price list in force does not name it" in ended.err


@thorough
def test_a_server_without_prices_is_not_given_any(tmp_path: Path) -> None:
    with serving(tmp_path) as bare:
        ended = loadtest("--server", bare.address)

    assert ended.code == 1
    assert "publish one with: tollkeeper prices publish FILE" in ended.err


@thorough
def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    ended = loadtest("--database", f"sqlite:///{tmp_path}/nowhere/ledger.db")

    assert ended.code == 1
    assert "the server did not start: " in ended.err


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    ended = loadtest("--server", "127.0.0.1:1")

    assert ended.code == 4
    assert "no Tollkeeper server answers at 127.0.0.1:1" in ended.err


def at(ledger: Ledger) -> tuple[str, ...]:
    return ("--database", ledger.url, "--prices", str(SERVER / "tollkeeper/cli/demo_prices.toml"))


def before_the_check(act: Callable[[], object]) -> AbstractContextManager[object]:
    """Do something between the load and the comparison."""
    compare = load_run.compare

    def after_something(*arguments: Any) -> None:
        act()
        compare(*arguments)

    return mock.patch.object(load_run, "compare", after_something)


def before_the_load(act: Callable[[], object]) -> AbstractContextManager[object]:
    """Do something when the accounts are open and the generators connected."""
    send = load_run.send

    def after_something(*arguments: Any) -> object:
        act()
        return send(*arguments)

    return mock.patch.object(load_run, "send", after_something)
