"""The life of a reservation for a person: what happened, then what it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.accounts.limit_spec import describe
from tollkeeper.cli.terminal.screen import amount, count, facts, minute, moment, table
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tollkeeper.cli.terminal.screen import Facts, Screen
    from tollkeeper.v1.admin_pb2 import ExplainReservationResponse


def print_page(screen: Screen, answer: ExplainReservationResponse, zone: ZoneInfo) -> None:
    """Print all that is known."""
    state = _name(ledger_pb2.ReservationState.Name(answer.state), "RESERVATION_STATE_")
    screen.print(f"reservation {answer.reservation_id} is {state}")
    screen.print()
    for event in answer.timeline:  # each on one line, however long, so that it can be pasted
        screen.print(f"{moment(event.time, zone)} {event.text}", whole=True)
    screen.print()
    screen.print(_facts(answer, zone))
    _print_payments(screen, answer, zone)
    _print_windows(screen, answer, zone)
    if answer.only_journal:
        screen.print()
        screen.print("its reservation is no longer kept; this is what the journal says of it")


def _facts(answer: ExplainReservationResponse, zone: ZoneInfo) -> Facts:
    price = answer.price
    asked, named = f"{answer.method} {answer.path}", f"{price.method} {price.path}"
    list_name = f' "{price.name}"' if price.name else ""
    listed = f"price list {price.version}{list_name}"
    since = f"from {moment(price.effective_time, zone)}"
    note = f": {price.note}" if price.note else ""
    hold = f"{answer.hold.ToTimedelta().total_seconds():g} s" if answer.HasField("hold") else ""
    outcome = ""
    if answer.outcome:
        outcome = _name(ledger_pb2.Outcome.Name(answer.outcome), "OUTCOME_")
    return facts(
        ("account", answer.account_id),
        ("request_id", answer.request_id),
        ("asked for", asked.strip()),
        ("endpoint", named),
        (
            "price",
            f"{count(answer.credits, 'credit')}, by {listed}, {since}{note}",
        ),
        ("charged on", ", ".join(price.charge_on)),
        ("HTTP status", str(answer.http_status or "")),
        ("outcome", f"{outcome}, late" if answer.late else outcome),
        ("refunded", amount(answer.refunded_credits) if answer.refunded_credits else ""),
        ("hold asked for", hold),
        ("deadline", moment(answer.expire_time, zone) if answer.HasField("expire_time") else ""),
        ("authorized by", answer.authorized_by),
        ("settled by", answer.settled_by),
        ("journal", ", ".join(f"entry {entry.sequence}" for entry in answer.entries)),
    )


def _print_payments(screen: Screen, answer: ExplainReservationResponse, zone: ZoneInfo) -> None:
    if not answer.payments:
        return
    rows = table(
        "paid by",
        "credits",
        "priority",
        f"expires ({zone.key})",
        "note",
        numbers=("credits",),
        ids=("paid by",),
    )
    for payment in answer.payments:
        if not payment.grant_id:
            rows.add_row("the credit line", amount(payment.credits))
            continue
        rows.add_row(
            f"grant {payment.grant_id}",
            amount(payment.credits),
            amount(payment.priority),
            minute(payment.expire_time, zone) if payment.HasField("expire_time") else "never",
            payment.note,
        )
    screen.print()
    screen.print(rows)


def _print_windows(screen: Screen, answer: ExplainReservationResponse, zone: ZoneInfo) -> None:
    if not answer.windows:
        return
    rows = table("counts in", "counts", "from", "to", "", numbers=("counts",), ids=("from", "to"))
    for window in answer.windows:
        known = window.HasField("limit")
        rows.add_row(
            describe(window.limit) if known else f"limit {window.limit_id}, now gone",
            amount(window.amount),
            moment(window.start_time, zone),
            moment(window.end_time, zone) if known else "",
            "over" if window.over else "",
        )
    screen.print()
    screen.print(rows)


def _name(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
