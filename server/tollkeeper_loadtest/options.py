"""The options of `tollkeeper loadtest`, by name: there are too many to be read within the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tollkeeper_loadtest.settings import PROCESSES_CHOSEN
from tollkeeper_loadtest.settings import Mode as ModeOf

AMPLE = 10**15
"""What an account is granted unless told otherwise: never used up."""
MIX = "200=90,404=4,503=3,release=3"
GROUP = 100
CONNECTIONS = 4
IN_FLIGHT = 4_000

LoadServer = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help="The server to load. If it is not given, the run starts its own server; it does not read "
        "TOLLKEEPER_SERVER, so it loads no server by accident.",
    ),
]
LoadDatabase = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="The database to verify at the end. Without --server, the database of the server that the run "
        "starts; a temporary file if not given.",
    ),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        "--prices", metavar="FILE", help="The price list of the server that the run starts."
    ),
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="'METHOD PATH'",
        help="An endpoint to charge; may be repeated. Default the first 8 of the price list.",
    ),
]
Mode = Annotated[
    ModeOf, typer.Option("--mode", help="How operations are sent.", case_sensitive=False)
]
Group = Annotated[
    int | None,
    typer.Option(
        "--group",
        min=1,
        max=10_000,
        metavar="N",
        help=f"Operations in one message of a batch or session. Default {GROUP}.",
    ),
]
Linger = Annotated[
    float,
    typer.Option(
        "--linger",
        min=0,
        metavar="MS",
        help="With --rate: how long the first request of a message waits for more.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        min=0.1,
        metavar="N",
        help="Open loop: so many requests a second are due, whatever the server does. With "
        "--find-max: the first rate to try.",
    ),
]
Callers = Annotated[
    int,
    typer.Option(
        "--callers",
        min=1,
        max=10_000,
        metavar="N",
        help="Closed loop: how many requests are under way at once.",
    ),
]
Duration = Annotated[
    float, typer.Option("--duration", min=0.1, metavar="S", help="Seconds of load.")
]
Count = Annotated[
    int | None, typer.Option("--count", min=1, metavar="N", help="Stop after so many requests.")
]
WarmUp = Annotated[
    float,
    typer.Option(
        "--warm-up",
        min=0,
        metavar="S",
        help="Seconds before the load that are checked but not measured.",
    ),
]
FindMax = Annotated[
    float | None,
    typer.Option(
        "--find-max",
        min=0.001,
        metavar="P99_MS",
        help="Find the highest rate that keeps this p99, with trials in an open loop.",
    ),
]
Trial = Annotated[
    float, typer.Option("--trial", min=0.1, metavar="S", help="Seconds of each trial.")
]
Accounts = Annotated[
    int, typer.Option("--accounts", min=1, max=99_999, metavar="N", help="Accounts to charge.")
]
AccountsBy = Annotated[
    str,
    typer.Option(
        "--accounts-by",
        metavar="SPREAD",
        help="How requests fall upon them: uniform, zipf[:EXPONENT], or hot[:SHARE] for one that "
        "takes most.",
    ),
]
Credits = Annotated[
    int,
    typer.Option(
        "--credits",
        min=1,
        max=AMPLE,
        metavar="N",
        help="Credits that each account is granted; too few lead to denials. Default: never used up.",
        show_default=False,
    ),
]
MixOf = Annotated[
    str,
    typer.Option(
        "--mix",
        metavar="NAME=WEIGHT,…",
        help="How requests end: statuses and outcomes to commit, release, release:OUTCOME.",
    ),
]
Expired = Annotated[
    float,
    typer.Option(
        "--expired",
        min=0,
        max=100,
        metavar="PERCENT",
        help="How many percent of the holds are left to expire.",
    ),
]
Hold = Annotated[
    int,
    typer.Option(
        "--hold", min=1, max=3_600, metavar="S", help="Seconds until such a hold expires."
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, metavar="N", help="The number that all requests follow from."),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes",
        min=0,
        max=64,
        metavar="N",
        help=f"Processes that send the load. 0: {PROCESSES_CHOSEN}, or 1 if there is one processor or one caller.",
    ),
]
Connections = Annotated[
    int | None,
    typer.Option(
        "--connections",
        min=1,
        max=256,
        metavar="N",
        help=f"Connections of each process. Default {CONNECTIONS}, or {CONNECTIONS} in all without --processes; with "
        "--mode client 1, as a gateway has.",
    ),
]
InFlight = Annotated[
    int | None,
    typer.Option(
        "--in-flight",
        min=1,
        max=10_000,
        metavar="N",
        help="With --rate: unanswered messages that each process may have. "
        f"Default {IN_FLIGHT:,}, or {IN_FLIGHT:,} in all without --processes.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.1, max=600, metavar="S", help="Seconds that a call may take."),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="Names its accounts: loadtest-NAME-00000 and on. Made up if not given.",
    ),
]
MinRate = Annotated[
    float | None,
    typer.Option("--min-rate", min=0, metavar="N", help="Fail below so many pairs a second."),
]
MaxP99 = Annotated[
    float | None,
    typer.Option("--max-p99", min=0, metavar="MS", help="Fail if the p99 of a call is longer."),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write the report: .json, or .html for one page with charts. May be repeated.",
    ),
]
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--compare", metavar="A.json B.json", help="Compare two reports; load nothing."),
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Compare runs even if their settings differ.")
]
