"""Limits as a person writes them: `daily=1000 credits/day, zone=Europe/Berlin`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from tollkeeper.cli.failure import Violation, wrong_usage
from tollkeeper.v1 import ledger_pb2

EXAMPLE = "daily=1000 credits/day, zone=Europe/Berlin, endpoint=GET /v1/leads, shadow"

LimitSpecs = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="SPEC",
        help=f"A cap, such as '{EXAMPLE}'; what follows the first comma may be left out. "
        "Units: credits, requests. Windows: second, minute, hour, day, week, month. Repeatable.",
        show_default=False,
    ),
]

_CAP = re.compile(r"(?P<name>[^=]+)=\s*(?P<maximum>[0-9]+)\s+(?P<unit>[a-z]+)/(?P<window>[a-z]+)")
_ENDPOINT = re.compile(r"(?P<method>\S+)\s+(?P<path>/\S*)")
_UNITS = {
    "credits": ledger_pb2.Limit.UNIT_CREDITS,
    "requests": ledger_pb2.Limit.UNIT_REQUESTS,
}
_WINDOWS = {
    name.removeprefix("WINDOW_").lower(): number
    for name, number in ledger_pb2.Limit.Window.items()
    if number
}
_MAXIMUM = 2**63


def parse_limits(specs: list[str] | None) -> list[ledger_pb2.Limit]:
    """Read limits. Ends the command with exit code 2 where one cannot be read."""
    return [_parse(spec) for spec in specs or ()]


def describe(limit: ledger_pb2.Limit) -> str:
    """Write a limit as `parse_limits` reads it."""
    unit = ledger_pb2.Limit.Unit.Name(limit.unit).removeprefix("UNIT_").lower()
    window = ledger_pb2.Limit.Window.Name(limit.window).removeprefix("WINDOW_").lower()
    parts = [f"{limit.name}={limit.maximum} {unit}/{window}"]
    if limit.time_zone not in {"", "UTC"}:
        parts.append(f"zone={limit.time_zone}")
    if limit.path:
        parts.append(f"endpoint={limit.method} {limit.path}")
    if limit.HasField("enforce") and not limit.enforce:
        parts.append("shadow")
    return ", ".join(parts)


def _parse(spec: str) -> ledger_pb2.Limit:
    cap, *more = (part.strip() for part in spec.split(","))
    match = _CAP.fullmatch(cap)
    if match is None:
        raise _wrong(spec, "must begin with NAME=NUMBER UNIT/WINDOW")
    for word, known in ((match["unit"], _UNITS), (match["window"], _WINDOWS)):
        if word not in known:
            raise _wrong(spec, f"{word!r} is none of {', '.join(known)}")
    if int(match["maximum"]) >= _MAXIMUM:
        raise _wrong(spec, f"{match['maximum']} is too large")
    limit = ledger_pb2.Limit(
        name=match["name"].strip(),
        maximum=int(match["maximum"]),
        unit=_UNITS[match["unit"]],
        window=_WINDOWS[match["window"]],
    )
    for part in more:
        _add(limit, spec, part)
    return limit


def _add(limit: ledger_pb2.Limit, spec: str, part: str) -> None:
    key, _, value = (word.strip() for word in part.partition("="))
    endpoint = _ENDPOINT.fullmatch(value)
    if key == "zone" and value:
        limit.time_zone = value
    elif key == "endpoint" and endpoint:
        limit.method, limit.path = endpoint["method"], endpoint["path"]
    elif part == "shadow":
        limit.enforce = False
    else:
        raise _wrong(spec, f"{part!r} is none of zone=ZONE, endpoint=METHOD /PATH, shadow")


def _wrong(spec: str, why: str) -> Exception:
    return wrong_usage(
        f"--limit {spec!r}: {why}; for example '{EXAMPLE}'", Violation("--limit", why)
    )
