"""The audit after the load: compares the ledger with what was acknowledged, account by account, to the last credit.

Three sources are asked: the overview, the journal, and what all accounts consumed; where the database is known,
`verify` looks for faults that no reader would see.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.config import ENVIRONMENT_PREFIX
from tollkeeper.v1 import admin_pb2
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.checking.journal import read_journal
from tollkeeper_loadtest.checking.tally import RequestCounts, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from tollkeeper.cli.client import Ledger
    from tollkeeper_loadtest.settings import LoadSettings

DENIALS_WITHIN_S = 5.0
"""Denials may be counted a moment late."""

DAY_S = 86_400
PAGE_SIZE = 1_000
VERIFY_S_MAX = 3_600.0


class Mismatch(NamedTuple):
    """One thing that the ledger says, and what was acknowledged."""

    account: str
    what: str
    expected: str
    found: str


class Expected(NamedTuple):
    """What one account must come to."""

    account: str
    granted: int
    counts: Mapping[str, RequestCounts]
    """By endpoint, as the price list writes it."""
    credits: Mapping[str, int]
    """The price of each."""
    marks: int
    denied_least: int
    denied_most: int
    authorized: int
    """Credits that were ever held."""
    cheapest_denied: int | None

    @property
    def charged(self) -> int:
        """Credits that were charged."""
        return sum(each.charged * self.credits[name] for name, each in self.counts.items())

    def total(self, name: str) -> int:
        """Return a count over all endpoints."""
        return sum(getattr(each, name) for each in self.counts.values())


def expected_of(settings: LoadSettings, tally: Tally) -> list[Expected]:
    """Return what every account of the run must come to, those that nothing fell upon too."""
    by_account: dict[int, dict[str, RequestCounts]] = {
        each: {} for each in range(settings.accounts)
    }
    prices = {each.priced_name: each.credits for each in settings.endpoints}
    for (account, endpoint), counts in tally.counts.items():
        name = settings.endpoints[endpoint].priced_name
        by_account[account].setdefault(name, RequestCounts()).add(counts)
    return [
        _expected(settings, tally, number, counts, prices) for number, counts in by_account.items()
    ]


def _expected(
    settings: LoadSettings,
    tally: Tally,
    number: int,
    counts: Mapping[str, RequestCounts],
    prices: Mapping[str, int],
) -> Expected:
    denied = sum(each.denied for each in counts.values())
    held = {name: each.charged + each.released + each.expired for name, each in counts.items()}
    return Expected(
        account=settings.account_id(number),
        granted=settings.credits,
        counts=counts,
        credits=prices,
        marks=tally.marks.get(number, 0),
        # A denial is not stored: one that a server had not counted when it was lost is not counted any more.
        denied_least=0 if tally.lost_answers else denied,
        denied_most=denied + tally.lost_answers[number],
        authorized=sum(times * prices[name] for name, times in held.items()),
        cheapest_denied=min(
            (prices[name] for name, each in counts.items() if each.denied), default=None
        ),
    )


class Audit:
    """Compares the ledger with what was acknowledged; `entries` counts the journal entries that were read."""

    def __init__(self, ledger: Ledger, begun_s: float) -> None:
        self._ledger = ledger
        # The accounts are new: all that they have lies in here, whatever the clocks of the machines.
        self._start = Timestamp(seconds=int(begun_s) - DAY_S)
        self._end = Timestamp(seconds=int(time.time()) + DAY_S)
        self.entries = 0

    def account(self, expected: Expected) -> list[Mismatch]:
        """Compare one account, again for a while where nothing but late denials is missing."""
        mismatches = list(self._overview(expected))
        give_up_s = time.monotonic() + DENIALS_WITHIN_S
        while _is_late(mismatches) and time.monotonic() < give_up_s:
            time.sleep(0.2)
            mismatches = list(self._overview(expected))
        return [*mismatches, *self._journal(expected), *_needless_denials(expected)]

    def consumption(self, every: Sequence[Expected], prefix: str) -> list[Mismatch]:
        """Compare what the accounts of the run consumed, as billing asks for it."""
        usages: dict[str, pb.Usage] = {}
        request = admin_pb2.ListConsumptionRequest(
            prefix=prefix, page_size=PAGE_SIZE, start_time=self._start, end_time=self._end
        )
        while True:
            page = self._ledger.call(self._ledger.admin.ListConsumption, request)
            usages.update((each.account_id, each.usage) for each in page.accounts)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return [
            mismatch
            for expected in every
            for mismatch in _compare(
                expected.account,
                "consumption",
                ("requests", expected.total("charged"), _usage(usages, expected).requests),
                ("credits", expected.charged, _usage(usages, expected).credits),
            )
        ]

    def _overview(self, expected: Expected) -> Generator[Mismatch]:
        request = pb.GetOverviewRequest(
            account_id=expected.account, start_time=self._start, end_time=self._end
        )
        said = self._ledger.call(self._ledger.ledger.GetOverview, request)
        left = expected.granted - expected.charged
        yield from _compare(
            expected.account,
            "overview",
            ("available", left, said.balance.available),
            ("settled", left, said.balance.settled),
            ("held", 0, said.balance.held),
            ("credits since the account was opened", expected.charged, said.lifetime_credits),
            ("refunded credits", 0, said.total.refunded_credits),
        )
        by_name = {f"{each.method} {each.path}": each.usage for each in said.endpoints}
        for name in sorted(expected.counts.keys() | by_name.keys()):
            counts = expected.counts.get(name, RequestCounts())
            usage = by_name.get(name, pb.Usage())
            yield from _compare(
                expected.account,
                f"overview of {name}",
                ("charged requests", counts.charged, usage.requests),
                ("credits", counts.charged * expected.credits.get(name, 0), usage.credits),
                ("released", counts.released, usage.released),
                ("expired", counts.expired, usage.expired),
            )
        yield from _compare_total(expected, said)

    def _journal(self, expected: Expected) -> Generator[Mismatch]:
        journal = read_journal(self._ledger, expected.account)
        self.entries += journal.entries
        for broken in journal.broken:
            yield Mismatch(expected.account, "journal", "as its rules are", broken)
        yield from _compare(
            expected.account,
            "journal",
            ("granted", expected.granted, journal.granted),
            ("settled at the end", expected.granted - expected.charged, journal.settled),
        )
        for name in sorted(expected.counts.keys() | journal.charges.keys()):
            counts = expected.counts.get(name, RequestCounts())
            yield from _compare(
                expected.account,
                f"journal of {name}",
                ("charges", counts.charged, journal.charges[name]),
                ("late ones of them", counts.late, journal.late[name]),
            )
        if journal.marks != expected.marks and journal.total == expected.total("charged"):
            yield Mismatch(
                expected.account,
                "journal: which reservations were charged",
                "those that were acknowledged",
                "others, as many",
            )


def verify(database: str) -> list[Mismatch]:
    """Run `tollkeeper verify` on the database; each of its findings is a mismatch."""
    ended = subprocess.run(
        [sys.executable, "-m", "tollkeeper", "verify", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=VERIFY_S_MAX,
        # Not as an argument, which every user of the machine can read.
        env={**os.environ, f"{ENVIRONMENT_PREFIX}DATABASE": database},
    )
    try:
        findings = json.loads(ended.stdout)["findings"]
    except ValueError:
        raise CommandError(
            f"verify could not be run: {ended.stderr.strip()}", reason=Why.CANNOT_LOAD
        ) from None
    return [
        Mismatch(each["account_id"], f"verify, invariant {each['invariant']}", "", each["message"])
        for each in findings
    ]


def audit_accounts(
    audit: Audit, every: Sequence[Expected], prefix: str, step: Callable[[], None]
) -> list[Mismatch]:
    """Compare all accounts; `step` is called after each."""
    mismatches: list[Mismatch] = []
    for expected in every:
        mismatches += audit.account(expected)
        step()
    return mismatches + audit.consumption(every, prefix)


def _compare_total(expected: Expected, said: pb.GetOverviewResponse) -> Generator[Mismatch]:
    yield from _compare(
        expected.account,
        "overview",
        ("charged requests", expected.total("charged"), said.total.requests),
        ("credits", expected.charged, said.total.credits),
        ("released", expected.total("released"), said.total.released),
        ("expired", expected.total("expired"), said.total.expired),
        ("credits of the series", expected.charged, sum(b.usage.credits for b in said.series)),
    )
    least, most = expected.denied_least, expected.denied_most
    if not least <= said.total.denied <= most:
        words = str(least) if least == most else f"{least} to {most}"
        yield Mismatch(expected.account, _DENIED, words, str(said.total.denied))


_DENIED = "overview: denied"


def _is_late(mismatches: Sequence[Mismatch]) -> bool:
    return bool(mismatches) and all(each.what == _DENIED for each in mismatches)


def _needless_denials(expected: Expected) -> Generator[Mismatch]:
    """What is denied depends on what is held at that moment; but never was more held than was ever authorized."""
    price = expected.cheapest_denied
    if price is not None and expected.authorized + price <= expected.granted:
        yield Mismatch(
            expected.account,
            "denials for want of credits",
            f"0: of {expected.granted} never more than {expected.authorized} were in use",
            str(expected.total("denied")),
        )


def _usage(usages: Mapping[str, pb.Usage], expected: Expected) -> pb.Usage:
    return usages.get(expected.account, pb.Usage())


def _compare(account: str, where: str, *figures: tuple[str, int, int]) -> Generator[Mismatch]:
    for name, expected, actual in figures:
        if expected != actual:
            yield Mismatch(account, f"{where}: {name}", str(expected), str(actual))
