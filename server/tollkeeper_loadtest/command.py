"""`tollkeeper loadtest`: loads a server, and fails where the ledger does not say what was acknowledged."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import typer

from tollkeeper.cli.client import connect
from tollkeeper.cli.client_tls import using
from tollkeeper.cli.failure import findings, wrong_usage
from tollkeeper.cli.options import Json, examples
from tollkeeper.cli.terminal.help_page import make_helpful
from tollkeeper.cli.terminal.screen import print_json_value
from tollkeeper.cli.tls_options import add_tls_options
from tollkeeper_loadtest import options as option
from tollkeeper_loadtest import prepare
from tollkeeper_loadtest.display import Display
from tollkeeper_loadtest.measuring.latency import histogram
from tollkeeper_loadtest.own_server import LoadTarget, own_server
from tollkeeper_loadtest.reporting.comparison import compare_files
from tollkeeper_loadtest.reporting.files import check_outputs, write_files
from tollkeeper_loadtest.reporting.report import Report, report_of
from tollkeeper_loadtest.reporting.summary import print_summary
from tollkeeper_loadtest.run import Result, RunSchedule, run
from tollkeeper_loadtest.sending.modes import client_calls
from tollkeeper_loadtest.settings import (
    LoadSettings,
    Mode,
    generators_for,
    parse_distribution,
    parse_mix,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeVar

    ParsedT = TypeVar("ParsedT")

commands = typer.Typer(add_completion=False)  # the whole command line has it

_RUN = re.compile(r"[A-Za-z0-9._]{1,32}")


@commands.command(
    "loadtest",
    epilog=examples(
        "tollkeeper loadtest --duration 10",
        "tollkeeper loadtest --server 127.0.0.1:50051 --rate 500 --output run.json --output run.html",
        "tollkeeper loadtest --mode batch --group 200 --accounts-by hot:0.5",
        "tollkeeper loadtest --mode client --callers 512",
        "tollkeeper loadtest --find-max 20",
        "tollkeeper loadtest --compare before.json after.json",
    ),
)
def loadtest(  # noqa: PLR0913 - an option each
    *,
    server: option.LoadServer = None,
    database: option.LoadDatabase = None,
    prices: option.Prices = None,
    endpoint: option.Endpoints = None,
    mode: option.Mode = Mode.UNARY,
    group: option.Group = None,
    linger: option.Linger = 5.0,
    rate: option.Rate = None,
    callers: option.Callers = 64,
    duration: option.Duration = 10.0,
    count: option.Count = None,
    warm_up: option.WarmUp = 2.0,
    find_max: option.FindMax = None,
    trial: option.Trial = 5.0,
    accounts: option.Accounts = 100,
    accounts_by: option.AccountsBy = "uniform",
    credits: option.Credits = option.AMPLE,
    mix: option.MixOf = option.MIX,
    expired: option.Expired = 1.0,
    hold: option.Hold = 1,
    seed: option.Seed = 1,
    processes: option.Processes = 0,
    connections: option.Connections = None,
    in_flight: option.InFlight = None,
    timeout: option.Timeout = 10.0,
    run_name: option.RunName = None,
    min_rate: option.MinRate = None,
    max_p99: option.MaxP99 = None,
    output: option.Output = None,
    compare: option.Compare = None,
    anyway: option.Anyway = False,
    json: Json = False,
) -> None:
    """Load a server, then compare the ledger with every answer; one mismatch ends with exit code 1.

    Without --rate the loop is closed: as many requests at once as there are callers. With --rate it is open, and
    latencies count from the moment that each request was due.
    """
    given = dict(locals())
    if compare is not None:
        compare_files(*compare, anyway=anyway, as_json=json)
        return
    check_outputs(output or [])
    histogram()  # says before the run where the library is missing
    report = _run(given, _settings(given), _schedule(given))
    write_files(report, output or [])
    if json:
        print_json_value(report)
    else:
        print_summary(report)
    if not report["good"]:
        raise findings("the ledger differs from what was acknowledged, or a target was missed")


add_tls_options(commands)
make_helpful(commands)
command = typer.main.get_command(commands)
"""`tollkeeper loadtest`, as the command line finds it."""


def _settings(given: dict[str, Any]) -> LoadSettings:
    """Return the settings that were given; endpoints and prices are the server's to say."""
    mode: Mode = given["mode"]
    grouped = mode in {Mode.BATCH, Mode.SESSION}
    if given["group"] is not None and not grouped:
        raise wrong_usage("--group is for --mode batch and session")
    if mode is Mode.CLIENT:
        client_calls()  # says before the run where the library is missing
    if given["server"] is not None and given["prices"] is not None:
        raise wrong_usage("--prices is for a server that is started; on --server, publish them")
    name = given["run_name"] if given["run_name"] is not None else secrets.token_hex(4)
    if not _RUN.fullmatch(name):
        raise wrong_usage("--run must be 1 to 32 characters of A-Z a-z 0-9 . _")
    processes, shared = _processes(given)
    connections = 1 if mode is Mode.CLIENT else option.CONNECTIONS // shared
    return LoadSettings(
        seed=given["seed"],
        processes=processes,
        accounts=given["accounts"],
        distribution=_parsed("--accounts-by", parse_distribution, given["accounts_by"]),
        mix=_parsed("--mix", parse_mix, given["mix"]),
        expired=given["expired"] / 100,
        endpoints=(),
        hold_s=given["hold"],
        run=name,
        mode=mode,
        callers=given["callers"],
        rate=given["rate"],
        group=(given["group"] or option.GROUP) if grouped else 1,
        linger_s=given["linger"] / 1000,
        connections=given["connections"] or connections,
        in_flight_max=given["in_flight"] or option.IN_FLIGHT // shared,
        timeout_s=given["timeout"],
        credits=given["credits"],
        price_version=0,
    )


