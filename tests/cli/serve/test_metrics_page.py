"""The metrics of a real server: that known calls give the expected figures, and that labels have a bound."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, serving
from tests.repo.documents import text_of
from tests.support.ledgers import Ledger, fill, held, leads
from tests.support.pages import Metrics, read, read_metrics
from tests.support.waiting import wait_until
from tollkeeper.engine.counts import Backlog, Counts
from tollkeeper.engine.histograms import CALL_S, OPERATIONS, TRANSACTION_S
from tollkeeper.monitoring.pages import metrics_page
from tollkeeper.monitoring.view import ServiceView, WorkerView
from tollkeeper.v1 import admin_pb2, ledger_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

PAGE = "docs/reference/metrics.md"
LEDGER = "tollkeeper.v1.LedgerService"
SETTINGS = (
    *("--metrics-listen", "127.0.0.1:0", "--prices", str(PRICES)),
    *("--log-level", "error"),
)


@contextmanager
def shown(folder: Path, ledger: Ledger, *arguments: str) -> Generator[tuple[Serving, str]]:
    with serving(folder, *SETTINGS, *arguments, database=ledger.url) as server:
        assert server.process.stdout is not None
        server.lines.append(server.process.stdout.readline())
        yield server, server.lines[-1].removeprefix("metrics on http://").partition("/")[0]


@contextmanager
def connected(address: str, agent: str = "") -> Generator[grpc.Channel]:
    """Connect anew, so that the system may choose another process."""
    options: list[tuple[str, int | str]] = [("grpc.use_local_subchannel_pool", 1)]
    if agent:
        options.append(("grpc.primary_user_agent", agent))
    with grpc.insecure_channel(address, options=options) as channel:
        yield channel


def authorize(channel: grpc.Channel, account: str, request_id: str, path: str) -> str:
    asked = ledger_pb2.AuthorizeRequest(
        account_id=account, method="GET", path=path, request_id=request_id
    )
    return LedgerServiceStub(channel).Authorize(asked).reservation.reservation_id


def open_account(channel: grpc.Channel, account: str, credits: int) -> None:
    admin = AdminServiceStub(channel)
    admin.CreateAccount(
        admin_pb2.CreateAccountRequest(account_id=account, request_id=f"c-{account}")
    )
    admin.GrantCredits(
        admin_pb2.GrantCreditsRequest(
            account_id=account, request_id=f"g-{account}", credits=credits
        )
    )


def live(address: str) -> None:
    """Four holds of 10 credits: two are charged, one is released, one stays; two denials, and a bad request."""
    with connected(address) as channel:
        open_account(channel, "rich", 100)
        open_account(channel, "poor", 5)
    names: list[str] = []
    for number in range(4):
        with connected(address) as channel:
            names.append(authorize(channel, "rich", f"r-{number}", "/v1/leads"))
    with connected(address) as channel:
        ledger = LedgerServiceStub(channel)
        for name in names[:2]:
            ledger.Commit(ledger_pb2.CommitRequest(reservation_id=name, http_status=200))
        ledger.Release(ledger_pb2.ReleaseRequest(reservation_id=names[2]))
        authorize(channel, "poor", "r-poor", "/v1/leads")
        authorize(channel, "no-such", "r-none", "/v1/leads")
        with pytest.raises(grpc.RpcError):
            authorize(channel, "rich", "r-bad", "no path")


def count_of(page: Metrics, method: str, code: str) -> float:
    return page.value(
        "grpc_server_handling_seconds_count",
        grpc_type="unary",
        grpc_service=LEDGER,
        grpc_method=method,
        grpc_code=code,
    )


def is_told(page: Metrics) -> bool:
    """Whether every writer has told of all transactions."""
    counted = page.value("tollkeeper_transaction_database_seconds_count")
    return counted == page.value("tollkeeper_batch_operations_count") > 0


async def test_known_calls_give_the_expected_figures(ledger: Ledger, tmp_path: Path) -> None:
    await assert_figures(ledger, tmp_path, workers=1)


@pytest.mark.postgres
async def test_known_calls_give_the_same_figures_with_two_workers(
    postgres_ledger: Ledger, tmp_path: Path
) -> None:
    await assert_figures(postgres_ledger, tmp_path, workers=2)


async def assert_figures(ledger: Ledger, tmp_path: Path, *, workers: int) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        held(await engine.authorize(leads("open", hold_us=10**9)))
    with shown(tmp_path, ledger, "--workers", str(workers)) as (server, address):
        live(server.address)
        told = wait_until(lambda: is_told(read_metrics(address)), timeout_s=20)
        page = read_metrics(address)
        ended = server.stop()

    assert told
    assert count_of(page, "Authorize", "OK") == 6
    assert count_of(page, "Authorize", "INVALID_ARGUMENT") == 1
    assert page.ended("Authorize") == {"OK": 6, "INVALID_ARGUMENT": 1}
    assert page.value("tollkeeper_credits_held_total") == 40
    assert page.value("tollkeeper_credits_charged_total") == 20
    assert page.value("tollkeeper_credits_expired_total") == 0
    assert +page.by("reason", "tollkeeper_denials_total") == {
        "ACCOUNT_NOT_FOUND": 1,
        "INSUFFICIENT_CREDITS": 1,
    }
    operations = sum(page.by("worker", "tollkeeper_lane_operations_total").values())
    assert operations == 4 + 6 + 3
    assert page.value("tollkeeper_queue_wait_seconds_count") == operations
    assert page.value("tollkeeper_batch_operations_sum") == operations
    assert page.value("tollkeeper_transaction_commit_seconds_count") <= operations
    assert page.value("tollkeeper_transaction_database_seconds_sum") > 0
    assert +page.by("library", "tollkeeper_client_calls_total") == {"grpc-python": 14}
    # As it was when the server began: it is looked at again 15 s later.
    assert page.value("tollkeeper_holds_open") == 1
    assert page.value("tollkeeper_sweep_lag_seconds") == 0
    assert page.value("tollkeeper_mover_lag_seconds") == 0
    assert ended.code == 0


def test_the_number_of_labels_grows_neither_with_accounts_nor_with_clients(
    ledger: Ledger, tmp_path: Path
) -> None:
    with shown(tmp_path, ledger) as (server, address):
        live(server.address)
        wait_until(lambda: held_credits(address) == 40, timeout_s=20)
        before = read_metrics(address)
        for number in range(20):
            with connected(server.address, f"app-{number}/{number}.0") as channel:
                open_account(channel, f"a-{number}", 10)
                authorize(channel, f"a-{number}", f"a-{number}", "/v1/leads")
        told = wait_until(lambda: held_credits(address) == 240, timeout_s=20)
        after = read_metrics(address)

    assert told
    assert after.samples.keys() == before.samples.keys()


def held_credits(address: str) -> float:
    return read_metrics(address).value("tollkeeper_credits_held_total")


def test_the_page_is_what_the_reference_says(tmp_path: Path) -> None:
    cells = re.findall(r"^\| (`.*?) \|", text_of(PAGE), re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    with serving(tmp_path, *SETTINGS) as server:
        assert server.process.stdout is not None
        address = server.process.stdout.readline().split("//")[1].partition("/")[0]
        live(server.address)
        page = read(f"http://{address}/metrics")[1]

    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (\S.*)$", page, re.MULTILINE))
    assert sorted(named) == sorted(types)
    assert helps.keys() == types.keys()
    for name, kind in types.items():
        assert name.endswith("_total") == (kind == "counter"), name
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert len(families) == len(types)
    assert bounds_of(families["grpc_server_handling_seconds"].samples) == {*CALL_S}
    assert bounds_of(families["tollkeeper_queue_wait_seconds"].samples) == {*CALL_S}
    assert bounds_of(families["tollkeeper_batch_operations"].samples) == {*OPERATIONS}
    for part in ("lock_wait", "database", "commit"):
        samples = families[f"tollkeeper_transaction_{part}_seconds"].samples
        assert bounds_of(samples) == {*TRANSACTION_S}
    assert len(page) < 40_000


def test_a_lag_counts_from_a_deadline_that_is_past() -> None:
    behind = Backlog(10_000_000, 3, 7_500_000, 4_000_000, 2, 1)
    ahead = behind._replace(oldest_deadline_us=11_000_000, oldest_event_us=None)

    pages = [page_of(behind, mover_lag_s=2.5), page_of(ahead, mover_lag_s=0.0), page_of(None)]

    lags = [
        [page.get(f"tollkeeper_{name}_seconds") for name in ("sweep_lag", "mover_lag")]
        for page in pages
    ]
    ages = [page.get("tollkeeper_unplaced_event_age_seconds") for page in pages]
    assert lags == [[2.5, 2.5], [0.0, 0.0], [None, None]]
    assert ages == [6.0, 0.0, None]
    assert [page.get("tollkeeper_webhook_deliveries_due") for page in pages] == [2, 2, None]
    assert [page.get("tollkeeper_webhook_deliveries_dead") for page in pages] == [1, 1, None]
    assert [page.get("tollkeeper_backlog_timestamp_seconds") for page in pages] == [10, 10, None]


def page_of(backlog: Backlog | None, *, mover_lag_s: float | None = None) -> dict[str, float]:
    """The samples without a label of a server with two workers, the second of which does not look."""
    first = Counts({}, backlog=backlog, mover_lag_s=mover_lag_s)
    workers = tuple(
        WorkerView(number, 1, 0.0, 0, serves=True, answers=True, counts=counts)
        for number, counts in enumerate((first, Counts({})))
    )
    page = metrics_page(ServiceView(stopping=False, workers=workers)).decode()
    families = text_string_to_metric_families(page)
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if not sample.labels
    }


def bounds_of(samples: Sequence[object]) -> set[float]:
    """The finite bounds of a histogram's buckets."""
    labels = [getattr(sample, "labels", {}) for sample in samples]
    return {float(each["le"]) for each in labels if each.get("le", "+Inf") != "+Inf"}
