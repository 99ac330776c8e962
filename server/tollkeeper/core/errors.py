"""Why a call can fail, and the one exception that says so.

A denial of Authorize is not here: it is an answer (see `authorize.Denial`). The table from a reason to a gRPC
code is in `rpc/status.py`, the text for users in `docs/reference/errors.md`.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@unique
class Reason(Enum):
    """The `reason` of google.rpc.ErrorInfo, in the order of rules 11."""

    INVALID_FIELD = "INVALID_FIELD"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    RESERVATION_NOT_FOUND = "RESERVATION_NOT_FOUND"
    GRANT_NOT_FOUND = "GRANT_NOT_FOUND"
    PRICE_LIST_NOT_FOUND = "PRICE_LIST_NOT_FOUND"
    WEBHOOK_NOT_FOUND = "WEBHOOK_NOT_FOUND"
    RECURRING_GRANT_NOT_FOUND = "RECURRING_GRANT_NOT_FOUND"
    TOKEN_NOT_FOUND = "TOKEN_NOT_FOUND"  # noqa: S105 - the name of a reason, not a secret
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS"
    RESERVATION_EXPIRED = "RESERVATION_EXPIRED"
    ALREADY_COMMITTED = "ALREADY_COMMITTED"
    ALREADY_RELEASED = "ALREADY_RELEASED"
    NOT_COMMITTED = "NOT_COMMITTED"
    REFUND_EXCEEDS_CHARGE = "REFUND_EXCEEDS_CHARGE"
    ACCOUNT_NOT_EMPTY = "ACCOUNT_NOT_EMPTY"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    TOO_MANY_RECURRING_GRANTS = "TOO_MANY_RECURRING_GRANTS"
    PRICES_BACKDATED = "PRICES_BACKDATED"
    TOKEN_NOT_ACTIVE = "TOKEN_NOT_ACTIVE"  # noqa: S105 - likewise
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105 - likewise
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 - likewise
    SCOPE_MISSING = "SCOPE_MISSING"
    ACCOUNT_NOT_ALLOWED = "ACCOUNT_NOT_ALLOWED"
    OVERLOADED = "OVERLOADED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    NOT_SERVED = "NOT_SERVED"


RETRY_AFTER_US = {
    Reason.OVERLOADED: 100_000,
    Reason.STORE_UNAVAILABLE: 1_000_000,
    Reason.SHUTTING_DOWN: 1_000_000,
}
"""When to repeat a call, for the reasons where that helps."""


class FieldViolation(NamedTuple):
    """One bad field of a request: its name in the proto, and what is wrong with it."""

    field: str
    description: str


class Refused(Exception):
    """A call that cannot be carried out; nothing has changed.

    `message` is for a person, in the caller's nouns. `metadata` carries the facts of the message for programs,
    `fields` every bad field, `retry_after_us` when to repeat the call, None where that does not help.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        fields: Sequence[FieldViolation] = (),
        retry_after_us: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.fields = tuple(fields)
        if retry_after_us is None:
            retry_after_us = RETRY_AFTER_US.get(reason)
        self.retry_after_us = retry_after_us

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle whole: writers answer from processes of their own."""
        return _refused, (
            self.reason,
            self.message,
            self.metadata,
            self.fields,
            self.retry_after_us,
        )


def _refused(
    reason: Reason,
    message: str,
    metadata: Mapping[str, str],
    fields: Sequence[FieldViolation],
    retry_after_us: int | None,
) -> Refused:
    return Refused(reason, message, metadata=metadata, fields=fields, retry_after_us=retry_after_us)


def key_reused(key: str, value: str, field: str, *, before: str, now: str) -> Refused:
    """Return the refusal of a call whose key was used before with other content in `field`."""
    return Refused(
        Reason.IDEMPOTENCY_KEY_REUSED,
        f"{key} {value} was used before for {before}, now for {now}; {field} differs",
        metadata={"field": field, key: value},
        fields=[FieldViolation(field, f"differs from the first call with this {key}")],
    )


def invalid(field: str, description: str) -> Refused:
    """Return the refusal of a call with one bad field."""
    return invalid_fields([FieldViolation(field, description)])


def invalid_fields(bad: Sequence[FieldViolation]) -> Refused:
    """Return the refusal of a call with bad fields."""
    return Refused(
        Reason.INVALID_FIELD,
        "; ".join(f"{field}: {description}" for field, description in bad),
        metadata={"fields": ",".join(field for field, _ in bad)},
        fields=bad,
    )
