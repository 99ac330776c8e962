"""The laws of SEMANTICS 10.9 about the quarters of an hour, as questions to the database.

A quarter counts no more than its entries and reservations tell, and all four together count the hour, which is held to
them exactly (`verify_rows`). Fewer may be in a quarter than there were: then they are in the first one, where a server
of a version before quarters has counted, and where only the hour was known when the quarters were told apart.
"""

from __future__ import annotations

from tollkeeper.storage.verify.laws import Law

QUARTERS = (
    Law(
        9,
        "endpoint {endpoint_id} in hour {hour} is counted with more of kind {kind} in its quarters"
        " than in all, or with less than nothing in one",
        """
        SELECT usage_hour.account_key, account.account_id, endpoint_id, hour, kind
        FROM usage_hour
        LEFT JOIN account
            ON account.shard = usage_hour.shard AND account.key = usage_hour.account_key
        WHERE requests_15 < 0 OR requests_30 < 0 OR requests_45 < 0
           OR credits_15 < 0 OR credits_30 < 0 OR credits_45 < 0
           OR requests_15 + requests_30 + requests_45 > requests
           OR credits_15 + credits_30 + credits_45 > credits
        """,
    ),
    Law(
        9,
        "endpoint {endpoint_id} in quarter {quarter} of hour {hour} is counted with {requests} requests and"
        " {credits} credits of kind {kind} too many, by its entries and reservations",
        """
        SELECT wrong.account_key, account.account_id, at / 4 AS hour, at % 4 + 1 AS quarter,
               endpoint_id, kind, -requests AS requests, -credits AS credits
        FROM (
            SELECT shard, account_key, at, endpoint_id, kind, sum(requests) AS requests,
                   sum(credits) AS credits
            FROM (
                SELECT shard, account_key, created_us / :quarter_us AS at, endpoint_id,
                       :count_charged AS kind, 1 AS requests, -credits AS credits
                FROM entry WHERE kind IN (:charge, :late_charge)
                UNION ALL
                SELECT shard, account_key, created_us / :quarter_us, endpoint_id,
                       :count_refunded, 1, credits
                FROM entry WHERE kind = :refund
                UNION ALL
                SELECT shard, account_key, settled_us / :quarter_us, endpoint_id,
                       :count_released + outcome, 1, 0
                FROM reservation WHERE state = :released
                UNION ALL
                SELECT shard, account_key, expires_us / :quarter_us, endpoint_id,
                       :count_expired, 1, 0
                FROM reservation WHERE state = :expired
                UNION ALL
                SELECT shard, account_key, hour * 4 + 1, endpoint_id, kind,
                       CASE kind WHEN :count_charged THEN 0 ELSE moved_out END - requests_15,
                       -credits_15
                FROM usage_hour WHERE kind < :count_denied
                UNION ALL
                SELECT shard, account_key, hour * 4 + 2, endpoint_id, kind,
                       CASE kind WHEN :count_charged THEN 0 ELSE moved_out END - requests_30,
                       -credits_30
                FROM usage_hour WHERE kind < :count_denied
                UNION ALL
                SELECT shard, account_key, hour * 4 + 3, endpoint_id, kind,
                       CASE kind WHEN :count_charged THEN 0 ELSE moved_out END - requests_45,
                       -credits_45
                FROM usage_hour WHERE kind < :count_denied
            ) AS counted
            GROUP BY shard, account_key, at, endpoint_id, kind
            HAVING sum(requests) < 0 OR sum(credits) < 0
        ) AS wrong
        LEFT JOIN account ON account.shard = wrong.shard AND account.key = wrong.account_key
        """,
    ),
)
