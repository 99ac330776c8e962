"""The one table of administrative commands: whether it has all of them, and whether each keeps all of its fields."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence

import pytest

import tollkeeper.core
from tests.support.operators import one_of_each
from tollkeeper.core.access import commands as access
from tollkeeper.core.administer import AdminCommand
from tollkeeper.core.commands import PublishPrices
from tollkeeper.core.reservation import ReservationName
from tollkeeper.core.webhooks import commands as webhooks
from tollkeeper.engine.lanes.administrative import ENTRIES
from tollkeeper.v1 import admin_pb2, webhooks_pb2

OF_NO_ACCOUNT = {
    PublishPrices,
    webhooks.CreateWebhook,
    webhooks.UpdateWebhook,
    webhooks.RotateWebhookSecret,
    webhooks.DeleteWebhook,
    webhooks.RetryWebhookDeliveries,
    access.CreateToken,
    access.RotateToken,
    access.RevokeToken,
}
"""What is carried out in a transaction of its own, and not in a batch of a lane."""

NOT_SERVED_YET = {access.CreateToken, access.RotateToken, access.RevokeToken}
"""What has no request in the protos."""

NO_CONTENT = {"request_id", "allow_empty"}
"""The key itself, and the consent to a list that could be a slip."""

SAMPLES: Sequence[AdminCommand] = [
    *one_of_each(ReservationName(1, 2), 3),
    PublishPrices("r", ()),
    webhooks.CreateWebhook("r", "https://example.com"),
    webhooks.UpdateWebhook(1, "r"),
    webhooks.RotateWebhookSecret(1, "r", 0),
    webhooks.DeleteWebhook(1, "r"),
    webhooks.RetryWebhookDeliveries(1, "r"),
]


def test_every_administrative_command_of_an_account_has_an_entry() -> None:
    assert set(administrative()) - OF_NO_ACCOUNT == set(ENTRIES)


def test_every_command_with_a_record_is_compared_here() -> None:
    assert {type(each) for each in SAMPLES} == set(administrative()) - NOT_SERVED_YET


@pytest.mark.parametrize("command", SAMPLES, ids=lambda each: type(each).__name__)
def test_a_record_keeps_every_field_of_the_request(command: AdminCommand) -> None:
    name = f"{type(command).__name__}Request"
    files = (admin_pb2.DESCRIPTOR, webhooks_pb2.DESCRIPTOR)
    request = next(
        file.message_types_by_name[name] for file in files if name in file.message_types_by_name
    )

    kept = {field.partition(".")[0] for field in command.content()}

    assert kept == {field.name for field in request.fields} - NO_CONTENT


def administrative() -> Iterator[type]:
    """Return the classes of the core that have a key of a call and a content for its record."""
    for found in pkgutil.walk_packages(tollkeeper.core.__path__, "tollkeeper.core."):
        if found.name.rpartition(".")[2] == "commands":
            module = importlib.import_module(found.name)
            yield from (
                each
                for _, each in inspect.getmembers(module, inspect.isclass)
                if each.__module__ == found.name and "request_id" in each.__annotations__
                if each.__name__ != "Authorize"
            )
