"""What `make run` runs: a server to try things on, and the commands that it prints."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.cli.processes import Serving, environment_of, serving
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ("tollkeeper.cli.demo",)


def printed_commands(server: Serving) -> list[str]:
    assert server.process.stdout is not None
    commands: list[str] = []
    for line in server.process.stdout:
        server.lines.append(line)
        if line.startswith("  "):
            commands.append(line.strip())
        if line.startswith("Ctrl-C"):
            return commands
    raise AssertionError(server.lines)


def pasted(command: str, folder: Path) -> str:
    """Run a line as a shell would that knows no settings."""
    finished = subprocess.run(  # noqa: S602 -- the line is for a shell
        command,
        shell=True,
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment_of({}),
    )
    return finished.stdout


@thorough
def test_the_printed_commands_work_as_they_are(tmp_path: Path) -> None:
    with serving(tmp_path, command=COMMAND) as server:
        authorize, commit, overview = printed_commands(server)

        assert "10 credits held for GET /v1/leads" in pasted(authorize, tmp_path)
        assert "10 credits charged: valid_response" in pasted(commit, tmp_path)
        page = pasted(overview, tmp_path)
        ended = server.stop()

    assert "10 credits consumed by 1 request" in page
    assert "980 credits" in page
    assert (ended.code, ended.err) == (0, "")


@thorough
def test_a_second_run_goes_on_where_the_first_was(tmp_path: Path) -> None:
    with serving(tmp_path, command=COMMAND) as server:
        held = server.json("authorize", "demo", "GET", "/v1/leads")
        server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        server.stop()

    with serving(tmp_path, command=COMMAND) as server:
        account = server.json("account", "show", "demo")["account"]
        lists = server.json("prices", "list")["price_lists"]

    assert account["balance"]["settled"] == 990
    assert len(lists) == 1


@thorough
def test_the_demo_never_touches_another_database(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path / 'precious.db'}"

    with serving(tmp_path, command=COMMAND, database=elsewhere):
        pass

    assert (tmp_path / "tollkeeper.db").exists()
    assert not (tmp_path / "precious.db").exists()
