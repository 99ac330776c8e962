"""The schema, once, for both databases.

Every primary key of an account's rows begins with its shard, and every unique index has it. Zero stands for "none"
where a column is a number and says so. Times are microseconds. No foreign keys on the hot tables: they cost half as
much again (docs/explanation/storage.md); `verify` holds the references. Rows that are updated have room for it on
their page (fillfactor), and no index on a column that an update changes (but a grant's `open` and an event's
`position`, once in its life, and an account's `next_grant_us`, once a period), so that PostgreSQL updates them in
place (HOT). No look-up of a lane can take an index for its shard alone: without statistics, as a new partition has
none, PostgreSQL thinks that as good as the right one, and reads a whole shard for each row
(docs/explanation/decisions/0028-one-index-for-a-look-up.md).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)

from tollkeeper.core.grants import NEVER_US
from tollkeeper.storage.schema import access_tables, usage_tables
from tollkeeper.storage.schema.metadata import Id, metadata

IS_OPEN_AND_EXPIRES = f"open AND expires_us < {NEVER_US}"
"""The condition of the index of grants to come due. A query for open grants alone does not fit it."""

_READ_BY_PEOPLE = frozenset({"request_id", "authorized_by"})


def _hot(fillfactor: int) -> dict[str, Any]:
    return {"postgresql_with": {"fillfactor": fillfactor}, "sqlite_with_rowid": False}


account = Table(
    "account",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", Id, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("credit_limit", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("limits", Text, nullable=False, server_default=text("''")),
    Column("alerts", Text, nullable=False, server_default=text("''")),
    Column("alert_states", Text, nullable=False, server_default=text("''")),
    Column("pricing", Text, nullable=False, server_default=text("''")),
    Column("recurring", Text, nullable=False, server_default=text("''")),
    Column("next_grant_us", BigInteger, nullable=False, server_default=text("0")),
    Index(
        "account_by_next_grant",
        "shard",
        "next_grant_us",
        postgresql_where=text("next_grant_us > 0"),
        sqlite_where=text("next_grant_us > 0"),
    ),
    Index("account_by_id", "account_id", "shard", unique=True),
    **_hot(50),
)
"""`charged`: credits charged since the account was opened, net of refunds. `limits` and `alerts`: JSON
arrays, empty for none. `alert_states`: how far each of the rules in `alerts` is, in their order.
`pricing`: the price lists that it is on, as a JSON array of names and moments; empty for the default list for good.
`recurring`: a JSON array too; `next_grant_us` is the beginning of the first of their periods to come, 0 for none."""

credit_grant = Table(
    "credit_grant",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("account_key", BigInteger, primary_key=True, autoincrement=False),
    Column("grant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("credits", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("consumed", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("voided", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("void", Boolean, nullable=False, server_default=false()),
    Index(
        "credit_grant_open",
        "shard",
        "account_key",
        postgresql_where=text("open"),
        sqlite_where=text("open"),
    ),
    Index(
        "credit_grant_due",
        "shard",
        "expires_us",
        postgresql_where=text(IS_OPEN_AND_EXPIRES),
        sqlite_where=text(IS_OPEN_AND_EXPIRES),
    ),
    **_hot(50),
)
"""`open`: anything remaining or held. `void`: taken back. `expires_us` is 2^63 - 1 for never."""

reservation = Table(
    "reservation",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("reservation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_key", BigInteger, nullable=False),
    Column("request_digest", LargeBinary(16), nullable=False),
    Column("endpoint_id", Integer, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("price_version", Integer, nullable=False),
    Column("charge_on", Text),
    Column("grant_id", BigInteger, nullable=False),
    Column("slices", Text),
    Column("state", SmallInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("hold_us", BigInteger, nullable=False),
    Column("settled_us", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False, server_default=text("0")),
    Column("windows", Text),
    Column("http_status", SmallInteger, nullable=False, server_default=text("0")),
    Column("settled_by", Text, nullable=False, server_default=text("''")),
    Column("charge_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("request_id", Text, nullable=False, server_default=text("''")),
    Column("authorized_by", Text, nullable=False, server_default=text("''")),
    Index("reservation_by_request", "account_key", "request_digest", "shard", unique=True),
    **_hot(50),
)
"""`slices` is NULL where one grant (`grant_id`, 0 for the credit line) pays all, else "grant_id:credits,…" with
`grant_id` 0. `charge_on` is NULL for the default rule, else "2xx,404". `outcome` 0: none yet.
`refunded`: what of its charge was given back. `windows`: "limit_id:start_us:amount:over,…", NULL for none.
The last five columns are for people who ask why, and empty (zero) where an older server wrote: `http_status` is that
of the commit, 0 where an outcome was given; `charge_sequence` is that of its charge in the journal, 0 for none."""

RESERVATION_READ_BY_LANES = tuple(
    column.name for column in reservation.columns if column.name not in _READ_BY_PEOPLE
)
"""A lane never reads what it has no use for: every column counts where each commit reads a row."""

hold = Table(
    "hold",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("expires_us", BigInteger, primary_key=True, autoincrement=False),
    Column("reservation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_key", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The HELD reservations by deadline, so that overdue ones are found without an index on a state that changes."""

