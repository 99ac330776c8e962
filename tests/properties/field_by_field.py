"""Calls as the engine is asked them: checked field by field, as a servicer does, and sent."""

from typing import Any, cast

from tests.properties.answers import Names, Reply
from tests.properties.calls import SECOND_US, Call
from tests.support.model.account import Row
from tollkeeper.core import commands
from tollkeeper.core.account import AccountState
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import AlertRule
from tollkeeper.core.errors import Refused
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.pricing.price_lists import Price, Unlisted
from tollkeeper.core.recurring import commands as recurring
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.validation.alerts import RawAlert, alert_rules
from tollkeeper.core.validation.fields import Fields, RawLimit
from tollkeeper.core.validation.recurring import RecurringFields
from tollkeeper.engine.engine import Engine

Command = (
    commands.Authorize
    | commands.Commit
    | commands.Release
    | commands.Extend
    | commands.CreateAccount
    | commands.UpdateAccount
    | commands.GrantCredits
    | recurring.CreateRecurringGrant
    | recurring.EndRecurringGrant
    | recurring.ReplaceRecurringGrant
    | commands.VoidGrant
    | commands.Debit
    | commands.Refund
    | commands.PublishPrices
)


def command_of(call: Call, names: Names) -> Command:
    """Check the fields as a servicer does. Raises Refused."""
    fields = RecurringFields()
    command = COMMANDS[call.name](fields, call.fields, names)
    fields.done()
    return command


def authorize_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.Authorize(
        fields.account_id("account_id", given["account_id"]),
        fields.method("method", given["method"]),
        fields.path("path", given["path"]),
        fields.request_id("request_id", given["request_id"]),
        hold_of(fields, given["hold_us"]),
        given["dry_run"],
        given["caller"],
    )


def commit_of(fields: Fields, given: Row, names: Names) -> Command:
    name = names.reservation(given["reservation_id"])
    status = given.get("http_status")
    if status is not None:
        return commands.Commit(
            name, http_status=fields.http_status("http_status", status), caller=given["caller"]
        )
    outcome = fields.outcome("outcome", number_of(given["outcome"]))
    return commands.Commit(name, outcome=outcome, caller=given["caller"])


def release_of(fields: Fields, given: Row, names: Names) -> Command:
    outcome = fields.release_outcome("outcome", number_of(given["outcome"]))
    return commands.Release(names.reservation(given["reservation_id"]), outcome, given["caller"])


def extend_of(fields: Fields, given: Row, names: Names) -> Command:
    name = names.reservation(given["reservation_id"])
    return commands.Extend(name, hold_of(fields, given["hold_us"]))


def create_account_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.CreateAccount(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        display_name=fields.text("display_name", given["display_name"]),
        credit_limit=fields.credit_limit("credit_limit", given["credit_limit"]),
        limits=limits_of(fields, "limits", given["limits"]),
        price_list=fields.price_list_name("price_list", given["price_list"]),
        price_list_effective_us=list_time_of(fields, given, given["price_list"] or None),
        alerts=alerts_of(fields, given["alerts"]),
    )


def update_account_of(fields: Fields, given: Row, names: Names) -> Command:
    name, state, limit = given["display_name"], given["state"], given["credit_limit"]
    return commands.UpdateAccount(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        display_name=None if name is None else fields.text("display_name", name),
        state=None if state is None else fields.state("state", AccountState[state].value),
        credit_limit=None if limit is None else fields.credit_limit("credit_limit", limit),
        limits=None
        if given["limits"] is None
        else limits_of(fields, "limits.limits", given["limits"]),
        price_list=None
        if given["price_list"] is None
        else fields.price_list_name("price_list", given["price_list"]),
        price_list_effective_us=list_time_of(fields, given, given["price_list"]),
        alerts=None if given["alerts"] is None else alerts_of(fields, given["alerts"]),
    )


def list_time_of(fields: Fields, given: Row, price_list: str | None) -> int | None:
    since_us = given["price_list_since_us"]
    if since_us is not None and price_list is None:
        fields.bad("price_list_effective_time", "must be unset without price_list")
    return time_of(fields, "price_list_effective_time", since_us)


def limits_of(fields: Fields, name: str, given: list[Row]) -> tuple[Limit, ...]:
    return fields.limits(
        name,
        [
            RawLimit(
                row["name"],
                LimitUnit[row["unit"]],
                LimitWindow[row["window"]],
                row["maximum"],
                row["method"],
                row["path"],
                row["time_zone"],
                row["enforce"],
            )
            for row in given
        ],
    )


def alerts_of(fields: Fields, given: list[Row]) -> tuple[AlertRule, ...]:
    return alert_rules(
        fields,
        "alerts.rules",
        [
            RawAlert(
                row["name"],
                AlertSubject[row["subject"]],
                row["threshold"],
                row["percent"],
                LimitWindow[row["window"]] if row["window"] else 0,
                row["time_zone"],
                row["limit"],
            )
            for row in given
        ],
    )


def grant_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.GrantCredits(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        credits=fields.granted_credits("credits", given["credits"]),
        priority=fields.priority("priority", given["priority"]),
        expires_us=time_of(fields, "expire_time", given["expires_us"]),
        note=fields.text("note", given["note"]),
    )


