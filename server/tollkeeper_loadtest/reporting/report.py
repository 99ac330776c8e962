"""The result of a run as plain values: `--json` prints them, and reports and comparisons are made of them.

docs/reference/load-test.md documents the form. `SCHEMA` counts up where a reader of the one before would go wrong.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tollkeeper import __version__
from tollkeeper_loadtest.settings import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper_loadtest.measuring.measured import Measured
    from tollkeeper_loadtest.measuring.search import Search
    from tollkeeper_loadtest.own_server import LoadTarget
    from tollkeeper_loadtest.run import Result, RunSchedule
    from tollkeeper_loadtest.settings import LoadSettings

SCHEMA = "tollkeeper.loadtest.v1"
MISMATCHES_SHOWN = 100

Report = dict[str, Any]


def report_of(
    settings: LoadSettings,
    schedule: RunSchedule,
    target: LoadTarget,
    result: Result,
    *,
    ended_s: float,
    targets: Mapping[str, tuple[float, float, bool]],
) -> Report:
    """Return the report; `targets` are what was asked for, what was reached, and whether that is enough."""
    shown = settings.shown() | {
        "seconds": schedule.seconds if schedule.find_max_us is None else schedule.trial_s,
        "warm_up_s": schedule.warm_up_s,
        "count": schedule.count,
        "find_max_ms": schedule.find_max_us and schedule.find_max_us / 1000,
    }
    if schedule.find_max_us is not None:
        shown |= {"loop": "open", "callers": None}
    check = _check(result)
    met = all(enough for _, _, enough in targets.values())
    rate_found = result.search is None or result.search.best is not None
    return {
        "schema": SCHEMA,
        "good": check["good"] and met and rate_found,
        "run": {
            "id": settings.run,
            "tollkeeper": __version__,
            "begun": _time(result.begun_s),
            "ended": _time(ended_s),
            "interrupted": result.interrupted,
            "server": target.address,
            "own_server": target.own,
            "database": _kind(target.database),
            "price_version": settings.price_version,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
            f"Python {platform.python_version()}",
        },
        "settings": shown,
        "settings_id": fingerprint(shown),
        "load": _load(result.measured),
        "latency_us": result.measured.latencies(),
        "series": result.measured.series(),
        "find_max": None if result.search is None else _search(result.search),
        "targets": [
            {"name": name, "asked": target, "reached": reached, "met": enough}
            for name, (target, reached, enough) in targets.items()
        ],
        "check": check,
    }


def _load(measured: Measured) -> Report:
    return {
        "seconds": round(measured.seconds, 3),
        "requests": measured.totals["requests"],
        "requests_per_s": round(measured.rate("requests"), 1),
        "pairs": measured.totals["pairs"],
        "pairs_per_s": round(measured.rate("pairs"), 1),
        "operations": measured.totals["operations"],
        "operations_per_s": round(measured.rate("operations"), 1),
        "sent": measured.totals["sent"],
        "unsent": measured.totals["unsent"],
        "errors": dict(measured.errors.most_common()),
        "denials": dict(measured.denials.most_common()),
        "repeats": dict(measured.repeats.most_common()),
        "busy": [round(measured.busy[worker], 2) for worker in sorted(measured.busy)],
        "generator_us_per_pair": _rounded(measured.us_per_pair(measured.processor_s)),
        "own_us_per_pair": _rounded(measured.us_per_pair(measured.own_s)),
    }


def _rounded(microseconds: float | None) -> float | None:
    return None if microseconds is None else round(microseconds, 1)


def _search(search: Search) -> Report:
    return {
        "p99_ms": search.bound_us / 1000,
        "rate": search.best and round(search.best.rate, 1),
        "reached": search.best and round(search.best.reached, 1),
        "trials": [
            {
                "rate": round(each.rate, 1),
                "reached": round(each.reached, 1),
                "authorize_p99_us": each.authorize_us,
                "settle_p99_us": each.settle_us,
                "errors": each.errors,
                "kept": each.kept,
                "why_not": each.why_not,
            }
            for each in search.trials
        ],
    }


def _check(result: Result) -> Report:
    every = result.expected
    return {
        "good": not result.mismatches,
        "accounts": len(every),
        "entries": result.entries,
        "verified": result.verified,
        "charged_requests": sum(each.total("charged") for each in every),
        "charged_credits": sum(each.charged for each in every),
        "late": sum(each.total("late") for each in every),
        "released": sum(each.total("released") for each in every),
        "expired": sum(each.total("expired") for each in every),
        "denied": sum(each.total("denied") for each in every),
        "resolved": result.tally.resolved,
        "unresolved": result.tally.unresolved,
        "unexpected_answers": result.tally.unexpected_count,
        "mismatch_count": len(result.mismatches),
        "mismatches": [each._asdict() for each in result.mismatches[:MISMATCHES_SHOWN]],
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _kind(database: str | None) -> str | None:
    """Return which database it is, and nothing else of its URL."""
    return None if database is None else database.partition("+")[0].partition(":")[0]
