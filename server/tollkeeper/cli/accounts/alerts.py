"""`tollkeeper account alerts` and `tollkeeper events`: set alert rules, and read what they tell."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli.accounts.alert_spec import AlertSpecs, describe_alert, parse_alerts, subject_of
from tollkeeper.cli.client import AnswerLostError, Ledger, connect
from tollkeeper.cli.failure import exclude_each_other
from tollkeeper.cli.options import (
    AccountId,
    Json,
    RequestId,
    Server,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.json_form import to_dict, to_json_line
from tollkeeper.cli.terminal.screen import (
    amount,
    console,
    count,
    facts,
    minute,
    moment,
    print_json_value,
    table,
)
from tollkeeper.v1 import admin_pb2, events_pb2, ledger_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.cli.terminal.layout import Table
    from tollkeeper.cli.terminal.screen import Screen

PAGE_SIZE = 1000
AGAIN_AFTER_S = 1.0

commands = typer.Typer()
account_commands = typer.Typer()


@account_commands.command(
    "alerts",
    epilog=examples(
        "tollkeeper account alerts acme",
        "tollkeeper account alerts acme --alert 'half=consumed 50%/month' --alert 'low=remaining 100'",
        "tollkeeper account alerts acme --none",
    ),
)
def alerts(
    account_id: AccountId,
    *,
    alert: AlertSpecs = None,
    none: Annotated[bool, typer.Option("--none", help="Take all rules away.")] = False,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Set all the alert rules of an account, or show how they stand.

    A rule goes on if only its threshold changes: once met, it is not met again in its period.
    """
    if alert and none:
        raise exclude_each_other("--alert", "--none")
    with connect(server) as ledger:
        if alert or none:
            request_id = new_request_id(request_id)
            request = admin_pb2.UpdateAccountRequest(
                account_id=account_id,
                alerts=events_pb2.AlertSet(rules=parse_alerts(alert)),
                request_id=request_id,
            )
            ledger.call(ledger.admin.UpdateAccount, request, request_id=request_id)
        query = ledger_pb2.GetOverviewRequest(account_id=account_id)
        found = ledger.call(ledger.ledger.GetOverview, query).alerts
    if json:
        done = {"request_id": request_id} if request_id else {}
        print_json_value(
            {**done, "account_id": account_id, "alerts": [to_dict(each) for each in found]}
        )
        return
    screen = console()
    if found:
        screen.print(alert_table(found))
    screen.print(f"account {account_id} has {count(len(found), 'alert rule')}")
    if request_id:
        screen.print(facts(("request_id", request_id)))


def alert_table(found: Iterable[events_pb2.AlertStatus]) -> Table:
    """Return a table of alert rules as they stand."""
    rows = table(
        "alert",
        "now",
        "of",
        "met",
        "period ends (UTC)",
        numbers=("now", "of"),
        ids=("period ends (UTC)",),
    )
    for each in found:
        limit_is_gone = each.rule.limit and not each.HasField("window_end")
        rows.add_row(
            describe_alert(each.rule) + (" (now gone)" if limit_is_gone else ""),
            amount(each.value),
            amount(each.base) if each.rule.percent else "",
            "yes" if each.met else "no",
            minute(each.window_end) if each.HasField("window_end") else "",
        )
    return rows


@commands.command(
    "events",
    epilog=examples(
        "tollkeeper events",
        "tollkeeper events --account acme --json",
        "tollkeeper events --prefix eu/ --follow",
    ),
)
def events(
    *,
    account: Annotated[
        str, typer.Option("--account", metavar="ID", help="Only events of this account.")
    ] = "",
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Only accounts whose id begins with this.")
    ] = "",
    after: Annotated[
        str, typer.Option(metavar="CURSOR", help="Only events after this one's cursor.")
    ] = "",
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Go on with those to come, also over a restart of the server."
        ),
    ] = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """List the events of alert rules, oldest first. With --json, one object a line, each with its cursor."""
    with connect(server) as ledger:
        read = _followed if follow else _listed
        total = 0
        for event in read(ledger, account, prefix, after):
            total += 1
            if json:
                streams.write_data(to_json_line(to_dict(event)) + "\n")
            else:
                _print_event(console(), event)
            streams.flush()
    if not json:
        console().print(count(total, "event"))


def _listed(ledger: Ledger, account: str, prefix: str, after: str) -> Iterator[events_pb2.Event]:
    request = events_pb2.ListEventsRequest(
        account_id=account, prefix=prefix, page_token=after, page_size=PAGE_SIZE
    )
    while True:
        page = ledger.call(ledger.admin.ListEvents, request)
        yield from page.events
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _followed(ledger: Ledger, account: str, prefix: str, after: str) -> Iterator[events_pb2.Event]:
    request = events_pb2.WatchEventsRequest(account_id=account, prefix=prefix, cursor=after)
    while True:
        try:
            for answer in ledger.stream(ledger.admin.WatchEvents, request):
                if answer.HasField("event"):
                    yield answer.event
                request.cursor = answer.cursor
        except AnswerLostError as lost:
            streams.tell(f"{lost.message}; going on when it is back\n")
            sleep(AGAIN_AFTER_S)


def _print_event(screen: Screen, event: events_pb2.Event) -> None:
    what = subject_of(event.subject) + (f" {event.limit}" if event.limit else "")
    of = f" of {amount(event.base)}" if event.percent else ""
    threshold = f"{amount(event.threshold)}{'%' if event.percent else ''}"
    screen.print(
        f"{moment(event.occur_time)}  {event.account_id}  {event.rule}: "
        f"{what} {amount(event.value)}{of}, threshold {threshold}",
        whole=True,
    )
