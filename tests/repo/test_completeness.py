"""Nothing is declared and then forgotten somewhere: an RPC, a reason, a command, a setting.

Each test walks the place of the declaration (a proto, an enum, the command line, the settings) and names the places
where something is missing. CONTRIBUTING.md has a recipe for each.
"""

import re
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor

import tollkeeper.cli
import tollkeeper_client
from tests.cli.commands import every_command, every_leaf, has_option
from tests.repo.documents import section, table, text_of, unticked
from tests.repo.registered import (
    attributes_of,
    command_lines,
    every_rpc,
    implemented_rpcs,
    modules_of,
    names_of,
    proto_enum,
)
from tests.rpc import requests
from tests.rpc.services import test_webhooks as webhook_requests
from tests.support.model.ledger import DENIAL_STATUS
from tollkeeper.config import ENVIRONMENT_PREFIX, Settings
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.usage import (
    DENIED,
    HTTP_STATUSES,
    RELEASED,
    DenialReason,
    UsageKind,
    UsageTotals,
)
from tollkeeper.rpc.server import SERVICES

MANY_AT_ONCE = {"LedgerService.Batch", "LedgerService.Session"}
"""RPCs that carry the requests of others. `loadtest` and the clients send them, and no other command does."""

LOADED_LATE = "tollkeeper.cli.loadtest"
"""Stands for a command of another package, which is read when it is asked for."""

COUNTED_NOWHERE = {"ACCOUNT_NOT_FOUND"}
"""Denials of no account: there is none whose counters they could be in."""

DENIALS = names_of(proto_enum("DenialReason"), "DENIAL_REASON_")
OUTCOMES = names_of(proto_enum("Outcome"), "OUTCOME_")
VALUES = {
    "prices": "prices.toml",
    "webhook_networks": "10.0.0.0/8",
    "metrics_listen": "127.0.0.1:9000",
    "tls_cert": "tls.crt",
    "tls_key": "tls.key",
    "tls_client_ca": "ca.crt",
}
"""A value for each setting whose default is none."""

ALONG = {
    "tls_cert": ("tls_key",),
    "tls_key": ("tls_cert",),
    "tls_client_ca": ("tls_cert", "tls_key"),
}
"""Settings that are given together or not at all."""

# -- RPCs


def test_every_service_is_served() -> None:
    assert {rpc.partition(".")[0] for rpc in every_rpc()} == {
        each.rpartition(".")[2] for each in SERVICES
    }


def test_every_rpc_is_implemented_by_a_servicer() -> None:
    assert sorted(every_rpc().keys() - implemented_rpcs()) == []


def test_every_rpc_has_a_good_request_in_the_tests() -> None:
    tried = {**requests.GOOD, **webhook_requests.GOOD}

    missing = [rpc for rpc in every_rpc() if rpc.partition(".")[2] not in tried]

    assert sorted(missing) == sorted(MANY_AT_ONCE)


def test_the_good_request_of_an_rpc_is_of_its_type() -> None:
    tried = {**requests.GOOD, **webhook_requests.GOOD}

    assert {name: kind.DESCRIPTOR.full_name for name, (kind, _) in tried.items()} == {
        method.name: method.input_type.full_name
        for rpc, method in every_rpc().items()
        if rpc not in MANY_AT_ONCE
    }


def test_every_rpc_has_a_command() -> None:
    called = attributes_of("server/tollkeeper/cli")

    missing = [rpc for rpc in every_rpc() if rpc.partition(".")[2] not in called]

    assert sorted(missing) == sorted(MANY_AT_ONCE)


@pytest.mark.parametrize("rpc", every_rpc())
def test_an_rpc_is_on_a_page_of_the_reference_which_says_what_it_does(rpc: str) -> None:
    method = every_rpc()[rpc]

    said = commented(method.containing_service.file, rpc) + commented(
        method.input_type.file, method.input_type.name
    )

    assert said, "give the RPC or its request a comment in the proto"


# -- denial reasons and outcomes


def test_the_core_denies_for_the_reasons_of_the_proto() -> None:
    assert {each.name: each.value for each in DenialReason} == DENIALS


@pytest.mark.parametrize("reason", DENIALS)
def test_a_denial_reason_has_an_http_status(reason: str) -> None:
    assert DenialReason[reason] in HTTP_STATUSES


