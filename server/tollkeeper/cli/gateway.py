"""`tollkeeper authorize`, `commit`, `release` and `extend`: a gateway's calls by hand."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import CommandError, ExitCode, exclude_each_other, wrong_usage
from tollkeeper.cli.options import (
    SECONDS_MAX,
    AccountId,
    Json,
    RequestId,
    Server,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.screen import amount, console, count, facts, moment, print_json
from tollkeeper.cli.times import span
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from tollkeeper.v1.ledger_pb2 import AuthorizeResponse, CommitResponse, ReleaseResponse

commands = typer.Typer()


class Outcome(StrEnum):
    """How a request ended; a commit takes any of them, a release all but the first."""

    VALID_RESPONSE = "valid_response"
    VALIDATION_FAILED = "validation_failed"
    AUTHENTICATION_FAILED = "authentication_failed"
    RATE_LIMITED = "rate_limited"
    BLOCKED = "blocked"
    SERVER_ERROR = "server_error"
    CANCELLED = "cancelled"
    REDIRECTED = "redirected"


ReservationId = Annotated[
    str, typer.Argument(metavar="RESERVATION", help="What authorize answered.")
]


@commands.command(
    "authorize",
    epilog=examples(
        "tollkeeper authorize acme GET /v1/leads",
        "tollkeeper commit $(tollkeeper authorize acme GET /v1/leads --quiet) --status 200",
    ),
)
def authorize(  # noqa: PLR0913 - an option each
    account_id: AccountId,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="The HTTP method, as GET.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The path, as /v1/leads.")],
    *,
    request_id: RequestId = None,
    hold: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=SECONDS_MAX,
            metavar="S",
            help="Seconds it may last.",
            show_default="the server's",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide as usual, but hold nothing.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the reservation's id and nothing else.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Hold the price of one request; a denial ends with exit code 3, also of --dry-run."""
    if quiet and json:
        raise exclude_each_other("--quiet", "--json")
    request_id = new_request_id(request_id)
    request = ledger_pb2.AuthorizeRequest(
        account_id=account_id,
        method=method,
        path=path,
        request_id=request_id,
        hold=None if hold is None else Duration(seconds=hold),
        dry_run=dry_run,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.ledger.Authorize, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
    if answer.HasField("denial"):
        raise _denied(answer.denial)
    if quiet:
        streams.write(f"{answer.reservation.reservation_id}\n")
    elif not json:
        _print_authorized(answer, f"{method} {path}", request_id, dry_run=dry_run)


@commands.command(
    "commit",
    epilog=examples(
        "tollkeeper commit RESERVATION --status 200",
        "tollkeeper commit RESERVATION --outcome server_error",
    ),
)
def commit(
    reservation_id: ReservationId,
    *,
    status: Annotated[
        int | None,
        typer.Option(
            min=100,
            max=599,
            metavar="N",
            help="The HTTP status that was answered.",
            show_default=False,
        ),
    ] = None,
    outcome: Annotated[
        Outcome | None,
        typer.Option(help="How the request ended.", case_sensitive=False, show_default=False),
    ] = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Settle a hold: charge it where the response was valid, give it back otherwise."""
    if (status is None) == (outcome is None):
        raise wrong_usage("give one of --status and --outcome")
    request = ledger_pb2.CommitRequest(reservation_id=reservation_id)
    if status is not None:
        request.http_status = status
    if outcome is not None:
        request.outcome = _outcome(outcome)
    with connect(server) as ledger:
        answer = ledger.call(ledger.ledger.Commit, request)
    if json:
        print_json(answer)
        return
    outcome_name = _name(ledger_pb2.Outcome.Name(answer.outcome), "OUTCOME_")
    charged = f"{count(answer.credits, 'credit')} charged" if answer.credits else "nothing charged"
    late = ", late" if answer.late else ""
    _print_settled(
        answer,
        f"{charged}{late}: {outcome_name}",
        ("state", _name(ledger_pb2.ReservationState.Name(answer.state), "RESERVATION_STATE_")),
    )


@commands.command(
    "release",
    epilog=examples(
        "tollkeeper release RESERVATION", "tollkeeper release RESERVATION --outcome rate_limited"
    ),
)
def release(
    reservation_id: ReservationId,
    *,
    outcome: Annotated[
        Outcome, typer.Option(help="How the request ended.", case_sensitive=False)
    ] = Outcome.CANCELLED,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Give a hold back."""
    if outcome is Outcome.VALID_RESPONSE:
        raise wrong_usage("--outcome: a valid response is charged; use tollkeeper commit")
    request = ledger_pb2.ReleaseRequest(reservation_id=reservation_id, outcome=_outcome(outcome))
    with connect(server) as ledger:
        answer = ledger.call(ledger.ledger.Release, request)
    if json:
        print_json(answer)
        return
    state = _name(ledger_pb2.ReservationState.Name(answer.state), "RESERVATION_STATE_")
    _print_settled(answer, f"nothing charged; the hold is {state}")


@commands.command(
    "extend",
    epilog=examples("tollkeeper extend RESERVATION --hold 7200"),
)
def extend(
    reservation_id: ReservationId,
    *,
    hold: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=SECONDS_MAX,
            metavar="S",
            help="Seconds it may last from now.",
            show_default="the server's",
        ),
    ] = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Prolong a hold that is still open; its deadline is never moved to an earlier moment."""
    request = ledger_pb2.ExtendRequest(
        reservation_id=reservation_id,
        hold=None if hold is None else Duration(seconds=hold),
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.ledger.Extend, request)
    if json:
        print_json(answer)
        return
    screen = console()
    screen.print(f"the credits are held until {moment(answer.expire_time)}")
    screen.print(
        facts(
            ("available now", amount(answer.balance.available)),
            ("held", amount(answer.balance.held)),
        )
    )


def _outcome(outcome: Outcome) -> ledger_pb2.Outcome.ValueType:
    return ledger_pb2.Outcome.Value(f"OUTCOME_{outcome.name}")


def _name(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _denied(denial: ledger_pb2.Denial) -> CommandError:
    """Return a denial as the failure of the command; its reason is a word of docs/reference/errors.md."""
    reason = _name(ledger_pb2.DenialReason.Name(denial.reason), "DENIAL_REASON_").upper()
    retry = ""
    if denial.HasField("retry_after"):
        retry = f"; try again in {span(denial.retry_after.ToTimedelta())}"
    return CommandError(
        f"denied: {denial.message}{retry} ({reason}, answer HTTP {denial.http_status})",
        ExitCode.DENIED,
        reason=reason,
    )


def _print_authorized(
    answer: AuthorizeResponse, endpoint: str, request_id: str, *, dry_run: bool
) -> None:
    reservation = answer.reservation
    screen = console()
    if not reservation.reservation_id and not dry_run:
        screen.print(f"{endpoint} is free: nothing is held, and there is nothing to commit")
        return
    cost = count(reservation.credits, "credit")
    state = _name(ledger_pb2.ReservationState.Name(reservation.state), "RESERVATION_STATE_")
    if dry_run:
        screen.print(f"{endpoint} would be authorized for {cost}; nothing is held")
    elif answer.replayed:
        verb = "was" if reservation.credits == 1 else "were"
        now = "still open" if reservation.state == ledger_pb2.RESERVATION_STATE_HELD else state
        screen.print(f"{cost} {verb} held before for {endpoint}; the hold is {now}")
    else:
        screen.print(f"{cost} held for {endpoint}")
    held = bool(reservation.reservation_id)
    screen.print(
        facts(
            ("reservation", reservation.reservation_id),
            ("expires", moment(reservation.expire_time) if held else ""),
            ("price list", f"version {reservation.price_version}"),
            ("available now", amount(answer.balance.available)),
            ("request_id", "" if dry_run else request_id),
        )
    )


def _print_settled(
    answer: CommitResponse | ReleaseResponse, sentence: str, *more: tuple[str, str]
) -> None:
    screen = console()
    screen.print(f"{sentence} (repeated)" if answer.replayed else sentence)
    screen.print(
        facts(
            *more,
            ("available now", amount(answer.balance.available)),
            ("settled", amount(answer.balance.settled)),
            ("held", amount(answer.balance.held)),
        )
    )
