"""The laws of deliveries to webhooks. What is wrong is named by its webhook, since no account is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.answers.views import Finding
from tollkeeper.storage.verify.reading import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

INVARIANT = 12

_BROKEN = (
    (
        "has a delivery of position {position} and is not there",
        """
        SELECT d.webhook_id, d.position FROM webhook_delivery AS d
        LEFT JOIN webhook AS w ON w.webhook_id = d.webhook_id
        WHERE w.webhook_id IS NULL
        """,
    ),
    (
        "has a delivery that is not dead of position {position}, which no event has",
        """
        SELECT d.webhook_id, d.position FROM webhook_delivery AS d
        LEFT JOIN event AS e ON e.position = d.position
        WHERE e.position IS NULL AND d.state = 1
        """,
    ),
    (
        "has a delivery of position {position}, but has taken events up to {taken} only",
        """
        SELECT d.webhook_id, d.position, w.position AS taken FROM webhook_delivery AS d
        JOIN webhook AS w ON w.webhook_id = d.webhook_id
        WHERE d.position > w.position
        """,
    ),
    (
        "has a delivery of position {position} that waits without a next attempt",
        """
        SELECT webhook_id, position FROM webhook_delivery
        WHERE state = 1 AND (due_us <= 0 OR attempts < 0)
        """,
    ),
    (
        "has a delivery of position {position} that is dead and on its way",
        """
        SELECT webhook_id, position FROM webhook_delivery
        WHERE state = 2 AND (due_us <> 0 OR lease <> 0)
        """,
    ),
    (
        "has a delivery of position {position} in state {state}, which there is not",
        "SELECT webhook_id, position, state FROM webhook_delivery WHERE state NOT IN (1, 2)",
    ),
    (
        "has taken events up to {position}, but the last is {last}",
        """
        SELECT w.webhook_id, w.position, p.last FROM webhook AS w
        CROSS JOIN event_position AS p WHERE w.position > p.last
        """,
    ),
    (
        "has no secret, or no url",
        "SELECT webhook_id FROM webhook WHERE secret = '' OR url = ''",
    ),
)


def find_broken(connection: Connection) -> Iterable[Finding]:
    """Yield what is wrong with webhooks and their deliveries."""
    for message, statement in _BROKEN:
        for row in read_rows(connection, statement):
            yield Finding(
                INVARIANT, f"webhook {row['webhook_id']:x}", message.format_map(dict(row))
            )
