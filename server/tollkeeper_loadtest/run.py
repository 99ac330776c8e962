"""Puts a load test together: accounts, warm-up, load, what was left open, and the comparison with the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import CommandError
from tollkeeper_loadtest import prepare
from tollkeeper_loadtest.checking import audit
from tollkeeper_loadtest.measuring.measured import Measured
from tollkeeper_loadtest.measuring.search import Search, Trial, find_max
from tollkeeper_loadtest.sending.coordinator import Coordinator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.cli.client import Ledger
    from tollkeeper_loadtest.checking.audit import Mismatch
    from tollkeeper_loadtest.checking.tally import Tally
    from tollkeeper_loadtest.display import Display
    from tollkeeper_loadtest.own_server import LoadTarget
    from tollkeeper_loadtest.settings import LoadSettings

RESOLVE_WITHIN_S = 60.0
EXPIRY_MARGIN_S = 0.5
FIRST_RATE = 100.0


@dataclass(frozen=True, slots=True)
class RunSchedule:
    """How long, and in which way."""

    seconds: float
    warm_up_s: float
    count: int | None = None
    find_max_us: int | None = None
    trial_s: float = 5.0


@dataclass(slots=True)
class Result:
    """What a run came to."""

    begun_s: float
    measured: Measured
    tally: Tally
    search: Search | None = None
    interrupted: bool = False
    mismatches: list[Mismatch] = field(default_factory=list["Mismatch"])
    entries: int = 0
    verified: bool = False
    expected: Sequence[audit.Expected] = ()


def run(
    ledger: Ledger,
    target: LoadTarget,
    settings: LoadSettings,
    schedule: RunSchedule,
    display: Display,
) -> Result:
    """Load the server, then compare the ledger with what it acknowledged."""
    begun_s = time.time()
    with Coordinator(ledger.address, settings, ledger.tls) as coordinator:
        with display.step("opening accounts", settings.accounts) as step:
            prepare.open_accounts(ledger, settings, step.advance)
        coordinator.ready()
        with coordinator.stopping_on_interrupt():
            measured, search = send(coordinator, settings, schedule, display)
            if coordinator.interrupted:
                display.say(
                    "stopping: what was begun is finished and checked; Ctrl-C again ends now"
                )
            tally = coordinator.finish(RESOLVE_WITHIN_S)
            result = Result(begun_s, measured, tally, search, coordinator.interrupted)
            compare(target, settings, result, display)
    return result


def send(
    coordinator: Coordinator, settings: LoadSettings, schedule: RunSchedule, display: Display
) -> tuple[Measured, Search | None]:
    """Send the load, warm-up and trials too; return what was measured."""

    def carry_out(
        name: str, seconds: float, rate: float | None, count: int | None = None
    ) -> Measured:
        with display.step(name, seconds) as step:
            return coordinator.carry_out(seconds, rate=rate, count=count, tell=step.load)

    last = Measured(settings.processes)
    if schedule.warm_up_s:
        last = carry_out("warming up", schedule.warm_up_s, settings.rate)
    if schedule.find_max_us is None:
        if not coordinator.interrupted:
            last = carry_out("load", schedule.seconds, settings.rate, schedule.count)
        return last, None

    def trial(rate: float) -> Measured:
        nonlocal last
        last = carry_out(f"trying {rate:,.0f} requests/s", schedule.trial_s, rate)
        return last

    search = find_max(
        schedule.find_max_us,
        first=settings.rate or FIRST_RATE,
        carry_out=trial,
        going_on=lambda: not coordinator.interrupted,
        tell=lambda trial_result: display.say(_words(trial_result)),
    )
    return search.measured or last, search


def _words(trial: Trial) -> str:
    verdict = "kept" if trial.kept else f"missed: {trial.why_not}"
    return (
        f"{trial.rate:,.0f} requests/s: p99 {trial.authorize_us / 1000:.1f} ms to authorize, "
        f"{trial.settle_us / 1000:.1f} ms to settle; {verdict}"
    )


def compare(target: LoadTarget, settings: LoadSettings, result: Result, display: Display) -> None:
    """Compare the ledger with what was acknowledged, and note in the result what differs."""
    tally = result.tally
    result.expected = audit.expected_of(settings, tally)
    result.mismatches = [
        *(audit.Mismatch("", "answer", "as planned", each) for each in tally.unexpected),
        *_unresolved(tally),
    ]
    if any(each.total("expired") for each in result.expected):
        # Reads do not count a hold that is past its deadline; none that was left is younger than now.
        time.sleep(settings.hold_s + EXPIRY_MARGIN_S)
    try:
        # A connection of its own: the server may be another one by now.
        with connect(target.address) as ledger:
            checking = audit.Audit(ledger, result.begun_s)
            with display.step("comparing with the ledger", settings.accounts) as step:
                result.mismatches += audit.audit_accounts(
                    checking, result.expected, settings.prefix, step.advance
                )
            result.entries = checking.entries
        if target.database is not None:
            display.say("verifying the database")
            result.mismatches += audit.verify(target.database)
            result.verified = True
    except CommandError as error:
        # What was measured is still told, and that it was not checked to the end fails the run.
        result.mismatches.append(audit.Mismatch("", "comparison", "made", error.message))


def _unresolved(tally: Tally) -> list[Mismatch]:
    if not tally.unresolved:
        return []
    return [audit.Mismatch("", "requests of unknown outcome", "0", str(tally.unresolved))]
