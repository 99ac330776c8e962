"""What every command says of itself, and what it says to a wrong command line."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import every_command
from tests.cli.processes import here, tollkeeper

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = every_command()
WIDTH = 80
TO_COME = ["backup", "restore"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    ended = here(*command.split(), "--help")

    usage, _, example = ended.out.partition("Example")
    assert ended.code == 0
    assert f"tollkeeper {command}".strip() in usage
    assert f"tollkeeper {command}".strip() in example


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_is_broken_once_and_in_our_words(command: str) -> None:
    text = here(*command.split(), "--help", COLUMNS=str(WIDTH)).out

    assert max(map(len, text.splitlines())) <= WIDTH
    assert not re.search(r"<|>|\b(TEXT\||None|str|int|bool|range|x>=|Sequence)\b|╭|pydantic", text)
    described = text.split("\n\nExample")[0].split("\n\n", 1)[1].splitlines()
    for line, following in pairwise(described):
        goes_on = following.startswith("    ") if line.startswith(" ") else following[:1].isalnum()
        has_a_term_alone = re.fullmatch(r"  \S+( \S+)*", line) is not None
        # A line ends where the next word would not have fitted, or where a paragraph does.
        if line and goes_on and not has_a_term_alone:
            assert len(f"{line} {following.split()[0]}") > WIDTH


def test_a_long_example_can_be_pasted_as_it_is() -> None:
    text = here("loadtest", "--help", COLUMNS="80").out

    assert "--output run.json \\\n        --output run.html\n" in text


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("grant", "CREDITS How many. From 1 to 1,000,000,000,000,000."),
        ("grant", "Grants with a lower number are consumed first. From 0 to 1,000,000. Default 0."),
        ("overview", "One of hour, day, month. Default day."),
        ("recurring create", "--every EVERY The period. One of day, week, month, year. Required."),
        (
            "account show",
            "The server to ask; or unix:PATH. Default 127.0.0.1:50051; or set TOLLKEEPER_SERVER.",
        ),
        (
            "refund",
            "[CREDITS] How many. From 1 to 1,000,000,000,000,000. Default all that is left.",
        ),
        ("serve", "Default sqlite:///tollkeeper.db; or set TOLLKEEPER_DATABASE."),
    ],
)
def test_help_says_bounds_choices_defaults_and_variables(command: str, said: str) -> None:
    text = here(*command.split(), "--help", COLUMNS="80").out

    assert said in " ".join(text.split())


@pytest.mark.parametrize("command", ["", "account", "recurring", "prices", "webhook"])
def test_a_group_without_a_command_shows_its_help_and_is_wrong_usage(command: str) -> None:
    ended = here(*command.split())

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == here(*command.split(), "--help").out


def test_what_is_not_utf_8_is_named_and_not_repeated() -> None:
    """It may be a database's URL, which has a password in it."""
    ended = here("account", "show", "a\udcff")
    database = here("verify", "--database", "postgresql+psycopg://u:s3cret\udcff@h/db")

    assert (ended.code, ended.err) == (2, "ID must be UTF-8\n")
    assert database.code == 2
    assert "must be UTF-8" in database.err
    assert "s3cret" not in database.err


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
        ("nonsense", "there is no command 'nonsense'; there are serve, migrate"),
        ("account show", "ID must be given\nsee: tollkeeper account show --help"),
        ("account list --nonsense", "there is no option --nonsense"),
        ("account list --server nonsense", "--server is 'nonsense'; it must be HOST:PORT"),
        ("account create acme --credit-limit -1", "--credit-limit is '-1'; it must be at least 0"),
        ("account create acme --limit 5/day", "must begin with NAME=NUMBER UNIT/WINDOW"),
        ("grant acme none", "CREDITS is 'none'; it must be a whole number"),
        ("grant acme 0", "CREDITS is '0'; it must be at least 1"),
        ("grant acme 5 --expires soon", "--expires: soon is not a time"),
        ("grant acme 5 --expires 2027-01-01 --zone Nowhere", "--zone: Nowhere is not a time zone"),
        ("debit acme", "CREDITS must be given"),
        ("debit acme 0", "CREDITS is '0'; it must be at least 1"),
        ("recurring create acme 5", "--every must be given"),
        ("recurring create acme 0 --every day", "CREDITS is '0'; it must be at least 1"),
        ("recurring create acme 5 --every hour", "it must be one of day, week, month, year"),
        ("recurring create acme 5 --every day --rollover -1", "--rollover is '-1'; it must be"),
        ("recurring create acme 5 --every day --from soon", "--from: soon is not a time"),
        ("recurring create acme 5 --every day --zone Nowhere", "--zone: Nowhere is not a"),
        ("recurring replace acme 1", "CREDITS must be given"),
        ("recurring replace acme 1 0", "CREDITS is '0'; it must be at least 1"),
        ("recurring replace acme 1 5 --period hour", "--period is 'hour'; it must be one of day"),
        ("recurring replace acme 1 5 --when later", "it must be one of now, next-period"),
        ("recurring replace acme 1 5 --zone Nowhere", "--zone: Nowhere is not a time zone"),
        ("recurring end acme", "NUMBER must be given"),
        ("recurring end acme 1 --at soon", "--at: soon is not a time"),
        ("authorize acme GET /v1/leads --quiet --json", "--quiet and --json exclude each other"),
        ("authorize acme GET /v1/leads --hold 0", "--hold is '0'; it must be at least 1"),
        ("commit r", "give one of --status and --outcome"),
        ("commit r --status 200 --outcome blocked", "give one of --status and --outcome"),
        ("commit r --outcome lost", "--outcome is 'lost'; it must be one of valid_response, "),
        ("extend r --hold 0", "--hold is '0'; it must be at least 1"),
        ("release r --outcome valid_response", "a valid response is charged"),
        ("overview acme --by week", "--by is 'week'; it must be one of hour, day, month"),
        ("overview acme --csv --json", "--csv and --json exclude each other"),
        ("overview acme --from 2027-01-01T00:00", "has no zone"),
        ("statement acme --csv --json", "--csv and --json exclude each other"),
        ("statement acme --jsonl --parquet f", "--jsonl and --parquet exclude each other"),
        ("statement acme --parquet f --output g", "--parquet and --output exclude each other"),
        ("statement acme --output acme.xls", "must end with one of .csv, .json, .jsonl, .parquet"),
        ("consumption --csv --json", "--csv and --json exclude each other"),
        ("consumption --top 0", "--top is '0'; it must be at least 1"),
        ("consumption --from soon", "--from: soon is not a time"),
        ("totals --by week", "--by is 'week'; it must be one of hour, day, month"),
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
        ("loadtest --output a.txt", "--output is 'a.txt'; it must end with one of .json, .html"),
        ("loadtest --rate nan", "--rate is 'nan'; it must be at least 0.1"),
        ("loadtest --duration inf", "--duration is inf; it must be a number"),
        ("loadtest --compare a.json", "--compare requires 2 arguments"),
        ("grant acme 5 --note", "--note requires an argument"),
        ("account show a b", "there are too many arguments: b"),
        ("account show a --jsonn", "there is no option --jsonn; did you mean --json?"),
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
    assert re.search(r"must be at most|too large|fewer digits", " ".join(ended.err.split()))
