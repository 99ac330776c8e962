"""The settings: where each comes from, what is allowed, and how a wrong one is reported."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from tests.cli.commands import every_command
from tollkeeper.app import engine_settings, server_settings, webhook_settings
from tollkeeper.config import Settings, SettingsError
from tollkeeper.core.account import SHARDS
from tollkeeper.engine.settings import EngineSettings, WebhookSettings
from tollkeeper.listening import (
    Address,
    TcpAddress,
    UnixAddress,
    parse_host_port,
    parse_listen,
    parse_target,
)
from tollkeeper.rpc.settings import ServerSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.engine.ports import Store

POSTGRES = "postgresql+psycopg://ledger:hunter2@db/ledger"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TOLLKEEPER_{name.upper()}", raising=False)


def load(flags: dict[str, Any], *, file: Path | None = None, text: str = "") -> Settings:
    if file is not None:
        file.write_text(text, encoding="utf-8")
    return Settings.load(flags, config=file)


def findings(flags: dict[str, Any], *, file: Path | None = None, text: str = "") -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load(flags, file=file, text=text)
    return refused.value.findings


def test_every_setting_has_the_default_of_the_documentation() -> None:
    assert load({}).model_dump() == {
        "listen": "127.0.0.1:50051",
        "database": "sqlite:///tollkeeper.db",
        "prices": None,
        "workers": 1,
        "lanes": 0,
        "store_timeout_s": 10,
        "hold_default_s": 60,
        "hold_max_s": 86400,
        "hold_total_max_s": 604800,
        "late_window_s": 86400,
        "retention_s": 604800,
        "drain_delay_s": 0,
        "drain_s": 30,
        "webhook_networks": None,
        "webhook_timeout_s": 10,
        "webhook_retry_s": 5,
        "webhook_retry_max_s": 3_600,
        "webhook_attempts": 100,
        "webhook_give_up_s": 259_200,
        "message_bytes_max": 33_554_432,
        "metadata_bytes_max": 16_384,
        "streams_max": 10_000,
        "keepalive_s": 60,
        "keepalive_timeout_s": 20,
        "keepalive_client_s": 5,
        "connection_age_s": 0,
        "connection_grace_s": 3_600,
        "connection_idle_s": 0,
        "channelz": "off",
        "metrics_listen": None,
        "tls_cert": None,
        "tls_key": None,
        "tls_client_ca": None,
        "insecure": False,
        "log_level": "warning",
    }


def test_every_setting_is_a_flag_of_serve_in_the_same_order() -> None:
    options = every_command()["serve"].params

    assert [each.name for each in options] == [*Settings.model_fields, "config", "json"]
    assert [each.opts for each in options[:-2]] == [
        [f"--{name.replace('_', '-')}"] for name in Settings.model_fields
    ]


def test_the_engine_stands_on_the_same_defaults_as_the_settings() -> None:
    store = SimpleNamespace(lanes_max=SHARDS)

    assert engine_settings(load({}), cast("Store", store)) == EngineSettings()
    assert webhook_settings(load({})) == WebhookSettings()
    assert server_settings(load({})) == ServerSettings()


def test_several_workers_are_for_postgresql() -> None:
    assert load({"workers": "2", "database": POSTGRES}).workers == 2


@pytest.mark.parametrize(
    ("flag", "variable", "key", "expected"),
    [
        (None, None, None, 30),
        (None, None, 3, 3),
        (None, "2", None, 2),
        (None, "2", 3, 2),
        ("1", None, None, 1),
        ("1", None, 3, 1),
        ("1", "2", None, 1),
        ("1", "2", 3, 1),
    ],
)
def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    flag: str | None,
    variable: str | None,
    key: int | None,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if variable is not None:
        monkeypatch.setenv("TOLLKEEPER_DRAIN_S", variable)
    text = "" if key is None else f"drain_s = {key}"

    settings = load({"drain_s": flag}, file=tmp_path / "settings.toml", text=text)

    assert settings.drain_s == expected


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOLLKEEPER_DRAIN_S", "")

    settings = load({}, file=tmp_path / "settings.toml", text="drain_s = 3")

    assert settings.drain_s == 3


@pytest.mark.parametrize(
    ("flags", "finding"),
    [
        ({"listen": "nonsense"}, "listen is 'nonsense' (from --listen); it must be HOST:PORT"),
        ({"listen": "host:65536"}, "with a port from 0 to 65535"),
        ({"listen": "127.0.0.1:1,nonsense"}, "; 'nonsense' is none of them"),
        ({"listen": "127.0.0.1:1,"}, "; '' is none of them"),
        ({"listen": ":65536"}, "; ':65536' is none of them"),
        (
            {"listen": ":1,unix:"},
            "it must name a file after unix:, such as unix:/run/tollkeeper.sock; 'unix:'",
        ),
        ({"listen": f"unix:/{'x' * 107}"}, "it must have a path of at most 107 bytes after unix:"),
        ({"listen": ":1,:2,:1"}, "it must not have an address twice, as :1"),
        ({"database": "mysql://db"}, "(from --database); it must be sqlite:///FILE or postgresql"),
        ({"database": "sqlite:///"}, "it must be sqlite:///FILE"),
        ({"workers": "0"}, "workers is '0' (from --workers); it must be at least 1"),
        ({"workers": "2"}, "it must be 1 on SQLite; several workers need PostgreSQL"),
        ({"workers": "65", "database": POSTGRES}, "it must be at most 64"),
        (
            {"workers": "2", "database": POSTGRES, "listen": ":1,unix:/x"},
            "it must be 1 where listen has unix:PATH; processes share ports alone",
        ),
        ({"tls_cert": "a"}, "tls_key is None; it must be given where tls_cert is"),
        (
            {"tls_key": "a"},
            "tls_key is 'a' (from --tls-key); it must not be given without tls_cert",
        ),
        ({"tls_client_ca": "a"}, "it must not be given without tls_cert and tls_key"),
        ({"insecure": "perhaps"}, "insecure is 'perhaps' (from --insecure); it must be true or"),
        ({"metrics_listen": "9464"}, "(from --metrics-listen); it must be HOST:PORT"),
        ({"lanes": "65"}, "it must be at most 64"),
        ({"hold_default_s": "0"}, "it must be at least 1"),
        ({"hold_max_s": "86401"}, "it must be at most 86400"),
        ({"hold_default_s": "90", "hold_max_s": "80"}, "must not be under hold_default_s, 90"),
        ({"hold_total_max_s": "86399"}, "it must not be under hold_max_s, 86400"),
        ({"hold_total_max_s": "2592001"}, "it must be at most 2592000"),
        ({"retention_s": "86399"}, "it must not be under late_window_s, 86400"),
        ({"drain_delay_s": "-1"}, "it must be at least 0"),
        ({"drain_delay_s": "3601"}, "it must be at most 3600"),
        ({"drain_s": "soon"}, "drain_s is 'soon' (from --drain-s); it must be a whole number"),
        ({"drain_s": "1.5"}, "it must be a whole number"),
        ({"log_level": "loud"}, "it must be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(flags: dict[str, str], finding: str) -> None:
    assert len(findings(flags)) == 1
    assert finding in findings(flags)[0]


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation is int]
TRUTHS = [name for name, field in Settings.model_fields.items() if field.annotation is bool]
TEXTS = [name for name in Settings.model_fields if name not in {*NUMBERS, *TRUTHS}]
NOT_OURS = re.compile(r"Input|Value error|[Uu]nable to|parse|valid (?!as)|pydantic|type=|something")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    ("value", "must"),
    [
        ("soon", "must be a whole number"),
        ("1.5", "must be a whole number"),
        ("", "must be a whole number"),
        ("9" * 5_000, "must be a whole number of fewer digits"),
        ("9" * 30, "must be at most "),
        ("-1", "must be at least "),
        ("1\0", "must not have a zero byte"),
        (1.5, "must be a whole number"),
        (float("inf"), "must be a number"),
        (True, "must not be true or false"),
        ([1], "must be a whole number"),
        ({"a": 1}, "must be a whole number"),
        (date(2027, 1, 1), "must be a whole number"),
    ],
)
def test_a_setting_that_is_a_number_takes_nothing_else(name: str, value: object, must: str) -> None:
    (finding,) = [each for each in findings({name: value}) if each.startswith(f"{name} ")]

    assert f" (from --{name.replace('_', '-')}); it {must}" in finding
    assert not NOT_OURS.search(finding)
    assert len(finding) < 250


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "toml", ["5", "1.5", "true", "[1]", "{ a = 1 }", "2027-01-01", '"\\u0000"']
)
def test_a_setting_that_is_a_text_takes_nothing_else(name: str, toml: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"

    (finding,) = findings({}, file=file, text=f"{name} = {toml}")

    assert re.search(rf"^{name}( is .+)? \(from {re.escape(str(file))}\); it must ", finding)
    assert not NOT_OURS.search(finding)


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("toml", ["1", "0", "1.5", "'yes'", "[true]", "2027-01-01", '"\\u0000"'])
def test_a_setting_that_is_true_or_false_takes_nothing_else(
    name: str, toml: str, tmp_path: Path
) -> None:
    (finding,) = findings({}, file=tmp_path / "settings.toml", text=f"{name} = {toml}")

    assert finding.endswith("; it must be true or false")
    assert not NOT_OURS.search(finding)


@pytest.mark.parametrize("name", TRUTHS)
def test_true_and_false_are_written_as_in_toml_and_in_a_variable_as_1_and_0_too(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[bool] = []
    for text in ("true", "True", "1", "false", "0"):
        monkeypatch.setenv(f"TOLLKEEPER_{name.upper()}", text)
        read.append(getattr(load({}), name))
    monkeypatch.delenv(f"TOLLKEEPER_{name.upper()}")
    by_key = load({}, file=tmp_path / "settings.toml", text=f"{name} = true")

    assert read == [True, True, True, False, False]
    assert getattr(by_key, name) is True


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_variable_that_is_not_utf_8_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TOLLKEEPER_{name.upper()}", "a\udcff")

    if name == "prices":  # a file may be called so
        assert str(load({}).prices) == "a\udcff"
        return
    (finding,) = findings({})
    assert f"{name}" in finding
    assert not NOT_OURS.search(finding)


def test_all_bad_settings_are_named_at_once() -> None:
    found = findings({"listen": "nonsense", "drain_s": "-1"})

    assert [line.split()[0] for line in found] == ["listen", "drain_s"]


def test_a_bad_setting_is_named_with_the_variable_it_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOLLKEEPER_DRAIN_S", "-1")

    assert "drain_s is '-1' (from TOLLKEEPER_DRAIN_S)" in findings({})[0]


def test_a_bad_setting_is_named_with_the_file_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"

    assert f"drain_s is -1 (from {file})" in findings({}, file=file, text="drain_s = -1")[0]


def test_the_password_of_a_database_is_never_repeated() -> None:
    found = findings({"database": "mysql://ledger:hunter2@db", "workers": "2"})

    assert "hunter2" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("lissten = 'x'", "lissten: no such setting; there are listen, database, prices"),
        ("transport = 'native'", "transport: no such setting"),
        ("[serve]\nlisten = 'x'", "serve: no such setting"),
        ("listen = ", "is not TOML: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text: str, finding: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"

    found = findings({}, file=file, text=text)[0]

    assert found.startswith(f"{file}: ")
    assert finding in found


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings\.toml: cannot be read: no such file"):
        Settings.load({}, config=tmp_path / "settings.toml")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load({}).drain_s = 1  # pyright: ignore[reportAttributeAccessIssue] -- that is the point


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 50051)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("[::1]", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_host_port(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":50051", [TcpAddress("", 50_051)]),
        ("unix:/run/a.sock", [UnixAddress("/run/a.sock")]),
        ("unix:///run/a.sock", [UnixAddress("/run/a.sock")]),
        ("unix:a.sock", [UnixAddress("a.sock")]),
        (f"unix:/{'x' * 106}", [UnixAddress(f"/{'x' * 106}")]),
        ("a:1, [::1]:0,unix:b", [TcpAddress("a", 1), TcpAddress("[::1]", 0), UnixAddress("b")]),
        (":0,:0", [TcpAddress("", 0), TcpAddress("", 0)]),
    ],
)
def test_a_server_may_listen_on_several_addresses(text: str, expected: list[Address]) -> None:
    assert list(parse_listen(text)) == expected
    assert load({"listen": text}).listen == text


@pytest.mark.parametrize("text", ["127.0.0.1:50051", "[::1]:1", "unix:/run/a.sock"])
def test_a_server_is_found_at_a_port_or_a_file(text: str) -> None:
    assert str(parse_target(text)) == text


@pytest.mark.parametrize("text", ["", ":50051", "a:1,b:2", "unix:", "/run/a.sock"])
def test_what_is_no_place_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        parse_target(text)
