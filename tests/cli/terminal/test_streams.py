"""Terminals, pipes and signals: what a process does when its reader goes, is interrupted, or has few letters."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.cli.processes import Serving, environment_of, tollkeeper
from tests.cli.reports.journals import lengthen
from tests.support.thorough import thorough, with_thorough
from tollkeeper.cli.failure import ExitCode

pytestmark = thorough

NAME = "Ünïcödé 終"
MANY = 3_000
START_US = 1_790_000_000_000_000
INTERRUPTED_WHILE_LOADED = """
import os, signal, sys
from tollkeeper.__main__ import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "tollkeeper.cli.terminal.layout":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
main()
raise AssertionError("it was not interrupted")
"""


@pytest.fixture(scope="module")
def named(server: Serving) -> Serving:
    """A server whose account acme has such a name, and a journal that is longer than a pipe holds."""
    server.json("account", "create", "acme", "--name", NAME)
    server.json("grant", "acme", str(2 * MANY), "--note", NAME)
    held = server.json("authorize", "acme", "GET", "/v1/leads")
    server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
    lengthen(server, "acme", MANY - 10, start_us=START_US)
    return server


def on_terminal(server: Serving, *arguments: str, **environment: str) -> str:
    """Run a command on a terminal of its own, and return all that it wrote there."""
    ours, theirs = pty.openpty()
    given = environment_of({"TOLLKEEPER_SERVER": server.address, "TERM": "xterm", **environment})
    with subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", *arguments], stdout=theirs, stderr=theirs, env=given
    ) as process:
        os.close(theirs)
        parts: list[bytes] = []
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while part := os.read(ours, 65_536):
                parts.append(part)
    os.close(ours)
    assert process.returncode == 0
    return b"".join(parts).decode()


@pytest.mark.parametrize(
    "form", with_thorough([(), ("--csv",), ("--json",), ("--jsonl",)], quick=[(), ("--json",)])
)
def test_a_reader_that_goes_ends_a_command_without_a_word(
    form: tuple[str, ...], named: Serving
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", "statement", "acme", *form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment_of({"TOLLKEEPER_SERVER": named.address}),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (ExitCode.READER_GONE, b"")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ""),
        (
            ("--json",),
            '{"error":{"reason":"INTERRUPTED","message":"interrupted"},"exit_code":130}\n',
        ),
    ],
)
def test_ctrl_c_ends_a_command_without_a_traceback(
    arguments: tuple[str, ...], said: str, server: Serving
) -> None:
    server.json("account", "create", f"alert{len(arguments)}", "--alert", "a=consumed 1/month")
    server.json("grant", f"alert{len(arguments)}", "100")
    held = server.json("authorize", f"alert{len(arguments)}", "GET", "/v1/leads")
    server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
    with subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", "events", "--follow", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment_of({"TOLLKEEPER_SERVER": server.address}),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # it is followed now
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (ExitCode.INTERRUPTED, said)


def test_ctrl_c_while_the_command_is_loaded_leaves_no_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADED],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=environment_of({}),
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (ExitCode.INTERRUPTED, "", "")


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
def test_letters_that_a_terminal_has_not_are_written_out(
    environment: dict[str, str], named: Serving
) -> None:
    at = ("--server", named.address)

    shown = tollkeeper("account", "show", "acme", *at, environment=environment)
    listed = tollkeeper("account", "list", *at, environment=environment)
    script = tollkeeper("account", "show", "acme", *at, "--json", environment=environment)
    csv = tollkeeper("statement", "acme", "--csv", *at, environment=environment)

    assert [each.code for each in (shown, listed, script, csv)] == [0, 0, 0, 0]
    if environment.get("PYTHONIOENCODING"):
        assert r"\xdcn\xefc\xf6d\xe9 \u7d42" in shown.out
        assert (shown.out + listed.out).isascii()
    assert script.json["account"]["display_name"] == NAME
    assert NAME in csv.out


def test_a_terminal_has_bold_letters_and_colours(named: Serving) -> None:
    page = on_terminal(named, "overview", "acme")

    assert "\x1b[1mCredit Cost Overview of acme\x1b[0m" in page
    assert "\x1b[1;32m" in page


def test_no_color_takes_colours_away_and_a_dumb_terminal_has_no_bold_letters(
    named: Serving,
) -> None:
    plain = on_terminal(named, "overview", "acme", NO_COLOR="1")
    dumb = on_terminal(named, "overview", "acme", TERM="dumb")

    assert "\x1b[1mCredit Cost Overview of acme\x1b[0m" in plain
    assert "32m" not in plain
    assert "\x1b" not in dumb


def test_json_and_csv_on_a_terminal_steer_nothing(named: Serving) -> None:
    named.json("account", "create", "steered", "--name", "a\u202eb")
    named.json("grant", "steered", "5", "--note", "a\u202eb")

    json = on_terminal(named, "account", "show", "steered", "--json")
    csv = on_terminal(named, "statement", "steered", "--csv")

    assert "\u202e" not in json + csv
    assert r"a\u202eb" in json
    assert r"a\u202eb" in csv


@pytest.mark.parametrize("columns", ["", "0", "-5", "many"])
def test_columns_that_are_none_are_not_looked_at(columns: str, named: Serving) -> None:
    ended = named.run("account", "list", COLUMNS=columns)

    assert ended.code == 0
    assert "acme" in ended.out