def create_recurring_of(fields: RecurringFields, given: Row, names: Names) -> Command:
    command = recurring.CreateRecurringGrant(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        credits=fields.granted_credits("credits", given["credits"]),
        period=fields.period_name("period", RecurringPeriod[given["period"]]),
        anchor_us=time_of(fields, "anchor", given["anchor_us"]),
        time_zone=fields.time_zone("time_zone", given["time_zone"]),
        rollover_max=fields.rollover_max("rollover_max", given["rollover_max"]),
        priority=fields.priority("priority", given["priority"]),
        note=fields.text("note", given["note"]),
        end_us=time_of(fields, "end_time", given["end_us"]),
    )
    fields.bounds(command.anchor_us, command.end_us, command.time_zone)
    return command


def end_recurring_of(fields: RecurringFields, given: Row, names: Names) -> Command:
    return recurring.EndRecurringGrant(
        account_id=fields.account_id("account_id", given["account_id"]),
        number=fields.number("recurring_grant_id", str(given["number"]), given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        end_us=time_of(fields, "end_time", given["end_us"]),
    )


def replace_recurring_of(fields: RecurringFields, given: Row, names: Names) -> Command:
    period = given["period"]
    return recurring.ReplaceRecurringGrant(
        account_id=fields.account_id("account_id", given["account_id"]),
        number=fields.number("recurring_grant_id", str(given["number"]), given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        credits=fields.granted_credits("credits", given["credits"]),
        period=None if period is None else fields.period_name("period", RecurringPeriod[period]),
        rollover_max=fields.rollover_max("rollover_max", given["rollover_max"]),
        priority=fields.priority("priority", given["priority"]),
        note=fields.text("note", given["note"]),
        when=recurring.When[given["when"]],
    )


def void_grant_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.VoidGrant(
        account_id=fields.account_id("account_id", given["account_id"]),
        grant_id=names.grant(given["grant_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        note=fields.text("note", given["note"]),
    )


def debit_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.Debit(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        credits=fields.granted_credits("credits", given["credits"]),
        note=fields.text("note", given["note"]),
    )


def refund_of(fields: Fields, given: Row, names: Names) -> Command:
    amount = given["credits"]
    return commands.Refund(
        reservation=names.reservation(given["reservation_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        credits=None if amount is None else fields.refunded_credits("credits", amount),
        note=fields.text("note", given["note"]),
        expires_us=time_of(fields, "expire_time", given["expires_us"]),
    )


def publish_of(fields: Fields, given: Row, names: Names) -> Command:
    prices = [core_price_of(row) for row in given["prices"]]
    return commands.PublishPrices(
        request_id=fields.request_id("request_id", given["request_id"]),
        prices=fields.prices("prices.prices", prices),
        unlisted=Unlisted[given["unlisted"].upper()],
        effective_us=time_of(fields, "prices.effective_time", given["effective_us"]),
        note=fields.text("prices.note", given["note"]),
        name=fields.price_list_name("prices.name", given["name"]),
    )


COMMANDS = {
    "authorize": authorize_of,
    "commit": commit_of,
    "release": release_of,
    "extend": extend_of,
    "create_account": create_account_of,
    "update_account": update_account_of,
    "grant": grant_of,
    "create_recurring": create_recurring_of,
    "end_recurring": end_recurring_of,
    "replace_recurring": replace_recurring_of,
    "void_grant": void_grant_of,
    "debit": debit_of,
    "refund": refund_of,
    "publish": publish_of,
}


def number_of(outcome: str | None) -> int:
    return 0 if outcome is None else Outcome[outcome].value


def hold_of(fields: Fields, hold_us: int | None) -> int | None:
    return None if hold_us is None else fields.hold_us("hold", *seconds_and_nanos(hold_us))


def time_of(fields: Fields, name: str, at_us: int | None) -> int | None:
    return None if at_us is None else fields.time_us(name, *seconds_and_nanos(at_us))


def seconds_and_nanos(time_us: int) -> tuple[int, int]:
    return time_us // SECOND_US, time_us % SECOND_US * 1_000


def core_price_of(row: Row) -> Price:
    charge_on = tuple(row.get("charge_on") or ())
    return Price(row["method"], row["path"], row["credits"], row.get("note", ""), charge_on)


METHODS = {
    commands.Authorize: "authorize",
    commands.Commit: "commit",
    commands.Release: "release",
    commands.Extend: "extend",
    commands.CreateAccount: "create_account",
    commands.UpdateAccount: "update_account",
    commands.GrantCredits: "grant_credits",
    recurring.CreateRecurringGrant: "create_recurring_grant",
    recurring.EndRecurringGrant: "end_recurring_grant",
    recurring.ReplaceRecurringGrant: "replace_recurring_grant",
    commands.VoidGrant: "void_grant",
    commands.Debit: "debit",
    commands.Refund: "refund",
    commands.PublishPrices: "publish_prices",
}


async def send(engine: Engine, command: Command) -> Reply:
    """Ask the engine; a refusal is an answer here."""
    method: Any = getattr(engine, METHODS[type(command)])
    try:
        return cast("Reply", await method(command))
    except Refused as refused:
        return refused
