"""How PostgreSQL finds what is due among many dead deliveries and old events: by indexes."""

import json
from typing import Any, cast

import pytest
from sqlalchemy import Engine, create_engine, event, text

from tests.support.postgres import Postgres
from tollkeeper.storage.webhooks.webhooks import SqlWebhooks

pytestmark = pytest.mark.postgres

WEBHOOK = 7
MANY = 20_000
LARGE = {"event", "webhook_delivery"}

FILL = f"""
INSERT INTO account (shard, key, account_id, display_name, state, credit_limit, settled, held, charged,
    sequence, created_us) VALUES (0, 64, 'acme', '', 1, 0, 0, 0, 0, 0, 0);
INSERT INTO event SELECT 0, 64, n, 0, n, 'half', 1, '', 50, true, 50, 100, 0, n, n
    FROM generate_series(1, {MANY}) n;
UPDATE event_position SET last = {MANY};
INSERT INTO webhook VALUES ({WEBHOOK}, 'https://a.example', '', '', '', 1, 0, {MANY - 5}, 1, 's', 1, '', 0,
    0, 0, 0, '');
INSERT INTO webhook_delivery SELECT {WEBHOOK}, n, CASE WHEN n % 1000 = 0 THEN 1 ELSE 2 END, 1,
    CASE WHEN n % 1000 = 0 THEN n ELSE 0 END, 0, 1, 1, 1, 500, 'no' FROM generate_series(1, {MANY - 5}) n;
ANALYZE
"""  # noqa: S608 - our own numbers


def test_what_is_due_is_found_without_reading_what_is_dead(
    postgres: Postgres, ledger_template: str
) -> None:
    url = postgres.create_database(template=ledger_template)
    database = create_engine(url)
    with database.begin() as connection:
        for statement in FILL.split(";"):
            connection.execute(text(statement))
    store = SqlWebhooks(url)
    said = listen(store._engine)  # pyright: ignore[reportPrivateUsage]

    (work,) = store.work(pending_max=100)
    with store.transaction() as books:
        webhook = books.lock([WEBHOOK])[WEBHOOK]
        page = books.events_for(webhook, 100)
        claimed = books.claim(WEBHOOK, 4, lease=1, lease_us=1)
    store.close()

    assert (work.new_events, work.due) == (True, True)
    assert len(page.events) == 5
    assert [each.delivery.position for each in claimed] == [1_000, 2_000, 3_000, 4_000]
    with database.connect() as connection:
        read_whole = {
            node["Relation Name"]
            for statement, parameters in said
            for plan in connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            for node in nodes(plan[0][0]["Plan"])
            if node["Node Type"] == "Seq Scan"
        }
    database.dispose()
    postgres.drop_database(url)
    assert len(said) >= 5
    assert read_whole & LARGE == set(), json.dumps([each for each, _ in said], indent=1)


def listen(engine: Engine) -> list[tuple[str, Any]]:
    """Collect the questions that are asked from now on."""
    said: list[tuple[str, Any]] = []

    def on_execute(*call: Any) -> None:
        statement, parameters = call[2], call[3]
        if (statement.startswith("SELECT") and "webhook" in statement) or " event " in statement:
            said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", on_execute)
    return said


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    below = cast("list[dict[str, Any]]", plan.get("Plans", []))
    return [plan, *(node for each in below for node in nodes(each))]
