"""A report for a person: the result at a glance, latencies, what failed, and what the ledger said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.terminal.screen import amount, console, count, facts, table
from tollkeeper_loadtest.measuring.latency import PERCENTILES

if TYPE_CHECKING:
    from tollkeeper.cli.terminal.layout import Table
    from tollkeeper_loadtest.reporting.report import Report

COLUMNS = (*PERCENTILES, "max")
NAMES = {
    "authorize": "authorize",
    "settle": "commit, release",
    "pair": "both, begin to end",
    "lag": "begun late by",
}
BUSY = 0.9
"""The share of a processor above which a generator may be what is measured."""

_EXACT_BELOW_US = 100_000


def print_summary(report: Report) -> None:
    """Print what a person looks for after a run."""
    screen = console()
    load, settings = report["load"], report["settings"]
    screen.print()
    screen.print(
        facts(
            ("run", f"{report['run']['id']}, seed {settings['seed']}"),
            ("loop", loop_words(settings)),
            ("pairs", f"{amount(load['pairs'])}, {load['pairs_per_s']:,.1f} a second"),
            (
                "operations",
                f"{amount(load['operations'])}, {load['operations_per_s']:,.1f} a second",
            ),
            ("denied", _by_reason(load["denials"])),
            ("errors", _by_reason(load["errors"])),
            ("repeated", _by_reason(load["repeats"])),
            ("not begun", amount(load["unsent"]) if load["unsent"] else ""),
            ("generators", generator_words(load)),
        )
    )
    screen.print()
    screen.print("latencies in milliseconds")
    screen.print(_latencies(report))
    for line in warnings(report):
        screen.print(f"note: {line}")
    if report["find_max"] is not None:
        screen.print()
        screen.print(search_words(report["find_max"]))
    for each in report["targets"]:
        verdict = "met" if each["met"] else "missed"
        screen.print(f"{each['name']} {each['asked']:g}: {each['reached']:,.1f}, {verdict}")
    screen.print()
    _print_check(report["check"])


def loop_words(settings: Report) -> str:
    """Say how the load was sent, and what its latencies therefore mean."""
    group = f", {settings['group']} a message" if settings["group"] > 1 else ""
    if settings["loop"] == "closed":
        return (
            f"closed, {settings['mode']}{group}, {settings['callers']} callers: each waits for its "
            "answer, so a slow server is asked less; latencies are those of an answer"
        )
    rate = (
        f"{settings['rate']:,.0f} requests/s"
        if settings["find_max_ms"] is None
        else "rates as tried"
    )
    return (
        f"open, {settings['mode']}{group}, {rate}: latencies count from when a request was due, "
        "whatever the server did"
    )


def warnings(report: Report) -> list[str]:
    """Say what to know before believing the figures."""
    load, lines = report["load"], list[str]()
    if report["run"]["interrupted"]:
        lines.append("the run was interrupted")
    if max(load["busy"], default=0) > BUSY:
        lines.append(
            "a generator used a whole processor: it, and not the server, may be what was measured; "
            "give it more --processes, or another machine"
        )
    if load["errors"]:
        lines.append("operations without an answer are in no latency")
    if load["unsent"]:
        lines.append(
            f"{count(load['unsent'], 'request')} due could not be begun, so the rate was not reached; "
            "their waiting is in no latency"
        )
    return lines


def generator_words(load: Report) -> str:
    """Say what sending a pair cost, and how busy the generators were with it."""
    shares = ", ".join(f"{share:.0%}" for share in load["busy"])
    busy = f"{shares} of a processor" if shares else ""
    if load["generator_us_per_pair"] is None:
        return busy
    of_it = load["own_us_per_pair"]
    own = "" if of_it is None else f", {of_it:,.1f} of them the load test's own"
    return f"{busy}; {load['generator_us_per_pair']:,.1f} µs a pair{own}"


def search_words(search: Report) -> str:
    """Say what the search for the highest rate came to."""
    tried = count(len(search["trials"]), "trial")
    if search["rate"] is None:
        return f"no rate kept a p99 of {search['p99_ms']:g} ms, after {tried}"
    return (
        f"{search['rate']:,.0f} requests/s is the highest rate that kept a p99 of "
        f"{search['p99_ms']:g} ms, {search['reached']:,.0f} a second were carried; {tried}"
    )


def check_words(check: Report) -> str:
    """Say in one sentence what the comparison came to."""
    what = (
        f"{count(check['accounts'], 'account')}, {amount(check['charged_requests'])} charges of "
        f"{amount(check['charged_credits'])} credits, {amount(check['released'])} released, "
        f"{amount(check['expired'])} expired, {amount(check['denied'])} denied"
    )
    verified = "overview, journal and verify" if check["verified"] else "overview and journal"
    if check["good"]:
        return f"{what}: {verified} say the same to the last credit"
    number = check["mismatch_count"]
    return f"{what}: {amount(number)} {'mismatch' if number == 1 else 'mismatches'}"


def ms(microseconds: int) -> str:
    """Write a latency for a person, in milliseconds."""
    return f"{microseconds / 1000:,.{2 if microseconds < _EXACT_BELOW_US else 0}f}"


def _latencies(report: Report) -> Table:
    rows = table("", *COLUMNS, numbers=COLUMNS, ids=("",))
    for kind, name in NAMES.items():
        latencies = report["latency_us"].get(kind)
        if latencies and latencies["count"]:
            rows.add_row(name, *(ms(latencies[column]) for column in COLUMNS))
    if rows.fits(console().width):
        return rows
    return rows.transposed("", *(row[0] for row in rows.rows))


def _by_reason(counted: dict[str, int]) -> str:
    return ", ".join(f"{amount(number)} {reason}" for reason, number in counted.items())


def _print_check(check: Report) -> None:
    screen = console()
    if check["mismatches"]:
        rows = table("account", "what", "acknowledged", "the ledger says")
        for each in check["mismatches"]:
            rows.add_row(*(each[name] for name in ("account", "what", "expected", "found")))
        screen.print(rows)
    screen.print(check_words(check))
