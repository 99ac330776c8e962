"""Alert rules as a person writes them: `half=consumed 50%/month, zone=Europe/Berlin`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from tollkeeper.cli.failure import Violation, wrong_usage
from tollkeeper.v1 import events_pb2

EXAMPLE = "half=consumed 50%/month, zone=Europe/Berlin"

AlertSpecs = Annotated[
    list[str] | None,
    typer.Option(
        "--alert",
        metavar="SPEC",
        help=f"A rule that an event tells of, such as '{EXAMPLE}', 'low=remaining 100' or "
        "'cap=limit-use 80%, limit=daily'. Windows: day, week, month; remaining may have none. "
        "Repeatable.",
        show_default=False,
    ),
]

_RULE = re.compile(
    r"(?P<name>[^=]+)=\s*(?P<subject>[a-z-]+)\s+(?P<threshold>[0-9]+)(?P<percent>%?)(/(?P<window>[a-z]+))?"
)
_SUBJECTS = {
    name.removeprefix("SUBJECT_").lower().replace("_", "-"): number
    for name, number in events_pb2.AlertRule.Subject.items()
    if number
}
_WINDOWS = {
    name.removeprefix("WINDOW_").lower(): number
    for name, number in events_pb2.AlertRule.Window.items()
    if number
}
_THRESHOLD_END = 2**63


def parse_alerts(specs: list[str] | None) -> list[events_pb2.AlertRule]:
    """Read alert rules. Ends the command with exit code 2 where one cannot be read."""
    return [_parse(spec) for spec in specs or ()]


def describe_alert(rule: events_pb2.AlertRule) -> str:
    """Write an alert rule as `parse_alerts` reads it."""
    text = f"{rule.name}={subject_of(rule.subject)} {rule.threshold}{'%' if rule.percent else ''}"
    if rule.window:
        window = events_pb2.AlertRule.Window.Name(rule.window)
        text += f"/{window.removeprefix('WINDOW_').lower()}"
    if rule.time_zone not in {"", "UTC"}:
        text += f", zone={rule.time_zone}"
    if rule.limit:
        text += f", limit={rule.limit}"
    return text


def subject_of(subject: events_pb2.AlertRule.Subject.ValueType) -> str:
    """Name what a rule looks at, as a specification does."""
    name = events_pb2.AlertRule.Subject.Name(subject)
    return name.removeprefix("SUBJECT_").lower().replace("_", "-")


def _parse(spec: str) -> events_pb2.AlertRule:
    head, *more = (part.strip() for part in spec.split(","))
    match = _RULE.fullmatch(head)
    if match is None or match["subject"] not in _SUBJECTS:
        known = ", ".join(_SUBJECTS)
        raise _wrong(spec, f"must begin with NAME=SUBJECT NUMBER; subjects are {known}")
    if match["window"] and match["window"] not in _WINDOWS:
        raise _wrong(spec, f"{match['window']!r} is none of {', '.join(_WINDOWS)}")
    if int(match["threshold"]) >= _THRESHOLD_END:
        raise _wrong(spec, f"{match['threshold']} is too large")
    rule = events_pb2.AlertRule(
        name=match["name"].strip(),
        subject=_SUBJECTS[match["subject"]],
        threshold=int(match["threshold"]),
        percent=bool(match["percent"]),
    )
    if match["window"]:
        rule.window = _WINDOWS[match["window"]]
    for part in more:
        key, _, value = (word.strip() for word in part.partition("="))
        if key == "zone" and value:
            rule.time_zone = value
        elif key == "limit" and value:
            rule.limit = value
        else:
            raise _wrong(spec, f"{part!r} is none of zone=ZONE, limit=NAME")
    return rule


def _wrong(spec: str, why: str) -> Exception:
    return wrong_usage(
        f"--alert {spec!r}: {why}; for example '{EXAMPLE}'", Violation("--alert", why)
    )
