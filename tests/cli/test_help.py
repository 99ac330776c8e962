"""What every command says of itself, and what it says to a wrong command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.processes import here, tollkeeper

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    "",
    "serve",
    "migrate",
    "verify",
    "account",
    "account create",
    "account show",
    "account list",
    "account update",
    "account block",
    "account unblock",
    "account close",
    "account limits",
    "account prices",
    "account alerts",
    "events",
    "grant",
    "recurring",
    "recurring create",
    "recurring list",
    "recurring end",
    "recurring replace",
    "debit",
    "refund",
    "void",
    "prices",
    "prices publish",
    "prices show",
    "prices list",
    "prices diff",
    "prices annotate-openapi",
    "authorize",
    "commit",
    "release",
    "extend",
    "overview",
    "explain",
    "statement",
    "consumption",
    "totals",
    "webhook",
    "webhook create",
    "webhook list",
    "webhook update",
    "webhook pause",
    "webhook resume",
    "webhook rotate",
    "webhook delete",
    "webhook dead",
    "webhook retry",
    "webhook test",
    "loadtest",
]
TO_COME = ["backup", "restore"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    ended = here(*command.split(), "--help")

    usage, _, example = ended.out.partition("Example")
    assert ended.code == 0
    assert f"tollkeeper {command}".strip() in usage
    assert f"tollkeeper {command}".strip() in example


@pytest.mark.parametrize("command", TO_COME)
def test_what_is_to_come_is_not_offered(command: str) -> None:
    assert here(command).code == 2
    assert f" {command} " not in here("--help").out


def test_the_module_is_the_command() -> None:
    ended = tollkeeper("--version")

    assert (ended.code, ended.out, ended.err) == (0, "tollkeeper 0.1.0\n", "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "No such command"),
        ("account show", "Missing argument"),
        ("account list --nonsense", "No such option"),
        ("account list --server nonsense", "--server is 'nonsense'; it must be HOST:PORT"),
        ("account create acme --credit-limit -1", "Invalid value"),
        ("account create acme --limit 5/day", "must begin with NAME=NUMBER UNIT/WINDOW"),
        ("grant acme none", "Invalid value"),
        ("grant acme 0", "Invalid value"),
        ("grant acme 5 --expires soon", "--expires: soon is not a time"),
        ("grant acme 5 --expires 2027-01-01 --zone Nowhere", "--zone: Nowhere is not a time zone"),
        ("debit acme", "Missing argument"),
        ("debit acme 0", "Invalid value"),
        ("recurring create acme 5", "Missing option '--every'"),
        ("recurring create acme 0 --every day", "Invalid value"),
        ("recurring create acme 5 --every hour", "Invalid value"),
        ("recurring create acme 5 --every day --rollover -1", "Invalid value"),
        ("recurring create acme 5 --every day --from soon", "--from: soon is not a time"),
        ("recurring create acme 5 --every day --zone Nowhere", "--zone: Nowhere is not a"),
        ("recurring replace acme 1", "Missing argument"),
        ("recurring replace acme 1 0", "Invalid value"),
        ("recurring replace acme 1 5 --period hour", "Invalid value"),
        ("recurring replace acme 1 5 --when later", "Invalid value"),
        ("recurring replace acme 1 5 --zone Nowhere", "--zone: Nowhere is not a time zone"),
        ("recurring end acme", "Missing argument"),
        ("recurring end acme 1 --at soon", "--at: soon is not a time"),
        ("authorize acme GET /v1/leads --quiet --json", "--quiet and --json exclude each other"),
        ("authorize acme GET /v1/leads --hold 0", "Invalid value"),
        ("commit r", "give one of --status and --outcome"),
        ("commit r --status 200 --outcome blocked", "give one of --status and --outcome"),
        ("commit r --outcome lost", "Invalid value"),
        ("extend r --hold 0", "Invalid value"),
        ("release r --outcome valid_response", "a valid response is charged"),
        ("overview acme --by week", "Invalid value"),
        ("overview acme --csv --json", "--csv and --json exclude each other"),
        ("overview acme --from 2027-01-01T00:00", "has no zone"),
        ("statement acme --csv --json", "--csv and --json exclude each other"),
        ("statement acme --jsonl --parquet f", "--jsonl and --parquet exclude each other"),
        ("statement acme --parquet f --output g", "--parquet and --output exclude each other"),
        ("statement acme --output acme.xls", "must end with one of .csv, .json, .jsonl, .parquet"),
        ("consumption --csv --json", "--csv and --json exclude each other"),
        ("consumption --top 0", "Invalid value"),
        ("consumption --from soon", "--from: soon is not a time"),
        ("totals --by week", "Invalid value"),
        ("totals --csv --json", "--csv and --json exclude each other"),
        ("loadtest --mix 200", "--mix: '200' must be NAME=WEIGHT"),
        ("loadtest --mix 999=1", "--mix: '999' is neither a status from 100 to 599 nor one of"),
        ("loadtest --mix 200=0", "--mix: at least one weight must be over 0"),
        ("loadtest --accounts-by most", "--accounts-by: it must be uniform, zipf"),
        ("loadtest --accounts-by hot:2", "--accounts-by: the share of the hot account is 0 to 1"),
        ("loadtest --mode client --group 5", "--group is for --mode batch and session"),
        ("loadtest --group 5", "--group is for --mode batch and session"),
        (
            "loadtest --server 127.0.0.1:1 --prices p.toml",
            "--prices is for a server that is started",
        ),
        ("loadtest --server nonsense", "--server is 'nonsense'; it must be HOST:PORT"),
        ("loadtest --run a-b", "--run must be 1 to 32 characters"),
        ("loadtest --output a.txt", "--output a.txt must end with one of .json, .html"),
        ("loadtest --compare a.json b.json", "a.json: cannot be read"),
        ("prices show --csv --json", "--csv and --json exclude each other"),
        ("prices show --version 1 --at now", "--version and --at exclude each other"),
        ("prices show --version 1 --name partner", "--version and --name exclude each other"),
        ("prices show --name partner --account a", "--name and --account exclude each other"),
        ("prices diff a --version 1 --name p", "--version and --name exclude each other"),
        ("prices annotate-openapi a --prices b --name p", "--prices and --name exclude each other"),
        ("account prices acme", "give the NAME of a price list, or --default"),
        ("account prices acme partner --default", "give the NAME of a price list, or --default"),
        ("account prices acme partner --effective soon", "--effective: soon is not a time"),
        ("prices show --at soon", "--at: soon is not a time"),
        ("prices annotate-openapi a --check --output b", "--check and --output exclude each other"),
        ("prices annotate-openapi a --base-path v1", "--base-path is 'v1'; it must begin with /"),
        ("serve --workers 2", "it must be 1 on SQLite"),
        ("serve --config nowhere.toml", "nowhere.toml: cannot be read"),
        ("migrate --database mysql://db", "database (from --database); it must be sqlite:///FILE"),
        ("verify --database sqlite:///:memory:", "a SQLite ledger is a file"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(
    line: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = here(*line.split())

    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line",
    [
        "account create acme --credit-limit {}",
        "account create acme --limit daily={}\u00a0credits/day",
        "account create acme --alert low=remaining\u00a0{}",
        "account update acme --credit-limit {}",
        "grant acme {}",
        "grant acme 1 --priority {}",
        "recurring create acme {} --every day",
        "recurring create acme 1 --every day --rollover {}",
        "recurring create acme 1 --every day --priority {}",
        "recurring replace acme 1 {}",
        "debit acme {}",
        "refund 1a-2b {}",
        "authorize acme GET /v1/leads --hold {}",
        "commit 1a-2b --status {}",
        "webhook rotate 1a0c9d2e7 --overlap-s {}",
        "verify --overdue-tolerance {}",
    ],
)
def test_a_number_that_nothing_can_hold_is_wrong_usage(line: str) -> None:
    words = [word.replace("\u00a0", " ").format(10**30) for word in line.split(" ")]

    ended = here(*words)

    assert ended.code == 2
    assert re.search(r"less than or equal|too large", " ".join(ended.err.split()))
