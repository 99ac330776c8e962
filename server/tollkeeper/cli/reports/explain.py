"""`tollkeeper explain`: why something was charged, or was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import wrong_usage
from tollkeeper.cli.options import Json, Server, Zone, examples
from tollkeeper.cli.reports.explain_page import print_page
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.screen import console, print_json
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from tollkeeper.v1.admin_pb2 import ExplainReservationRequest

commands = typer.Typer()


@commands.command(
    "explain",
    epilog=examples(
        "tollkeeper explain 19c8e1a2c-19c8e1a2d",
        "tollkeeper explain --account acme --request r-7 --zone Europe/Berlin",
    ),
)
def explain(
    reservation_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[RESERVATION]", help="What authorize answered.", show_default=False
        ),
    ] = None,
    *,
    account_id: Annotated[
        str | None,
        typer.Option("--account", metavar="ID", help="The account that asked.", show_default=False),
    ] = None,
    asked_as: Annotated[
        str | None,
        typer.Option(
            "--request",
            metavar="R",
            help="The request_id that it asked with.",
            show_default=False,
        ),
    ] = None,
    zone: Zone = "UTC",
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Tell the whole life of a reservation: price, grants, limits, times, callers, entries."""
    request = _request(reservation_id, account_id, asked_as)
    zone_info = times.parse_zone(zone)
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.ExplainReservation, request)
    if json:
        print_json(answer)
    else:
        print_page(console(), answer, zone_info)


def _request(
    reservation_id: str | None, account_id: str | None, request_id: str | None
) -> ExplainReservationRequest:
    if reservation_id is not None and account_id is None and request_id is None:
        return admin_pb2.ExplainReservationRequest(reservation_id=reservation_id)
    if reservation_id is None and account_id is not None and request_id is not None:
        key = admin_pb2.RequestKey(account_id=account_id, request_id=request_id)
        return admin_pb2.ExplainReservationRequest(request=key)
    raise wrong_usage("give either a RESERVATION, or --account and --request")