def _processes(given: dict[str, Any]) -> tuple[int, int]:
    """Return how many generators there are, and how many share what one would have by default.

    A number that was chosen here changes who sends the load, and not the load: connections and messages under way
    are as many in all as one generator has. With a number that was given, each has as many.
    """
    if given["processes"]:
        return given["processes"], 1
    closed = given["rate"] is None and given["find_max"] is None
    chosen = generators_for(_processors(), given["callers"] if closed else None)
    return chosen, chosen


def _processors() -> int:
    """Return how many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _schedule(given: dict[str, Any]) -> RunSchedule:
    bound_ms = given["find_max"]
    return RunSchedule(
        seconds=given["duration"],
        warm_up_s=given["warm_up"],
        count=given["count"],
        find_max_us=None if bound_ms is None else int(bound_ms * 1000),
        trial_s=given["trial"],
    )


def _run(given: dict[str, Any], settings: LoadSettings, schedule: RunSchedule) -> Report:
    display = Display(quiet=False)
    with _target(given) as target, connect(target.address) as ledger:
        endpoints, version = prepare.endpoints_in_force(ledger, given["endpoint"] or [])
        settings = settings.priced(endpoints, version)
        result = run(ledger, target, settings, schedule, display)
        return report_of(
            settings,
            schedule,
            target,
            result,
            ended_s=time.time(),
            targets=_targets(given, result),
        )


@contextlib.contextmanager
def _target(given: dict[str, Any]) -> Generator[LoadTarget]:
    if given["server"] is not None:
        yield LoadTarget(given["server"], given["database"], own=False)
        return
    with using(None), own_server(given["database"], given["prices"]) as target:
        yield target


def _targets(given: dict[str, Any], result: Result) -> dict[str, tuple[float, float, bool]]:
    """Return what was asked of the figures: what was reached, and whether that is enough."""
    targets: dict[str, tuple[float, float, bool]] = {}
    if (least := given["min_rate"]) is not None:
        reached = result.measured.rate("pairs")
        targets["pairs a second"] = (least, reached, reached >= least)
    if (most := given["max_p99"]) is not None:
        p99_us = max(result.measured.percentile_us(kind, 99) for kind in ("authorize", "settle"))
        enough = p99_us <= most * 1000 and result.measured.totals["operations"] > 0
        targets["p99 in ms"] = (most, p99_us / 1000, enough)
    return targets


def _parsed(option_name: str, parse: Callable[[str], ParsedT], text: str) -> ParsedT:
    try:
        return parse(text)
    except ValueError as error:
        raise wrong_usage(f"{option_name}: {error}") from None
