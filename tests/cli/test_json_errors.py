"""With --json, whatever fails: the last line of standard error is one object, and it says the exit code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import every_command, every_leaf, has_option
from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, environment_of, here, serving, tollkeeper
from tests.support.thorough import thorough
from tollkeeper.cli.serve import migrate

if TYPE_CHECKING:
    from pathlib import Path


def test_every_command_that_prints_can_print_json() -> None:
    assert [name for name, each in every_leaf().items() if not has_option(each, "--json")] == []


@pytest.mark.parametrize("command", every_command())
def test_wrong_usage_of_every_command_is_json(command: str) -> None:
    ended = here(*command.split(), "--json", "--nonsense")

    assert (ended.code, ended.out) == (2, "")
    assert ended.error["reason"] == "WRONG_USAGE"
    assert ended.error["violations"][0]["field"] in {"--nonsense", "--json"}
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "code", "reason", "field"),
    [
        ("nonsense --json", 2, "WRONG_USAGE", None),
        ("account --json", 2, "WRONG_USAGE", "--json"),
        ("account show --json", 2, "WRONG_USAGE", "ID"),
        ("grant acme many --json", 2, "WRONG_USAGE", "CREDITS"),
        ("grant acme 1 --json --note", 2, "WRONG_USAGE", "--note"),
        ("commit r --json", 2, "WRONG_USAGE", None),
        ("commit r --status 999 --json", 2, "WRONG_USAGE", "--status"),
        ("overview acme --csv --json", 2, "WRONG_USAGE", "--csv"),
        ("overview acme --from soon --json", 2, "WRONG_USAGE", "--from"),
        ("overview acme --zone Nowhere --json", 2, "WRONG_USAGE", "--zone"),
        ("account list --server nowhere --json", 2, "WRONG_USAGE", "--server"),
        ("account create a --limit x --json", 2, "WRONG_USAGE", "--limit"),
        ("account create a --alert x --json", 2, "WRONG_USAGE", "--alert"),
        ("serve --workers none --json", 2, "WRONG_SETTINGS", "workers"),
        ("serve --config none.toml --json", 2, "WRONG_SETTINGS", None),
        ("serve --prices none.toml --json", 1, "FILE_UNREADABLE", None),
        ("migrate --database mysql://db --json", 2, "WRONG_SETTINGS", "database"),
        ("verify --database sqlite:///:memory: --json", 2, "WRONG_SETTINGS", "database"),
        ("verify --database sqlite:///none.db --json", 1, "SCHEMA_NOT_CURRENT", None),
        ("migrate --check --database sqlite:///none.db --json", 1, "SCHEMA_NOT_CURRENT", None),
        ("prices publish none.toml --json", 1, "FILE_UNREADABLE", None),
        ("prices publish bad.toml --json", 1, "FILE_INVALID", None),
        ("prices publish empty.toml --json", 1, "FILE_INVALID", None),
        ("prices annotate-openapi bad.toml --prices ok.toml --json", 1, "FILE_INVALID", None),
        ("loadtest --compare none.json none.json --json", 1, "FILE_UNREADABLE", None),
        ("loadtest --compare bad.toml bad.toml --json", 1, "FILE_INVALID", None),
        ("loadtest --output a.txt --json", 2, "WRONG_USAGE", "--output"),
    ],
)
def test_what_fails_before_a_server_is_asked_is_json(
    line: str,
    code: int,
    reason: str,
    field: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("price = 5\n", encoding="utf-8")
    (tmp_path / "empty.toml").write_text("price = []\n", encoding="utf-8")
    (tmp_path / "ok.toml").write_text(PRICES.read_text(encoding="utf-8"), encoding="utf-8")

    ended = here(*line.split())

    assert (ended.code, ended.error["reason"]) == (code, reason)
    assert ended.error["message"]
    assert (field is None) or ended.error["violations"][0]["field"] == field


def test_what_a_server_refuses_has_its_reason_its_status_and_the_bad_fields(
    server: Serving,
) -> None:
    field = server.run("account", "create", "not an id", "--json")
    unknown = server.run("account", "show", "nobody", "--json")

    assert (field.code, field.error["reason"]) == (1, "INVALID_FIELD")
    assert field.error["status"] == "INVALID_ARGUMENT"
    assert [each["field"] for each in field.error["violations"]] == ["account_id"]
    assert (unknown.code, unknown.error["reason"]) == (1, "ACCOUNT_NOT_FOUND")
    assert unknown.error["status"] == "NOT_FOUND"


@thorough
def test_findings_are_a_result_and_an_error(tmp_path: Path) -> None:
    with serving(tmp_path, "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.stop()
    with sqlite3.connect(tmp_path / "tollkeeper.db") as connection:
        connection.execute("UPDATE account SET settled = settled + 3")
    connection.close()

    ended = here("verify", "--database", server.database, "--json")

    assert ended.json["findings"][0]["account_id"] == "acme"
    assert (ended.code, ended.error["reason"]) == (1, "FINDINGS")
    assert "1 account" in ended.error["message"]


def test_a_price_list_that_differs_is_a_finding(server: Serving, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[[price]]\nmethod = "GET"\npath = "/x"\ncredits = 1\n', encoding="utf-8")

    person = server.run("prices", "diff", str(file))
    script = server.run("prices", "diff", str(file), "--json")

    assert (person.code, person.err) == (1, "")
    assert (script.json["differs"], script.error["reason"]) == (True, "FINDINGS")


def test_a_fault_of_ours_is_json_after_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(migrate, "load_settings", fail)

    ended = here("migrate", "--json")

    assert (ended.code, ended.error["reason"]) == (1, "INTERNAL_ERROR")
    assert "on purpose" in ended.err


@thorough
def test_a_server_says_as_json_where_it_listens(tmp_path: Path) -> None:
    listen = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
    with subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", "serve", "--json", *listen],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment_of({}),
    ) as process:
        assert process.stdout is not None
        addresses = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.terminate()

    assert process.returncode == 0
    assert sorted(key for each in addresses for key in each) == ["listening", "metrics"]
    assert all("127.0.0.1:" in text for each in addresses for text in each.values())


@thorough
def test_a_port_that_is_taken_is_json(server: Serving, tmp_path: Path) -> None:
    ended = tollkeeper("serve", "--json", "--listen", server.address, folder=tmp_path)

    assert (ended.code, ended.out, ended.error["reason"]) == (1, "", "CANNOT_SERVE")
