"""The laws of SEMANTICS 10 about what was moved out after its retention time, as questions to the database.

A reservation that is gone is known by the sums that were kept of it, so none can vanish unseen: of charges here, of
releases and expiries where counters are compared (`verify_rows`), in windows of limits in `verify_windows`. Refunds of
charges whose reservation is gone are held to the journal alone (`verify_money`).
"""

from __future__ import annotations

from tollkeeper.storage.verify.laws import Law

MOVED_OUT = (
    Law(
        6,
        "endpoint {endpoint_id} in hour {hour} has {charges} charges more than reservations that"
        " were committed, here or moved out",
        """
        SELECT wrong.account_key, account.account_id, endpoint_id, hour, charges
        FROM (
            SELECT shard, account_key, endpoint_id, hour, sum(charges) AS charges
            FROM (
                SELECT shard, account_key, endpoint_id, created_us / :hour_us AS hour, 1 AS charges
                FROM entry WHERE kind IN (:charge, :late_charge)
                UNION ALL
                SELECT shard, account_key, endpoint_id, settled_us / :hour_us, -1
                FROM reservation WHERE state = :committed
                UNION ALL
                SELECT shard, account_key, endpoint_id, hour, -moved_out
                FROM usage_hour WHERE kind = :count_charged AND moved_out <> 0
            ) AS counted
            GROUP BY shard, account_key, endpoint_id, hour HAVING sum(charges) <> 0
        ) AS wrong
        LEFT JOIN account ON account.shard = wrong.shard AND account.key = wrong.account_key
        """,
    ),
    Law(
        9,
        "endpoint {endpoint_id} in hour {hour} says that {moved_out} of {requests} requests of"
        " kind {kind} were moved out",
        """
        SELECT usage_hour.account_key, account.account_id, hour, endpoint_id, kind, requests,
               moved_out
        FROM usage_hour
        LEFT JOIN account
            ON account.shard = usage_hour.shard AND account.key = usage_hour.account_key
        WHERE moved_out <> 0 AND (moved_out < 0 OR moved_out > requests
                                  OR kind = :count_refunded OR kind >= :count_denied)
        """,
    ),
)
