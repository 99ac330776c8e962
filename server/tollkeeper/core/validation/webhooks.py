"""Checks the fields of webhooks, as `fields.py` does those of the ledger. Each notes what is bad in `fields`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from tollkeeper.core.validation.fields import Fields
from tollkeeper.core.webhooks.deliveries import DeliveryState, WebhookState

URL_MAX = 2_048
SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
OVERLAP_MAX_US = 30 * 86_400_000_000
OVERLAP_DEFAULT_US = 86_400_000_000
EVENT_IDS_MAX = 1_000

_URL = re.compile(rf"[!-~]{{1,{URL_MAX}}}")
_ID = re.compile(r"[1-9a-f][0-9a-f]{0,15}")
_INT64 = 2**63
_NANOS = range(1_000_000_000)
_STATES = {each.value: each for each in WebhookState}
_DELIVERY_STATES = {0: None, **{each.value: each for each in DeliveryState}}


def webhook_url(fields: Fields, field: str, text: str, *, plain_http: bool) -> str:
    """Check where a webhook posts to; `plain_http`: http:// is for every receiver, not for this machine's alone."""
    fault = _fault_of_url(text, plain_http=plain_http)
    if fault:
        fields.bad(field, fault)
    return text


def _fault_of_url(text: str, *, plain_http: bool) -> str:
    if not _URL.fullmatch(text):
        return f"must be 1 to {URL_MAX} printable ASCII characters without spaces"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must be a URL such as https://example.com/events"
    if parts.scheme not in {"http", "https"} or not host:
        return "must begin with https:// or http:// and a host"
    if parts.username is not None or parts.password is not None:
        return "must not have a user or a password; deliveries are signed instead"
    if "#" in text:
        return "must not have a fragment"
    if parts.scheme == "http" and not plain_http and not _is_this_machine(host):
        return (
            "must begin with https://; http:// is for a receiver at localhost or a loopback address, or for a "
            "server that was started with --insecure"
        )
    return ""


def _is_this_machine(host: str) -> bool:
    """Say whether a host means this machine by its spelling; a name is not looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def webhook_secret(fields: Fields, field: str, text: str) -> str | None:
    """Check a secret; None where it is left to the server."""
    if not text:
        return None
    try:
        size = len(base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not text.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= size <= SECRET_BYTES_MAX:
        fields.bad(
            field,
            f"must be {SECRET_PREFIX} and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64",
        )
    return text


def overlap_us(fields: Fields, field: str, seconds: int, nanos: int) -> int:
    """Read how long a secret that is replaced signs on."""
    overlap = seconds * 1_000_000 + nanos // 1_000
    if nanos not in _NANOS or not 0 <= overlap <= OVERLAP_MAX_US:
        fields.bad(field, f"must be between 0 s and {OVERLAP_MAX_US // 1_000_000} s")
    return overlap


def webhook_id(fields: Fields, field: str, text: str) -> int:
    """Read the id of a webhook."""
    number = _id_of(text)
    if not number:
        fields.bad(field, "must be the id of a webhook, as CreateWebhook answers it")
    return number


def webhook_filter(fields: Fields, account_id: str, prefix: str) -> tuple[str, str]:
    """Check whose events are wanted: one account's, those of a prefix, or with both empty all."""
    if account_id:
        fields.account_id("account_id", account_id)
    fields.account_id_prefix("account_prefix", prefix)
    if account_id and prefix:
        fields.bad("account_prefix", "must be empty where account_id is set")
    return account_id, prefix


def event_ids(fields: Fields, field: str, names: Sequence[str]) -> tuple[int, ...] | None:
    """Read the ids of events; None for none, which stands for all."""
    if len(names) > EVENT_IDS_MAX:
        fields.bad(field, f"must not be more than {EVENT_IDS_MAX}")
        return None
    ids = tuple(map(_id_of, names))
    for index, each in enumerate(ids):
        if not each:
            fields.bad(f"{field}[{index}]", "must be the id of an event")
    return ids or None


def webhook_state(fields: Fields, field: str, number: int) -> WebhookState:
    """Read whether a webhook is to deliver."""
    state = _STATES.get(number)
    if state is None:
        fields.bad(field, "must be one of the named values" if number else "must be specified")
    return state or WebhookState.ACTIVE


def delivery_state(fields: Fields, field: str, number: int) -> DeliveryState | None:
    """Read which deliveries are wanted; None for all."""
    if number not in _DELIVERY_STATES:
        fields.bad(field, "must be one of the named values")
    return _DELIVERY_STATES.get(number)


def _id_of(text: str) -> int:
    """Return the number of an id; 0 where it is none."""
    number = int(text, 16) if _ID.fullmatch(text) else 0
    return number if number < _INT64 else 0