limit_window = Table(
    "limit_window",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("account_key", BigInteger, primary_key=True, autoincrement=False),
    Column("limit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("start_us", BigInteger, primary_key=True, autoincrement=False),
    Column("used", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("over", BigInteger, nullable=False),
    Column("used_moved_out", BigInteger, nullable=False, server_default=text("0")),
    Column("over_moved_out", BigInteger, nullable=False, server_default=text("0")),
    postgresql_with={"fillfactor": 60},
    sqlite_with_rowid=False,
)
"""What counts in one window of one limit: consumed, held, and how many requests went over the maximum.
`…_moved_out`: what of it is of reservations that have been moved out."""

entry = Table(
    "entry",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("account_key", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("reservation_id", BigInteger, nullable=False),
    Column("grant_id", BigInteger, nullable=False),
    Column("endpoint_id", Integer, nullable=False),
    Column("price_version", Integer, nullable=False),
    Column("note", Text),
    Index(
        "entry_refunds",
        "shard",
        "reservation_id",
        postgresql_where=text("kind = 4"),
        sqlite_where=text("kind = 4"),
    ),
    sqlite_with_rowid=False,
)
"""The journal. Triggers refuse every effect on a row that is there. Zero: no reservation, grant, endpoint or list.
Refunds are few and found by their reservation; a charge is found by the reservation's `charge_sequence`, so that the
many charges cost no second index."""


event = Table(
    "event",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("account_key", BigInteger, primary_key=True, autoincrement=False),
    Column("rule_id", BigInteger, primary_key=True, autoincrement=False),
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", SmallInteger, nullable=False),
    Column("limit_name", Text, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("percent", Boolean, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("base", BigInteger, nullable=False),
    Column("window_end_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("position", BigInteger),
    Index("event_by_id", "event_id", unique=True),
    Index(
        "event_by_position",
        "position",
        unique=True,
        postgresql_where=text("position IS NOT NULL"),
        sqlite_where=text("position IS NOT NULL"),
    ),
    Index(
        "event_without_position",
        "created_us",
        "event_id",
        postgresql_where=text("position IS NULL"),
        sqlite_where=text("position IS NULL"),
    ),
    sqlite_with_rowid=False,
)
"""What rules were met: the key refuses a second event of one rule and period. `period` is the beginning of the rule's
window or, where it has none (`window_end_us` is 0), a count. `position` is NULL until it is numbered."""

event_position = Table(
    "event_position",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
"""One row: the last position given. Whoever numbers events holds its lock, so positions are seen in their order."""


usage_hour, usage_day = usage_tables.usage_hour, usage_tables.usage_day
access_token = access_tables.access_token

endpoint = Table(
    "endpoint",
    metadata,
    Column("endpoint_id", Integer, primary_key=True, autoincrement=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Index("endpoint_by_name", "method", "path", unique=True),
)
"""Every endpoint that a price list has named, as it wrote it; 1 is that of all the unlisted."""

price_list = Table(
    "price_list",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("effective_us", BigInteger, nullable=False),
    Column("unlisted", SmallInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("named_effective_us", BigInteger),
)
"""`name`: empty for the default list. A named one holds from `named_effective_us` on; its `effective_us` is then at the
end of all times, so that a server of the version before, which knows no names, never takes it for the default list."""

price = Table(
    "price",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("endpoint_id", Integer, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("charge_on", Text),
)

admin_request = Table(
    "admin_request",
    metadata,
    Column("digest", LargeBinary(16), primary_key=True),
    Column("method", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)
"""The first call of every admin request_id: `content` and `result` are JSON objects."""

webhook = Table(
    "webhook",
    metadata,
    Column("webhook_id", BigInteger, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("pause_cause", SmallInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("secret", Text, nullable=False),
    Column("secret_version", Integer, nullable=False),
    Column("previous_secret", Text, nullable=False),
    Column("previous_until_us", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("last_success_us", BigInteger, nullable=False),
    Column("last_failure_us", BigInteger, nullable=False),
    Column("last_failure", Text, nullable=False),
    **_hot(50),
)
"""Who is told of events, by HTTP. `position`: every event up to it was looked at. The secrets are plain: they sign."""

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("webhook_id", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("state", SmallInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("attempted_us", BigInteger, nullable=False),
    Column("http_status", SmallInteger, nullable=False),
    Column("error", Text, nullable=False),
    Index(
        "webhook_delivery_due",
        "webhook_id",
        "due_us",
        "position",
        postgresql_where=text("state = 1"),
        sqlite_where=text("state = 1"),
    ),
    Index(
        "webhook_delivery_dead",
        "webhook_id",
        "position",
        postgresql_where=text("state = 2"),
        sqlite_where=text("state = 2"),
    ),
    sqlite_with_rowid=False,
)
"""An event on its way to a webhook; gone when it was acknowledged. `due_us`: the next attempt or, while `lease` is not
0, when that counts as lost; 0 where it is dead. Its index follows every attempt: these rows are few, and no lane's."""