@pytest.mark.parametrize("reason", [each for each in DENIALS if each not in COUNTED_NOWHERE])
def test_a_denial_reason_is_counted_and_shown(reason: str) -> None:
    kind = UsageKind(DENIED.start + DENIALS[reason])

    assert kind.name == f"DENIED_{reason}"
    assert getattr(UsageTotals(**{kind.name.lower(): 1}), "denied", 0) == 1


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("docs/reference/errors.md", "Denials of Authorize"),
        ("docs/reference/rules.md", "3.1 The order of denials"),
    ],
)
def test_denial_reasons_are_documented_in_the_order_of_the_core_with_their_http_status(
    page: str, heading: str
) -> None:
    rows = table(section(text_of(page), heading))
    # The refusals stand in the file in the order in which they are tried.
    refusals = re.findall(
        r"_denied\(DenialReason\.(\w+)", text_of("server/tollkeeper/core/authorize.py")
    )

    documented = [(int(row[0]), unticked(row[1]), int(row[2])) for row in rows]

    assert sorted(refusals) == sorted(DENIALS), "authorize.py"
    assert documented == [
        (number, reason, HTTP_STATUSES[DenialReason[reason]])
        for number, reason in enumerate(refusals, 1)
    ], page


@pytest.mark.parametrize("reason", DENIALS)
def test_a_denial_reason_has_a_name_in_the_python_client(reason: str) -> None:
    assert tollkeeper_client.DenialReason(DENIALS[reason]).name == reason


@pytest.mark.parametrize("reason", DENIALS)
def test_a_denial_reason_is_given_by_authorize_and_by_the_model(reason: str) -> None:
    assert reason in attributes_of("server/tollkeeper/core/authorize.py")
    assert reason in DENIAL_STATUS


def test_requests_end_as_the_proto_says() -> None:
    assert {each.name: each.value for each in Outcome} == OUTCOMES


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_is_counted_shown_and_has_a_name_in_the_python_client(outcome: str) -> None:
    assert tollkeeper_client.Outcome(OUTCOMES[outcome]).name == outcome
    if outcome != Outcome.VALID_RESPONSE.name:
        kind = UsageKind(RELEASED.start + OUTCOMES[outcome])
        assert kind.name == f"RELEASED_{outcome}"
        assert getattr(UsageTotals(**{kind.name.lower(): 1}), "released", 0) == 1


# -- commands


@pytest.mark.parametrize("command", every_leaf())
def test_a_command_has_json_an_example_and_a_section_in_the_reference(command: str) -> None:
    found = every_leaf()[command]

    assert has_option(found, "--json")
    assert f"tollkeeper {command}" in (found.epilog or ""), "give it an example as its epilog"
    assert f"\n## tollkeeper {command}\n" in text_of("docs/reference/commands.md")


def test_every_command_that_is_written_is_part_of_the_command_line() -> None:
    offered = {each.callback.__module__ for each in every_command().values() if each.callback}
    written = {
        module.__name__
        for module in modules_of(tollkeeper.cli)
        if getattr(getattr(module, "commands", None), "registered_commands", None)
    }

    assert sorted(written - offered) == [LOADED_LATE]


def test_every_command_is_run_by_a_test_that_names_it() -> None:
    lines = command_lines()
    named = {
        command
        for command in every_leaf()
        if any(re.match(rf"{command}(?: |$)", line) for line in lines)
    }

    assert sorted(every_leaf().keys() - named) == []


# -- settings


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_a_flag_a_variable_and_a_key_of_the_file(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    default = Settings.model_fields[name].default
    value = VALUES[name] if default is None else str(default)
    value = value.lower() if isinstance(default, bool) else value
    along = {each: VALUES[each] for each in ALONG.get(name, ())}
    file = tmp_path / "settings.toml"
    file.write_text(f"{name} = {value if isinstance(default, int) else repr(value)}\n")

    by_flag = getattr(Settings.load({name: value, **along}), name)
    by_key = getattr(Settings.load(along, config=file), name)
    monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}{name.upper()}", value)
    by_variable = getattr(Settings.load(along), name)

    expected = default if isinstance(default, bool) else value
    assert str(by_flag) == str(by_key) == str(by_variable) == str(expected)
    assert f"--{name.replace('_', '-')}" in text_of("docs/reference/commands.md")


def test_every_setting_is_described_and_documented() -> None:
    rows = table(section(text_of("docs/reference/settings.md"), "All settings"))

    assert [unticked(row[0]) for row in rows] == [*Settings.model_fields]
    assert [name for name, each in Settings.model_fields.items() if not each.description] == []


def test_every_setting_is_used() -> None:
    used = attributes_of(
        "server/tollkeeper/app.py", "server/tollkeeper/cli/serve", "server/tollkeeper/supervisor"
    )

    assert sorted(Settings.model_fields.keys() - used) == []


def commented(file: FileDescriptor, heading: str) -> list[str]:
    """Return the paragraphs below a heading of a page, without what a program says of every element."""
    page = file.name.rpartition("/")[2].removesuffix(".proto")
    paragraphs = section(text_of(f"docs/reference/protos/{page}.md"), heading).split("\n\n")
    return [each for each in paragraphs if each.strip() and each.strip()[0] not in "`|<"]
