"""The laws of SEMANTICS 10 about counters and references, as questions to the database.

Each statement finds the rows that break its law. They are written apart from the core, on purpose: a
mistake there is not repeated here. Every one is standard SQL that both databases take, answers
`account_key`, `account_id` and the columns that its message names, and leaves sorting and adding up
to the database, so that memory here does not grow with the ledger.
"""

from __future__ import annotations

from tollkeeper.storage.verify.laws import Law

COUNTERS = (
    Law(
        9,
        "charged is {charged}, but its charges less its refunds add up to {total}",
        """
        SELECT account.key AS account_key, account.account_id, account.charged,
               coalesce(paid.total, 0) AS total
        FROM account
        LEFT JOIN (
            SELECT shard, account_key, -sum(credits) AS total
            FROM entry WHERE kind IN (:charge, :late_charge, :refund) GROUP BY shard, account_key
        ) AS paid ON paid.shard = account.shard AND paid.account_key = account.key
        WHERE account.charged <> coalesce(paid.total, 0)
        """,
    ),
    Law(
        9,
        "endpoint {endpoint_id} in hour {hour} is counted with {requests} requests and {credits}"
        " credits of kind {kind} too few, by its entries and reservations",
        """
        SELECT wrong.account_key, account.account_id, hour, endpoint_id, kind, requests, credits
        FROM (
            SELECT shard, account_key, hour, endpoint_id, kind, sum(requests) AS requests,
                   sum(credits) AS credits
            FROM (
                SELECT shard, account_key, created_us / :hour_us AS hour, endpoint_id,
                       :count_charged AS kind, 1 AS requests, -credits AS credits
                FROM entry WHERE kind IN (:charge, :late_charge)
                UNION ALL
                SELECT shard, account_key, created_us / :hour_us, endpoint_id,
                       :count_refunded, 1, credits
                FROM entry WHERE kind = :refund
                UNION ALL
                SELECT shard, account_key, settled_us / :hour_us, endpoint_id,
                       :count_released + outcome, 1, 0
                FROM reservation WHERE state = :released
                UNION ALL
                SELECT shard, account_key, expires_us / :hour_us, endpoint_id, :count_expired, 1, 0
                FROM reservation WHERE state = :expired
                UNION ALL
                SELECT shard, account_key, hour, endpoint_id, kind, moved_out, 0
                FROM usage_hour WHERE moved_out <> 0 AND kind <> :count_charged
                UNION ALL
                SELECT shard, account_key, hour, endpoint_id, kind, -requests, -credits
                FROM usage_hour WHERE kind < :count_denied
            ) AS counted
            GROUP BY shard, account_key, hour, endpoint_id, kind
            HAVING sum(requests) <> 0 OR sum(credits) <> 0
        ) AS wrong
        LEFT JOIN account ON account.shard = wrong.shard AND account.key = wrong.account_key
        """,
    ),
    Law(
        9,
        "endpoint {endpoint_id} on day {day} is counted with {requests} requests and {credits}"
        " credits of kind {kind} too few, by its hours",
        """
        SELECT wrong.account_key, account.account_id, day, endpoint_id, kind, requests, credits
        FROM (
            SELECT shard, account_key, day, endpoint_id, kind, sum(requests) AS requests,
                   sum(credits) AS credits
            FROM (
                SELECT shard, account_key, hour / :day_hours AS day, endpoint_id, kind, requests,
                       credits
                FROM usage_hour
                UNION ALL
                SELECT shard, account_key, day, endpoint_id, kind, -requests, -credits
                FROM usage_day
            ) AS counted
            GROUP BY shard, account_key, day, endpoint_id, kind
            HAVING sum(requests) <> 0 OR sum(credits) <> 0
        ) AS wrong
        LEFT JOIN account ON account.shard = wrong.shard AND account.key = wrong.account_key
        """,
    ),
)

REFERENCES = (
    Law(
        10,
        "two reservations, {reservation_id:x} and {other_id:x}, have one request_id",
        # Within a partition a unique index sees to it, across them only the account's lock.
        """
        SELECT twice.account_key, account.account_id, reservation_id, other_id
        FROM (
            SELECT shard, account_key, min(reservation_id) AS reservation_id,
                   max(reservation_id) AS other_id
            FROM reservation GROUP BY shard, account_key, request_digest HAVING count(*) > 1
        ) AS twice
        LEFT JOIN account ON account.shard = twice.shard AND account.key = twice.account_key
        """,
    ),
    Law(
        10,
        "there is another account of this id, or it is in shard {shard} wrongly",
        """
        SELECT key AS account_key, account_id, shard
        FROM (
            SELECT key, account_id, shard, count(*) OVER (PARTITION BY account_id) AS namesakes
            FROM account
        ) AS named
        WHERE namesakes > 1 OR shard <> (key & :shard_mask)
        """,
    ),
    *(
        Law(
            invariant,
            f"table {table} has rows of an account that does not exist",
            f"""
            SELECT DISTINCT {table}.account_key, account.account_id
            FROM {table}
            LEFT JOIN account
                ON account.shard = {table}.shard AND account.key = {table}.account_key
            WHERE account.key IS NULL
            """,
        )
        for invariant, table in (
            (1, "entry"),
            (2, "reservation"),
            (4, "credit_grant"),
            (8, "limit_window"),
            (9, "usage_hour"),
            (9, "usage_day"),
            (10, "hold"),
        )
    ),
    *(
        Law(
            invariant,
            f"table {table} has rows of endpoint {{endpoint_id}}, which does not exist",
            f"""
            SELECT DISTINCT {table}.account_key, account.account_id, {table}.endpoint_id
            FROM {table}
            LEFT JOIN endpoint ON endpoint.endpoint_id = {table}.endpoint_id
            LEFT JOIN account
                ON account.shard = {table}.shard AND account.key = {table}.account_key
            WHERE {table}.endpoint_id <> 0 AND endpoint.endpoint_id IS NULL
            """,
        )
        for invariant, table in (
            (1, "entry"),
            (6, "reservation"),
            (9, "usage_hour"),
            (9, "usage_day"),
        )
    ),
    *(
        Law(
            invariant,
            f"table {table} has rows of grant {{grant_id:x}}, which the account does not have",
            f"""
            SELECT DISTINCT {table}.account_key, account.account_id, {table}.grant_id
            FROM {table}
            LEFT JOIN credit_grant ON credit_grant.shard = {table}.shard
                AND credit_grant.account_key = {table}.account_key
                AND credit_grant.grant_id = {table}.grant_id
            LEFT JOIN account
                ON account.shard = {table}.shard AND account.key = {table}.account_key
            WHERE {table}.grant_id <> 0 AND credit_grant.grant_id IS NULL
            """,
        )
        for invariant, table in ((4, "entry"), (5, "reservation"))
    ),
)
