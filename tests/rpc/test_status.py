"""The table from reasons to statuses, and the status of a refusal."""

import base64
from urllib.parse import quote

import pytest
from grpc import StatusCode

from tests.repo.tree import ROOT
from tests.rpc.wire import read_status
from tollkeeper.core.errors import FieldViolation, Reason, Refused
from tollkeeper.rpc.status import CODES, INTERNAL, status_of, status_of_fault

PROMISED = {
    StatusCode.INVALID_ARGUMENT: "INVALID_FIELD IDEMPOTENCY_KEY_REUSED BATCH_TOO_LARGE",
    StatusCode.NOT_FOUND: (
        "ACCOUNT_NOT_FOUND RESERVATION_NOT_FOUND GRANT_NOT_FOUND PRICE_LIST_NOT_FOUND "
        "WEBHOOK_NOT_FOUND "
        "RECURRING_GRANT_NOT_FOUND TOKEN_NOT_FOUND"
    ),
    StatusCode.ALREADY_EXISTS: "ACCOUNT_EXISTS",
    StatusCode.FAILED_PRECONDITION: (
        "RESERVATION_EXPIRED ALREADY_COMMITTED ALREADY_RELEASED NOT_COMMITTED "
        "REFUND_EXCEEDS_CHARGE ACCOUNT_NOT_EMPTY ACCOUNT_CLOSED TOO_MANY_RECURRING_GRANTS "
        "PRICES_BACKDATED TOKEN_NOT_ACTIVE"
    ),
    StatusCode.UNAUTHENTICATED: "TOKEN_MISSING TOKEN_INVALID",
    StatusCode.PERMISSION_DENIED: "SCOPE_MISSING ACCOUNT_NOT_ALLOWED",
    StatusCode.RESOURCE_EXHAUSTED: "OVERLOADED",
    StatusCode.UNAVAILABLE: "STORE_UNAVAILABLE SHUTTING_DOWN",
    StatusCode.UNIMPLEMENTED: "NOT_SERVED",
}


def test_every_reason_has_the_code_that_was_promised() -> None:
    promised = {Reason(name): code for code, names in PROMISED.items() for name in names.split()}

    assert promised == CODES
    assert set(CODES) == set(Reason)


def test_every_reason_is_documented() -> None:
    documented = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")

    missing = [
        name for name in (*(each.value for each in Reason), INTERNAL) if name not in documented
    ]

    assert not missing


def test_a_refusal_tells_its_reason_and_its_facts() -> None:
    refused = Refused(
        Reason.ACCOUNT_EXISTS, "there is an account acme already", metadata={"account_id": "acme"}
    )

    read = read_status(StatusCode.ALREADY_EXISTS, status_of(refused))

    assert status_of(refused).code == StatusCode.ALREADY_EXISTS.value[0]
    assert read.message == "there is an account acme already"
    assert (read.reason, read.domain) == ("ACCOUNT_EXISTS", "tollkeeper")
    assert read.metadata == {"account_id": "acme"}
    assert read.fields == []
    assert read.retry_us is None


def test_a_refusal_of_fields_names_each_of_them() -> None:
    fields = [FieldViolation("credits", "is bad"), FieldViolation("note", "is too long")]

    read = read_status(
        StatusCode.INVALID_ARGUMENT, status_of(Refused(Reason.INVALID_FIELD, "bad", fields=fields))
    )

    assert read.fields == ["credits", "note"]
    assert read.descriptions == ["is bad", "is too long"]


@pytest.mark.parametrize("reason", list(Reason))
def test_a_retry_is_advised_where_it_helps(reason: Reason) -> None:
    helps = reason in {Reason.OVERLOADED, Reason.STORE_UNAVAILABLE, Reason.SHUTTING_DOWN}

    read = read_status(CODES[reason], status_of(Refused(reason, "no")))

    assert (read.retry_us is not None) == helps


def test_the_refusal_itself_knows_best_when_to_retry() -> None:
    refused = Refused(Reason.OVERLOADED, "no", retry_after_us=1_234_567)

    retry_us = read_status(CODES[refused.reason], status_of(refused)).retry_us

    assert retry_us is not None
    assert 1_234_567 // 2 <= retry_us <= 1_234_567 * 1.5


def test_callers_who_are_refused_together_are_told_different_times() -> None:
    refused = Refused(Reason.OVERLOADED, "no")

    told = [read_status(CODES[refused.reason], status_of(refused)).retry_us for _ in range(100)]

    assert len(set(told)) > 90


def test_the_longest_refusal_fits_into_the_metadata_of_any_client() -> None:
    fields = [FieldViolation(f"prices.prices[{index}].path", "x" * 80) for index in range(10_000)]
    refused = Refused(
        Reason.INVALID_FIELD,
        "\N{GRINNING FACE}" * 10_000,
        metadata={"fields": ",".join(name for name, _ in fields), "account_id": "a" * 128},
        fields=fields,
    )

    status = status_of(refused)

    on_the_wire = quote(status.message).encode() + base64.b64encode(status.SerializeToString())
    assert len(on_the_wire) < 8 * 1024
    read = read_status(StatusCode.INVALID_ARGUMENT, status)
    named = len(read.fields) - 1
    assert read.fields == [*(name for name, _ in fields[:named]), ""]
    assert read.descriptions[-1] == f"and {10_000 - named} more"
    assert read.message.endswith("\N{GRINNING FACE}...")


def test_a_fault_tells_its_number_and_nothing_else() -> None:
    read = read_status(StatusCode.INTERNAL, status_of_fault("4f1c9a7e"))

    assert read.message == "internal error 4f1c9a7e; the operator's log has the details"
    assert (read.reason, read.metadata) == (INTERNAL, {"incident": "4f1c9a7e"})
