"""The table of roles: complete, and as the issue of each role says."""

import pytest

from tollkeeper.core.access.roles import MEANINGS, METHODS, Role, may_call
from tollkeeper.v1 import admin_pb2, ledger_pb2, webhooks_pb2

PROTOS = (ledger_pb2.DESCRIPTOR, admin_pb2.DESCRIPTOR, webhooks_pb2.DESCRIPTOR)
SERVED = {
    service.name: {method.name for method in service.methods}
    for proto in PROTOS
    for service in proto.services_by_name.values()
}
CELLS = [(service, method) for service, methods in SERVED.items() for method in sorted(methods)]
READS = ("Get", "List", "Explain", "Watch")


def test_every_method_has_its_line_and_there_is_no_other() -> None:
    assert {service: set(methods) for service, methods in METHODS.items()} == SERVED
    assert set(MEANINGS) == set(Role)


@pytest.mark.parametrize(("service", "method"), CELLS)
def test_an_admin_may_call_it_and_a_caller_without_a_role_may_not(
    service: str, method: str
) -> None:
    assert may_call({Role.ADMIN}, service, method)
    assert not may_call((), service, method)


@pytest.mark.parametrize(("service", "method"), CELLS)
def test_an_auditor_reads_everything_and_changes_nothing(service: str, method: str) -> None:
    assert may_call({Role.AUDITOR}, service, method) is method.startswith(READS)


@pytest.mark.parametrize(("service", "method"), CELLS)
def test_only_gateways_and_admins_hold_credits(service: str, method: str) -> None:
    pays = service == "LedgerService" and not method.startswith(READS)
    assert may_call({Role.GATEWAY}, service, method) is pays
    if pays:
        others = set(Role) - {Role.GATEWAY, Role.ADMIN}
        assert not may_call(others, service, method)


def test_roles_add_up() -> None:
    both = {Role.GATEWAY, Role.VIEWER}
    assert may_call(both, "LedgerService", "Authorize")
    assert may_call(both, "LedgerService", "GetOverview")
    assert not may_call(both, "AdminService", "GrantCredits")


@pytest.mark.parametrize(
    ("service", "method"), [("LedgerService", "Charge"), ("TokenService", "Authorize"), ("", "")]
)
def test_what_the_table_does_not_have_may_not_be_called(service: str, method: str) -> None:
    assert not may_call(set(Role), service, method)
