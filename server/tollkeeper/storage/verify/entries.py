"""The laws of what an entry says besides its credits: its time, what it is of, and what it costs by its price list.

They belong to invariants 1 and 6. Written apart from the core, like the other laws. Grants and the records of admin
calls are compared with their entries in `verify_given`.
"""

from __future__ import annotations

from tollkeeper.storage.read.entries import CLOCK_SLACK_US
from tollkeeper.storage.verify.laws import Law

ENTRIES = (
    Law(
        1,
        "entry {sequence} is of {created_us}, the one before it of {before_us} and the one after it"
        " of {after_us}",
        # Sequences are given under the account's lock. Of other entries the time is held by a grant, a reservation or
        # a call. From the entry on at which the store's clock was set back, all are earlier; one alone that is, is not
        # explained by that (docs/rules.md, "Statements").
        f"""
        SELECT timed.account_key, account.account_id, timed.sequence, timed.created_us,
               timed.before_us, timed.after_us
        FROM (
            SELECT shard, account_key, sequence, kind, created_us,
                   lag(created_us) OVER journal AS before_us,
                   lead(created_us) OVER journal AS after_us
            FROM entry
            WINDOW journal AS (PARTITION BY shard, account_key ORDER BY sequence)
        ) AS timed
        LEFT JOIN account ON account.shard = timed.shard AND account.key = timed.account_key
        WHERE timed.kind IN (:grant_expired, :grant_voided)
          AND timed.created_us + {CLOCK_SLACK_US} < timed.before_us
          AND timed.before_us <= timed.after_us
        """,
    ),
    Law(
        1,
        "entry {sequence} of kind {kind} has {credits} credits, reservation {reservation_id:x},"
        " grant {grant_id:x}, endpoint {endpoint_id} and price list {price_version}, or a note,"
        " which no entry of that kind has",
        """
        SELECT entry.account_key, account.account_id, entry.sequence, entry.kind, entry.credits,
               entry.reservation_id, entry.grant_id, entry.endpoint_id, entry.price_version
        FROM entry
        LEFT JOIN account ON account.shard = entry.shard AND account.key = entry.account_key
        WHERE NOT CASE
            WHEN kind IN (:charge, :late_charge)
                THEN credits <= 0 AND reservation_id <> 0 AND grant_id = 0 AND endpoint_id <> 0
                    AND price_version <> 0 AND note IS NULL
            WHEN kind = :refund THEN credits > 0 AND reservation_id <> 0
            WHEN reservation_id <> 0 OR endpoint_id <> 0 OR price_version <> 0 THEN 1 = 0
            -- A plan that was replaced when it was used up is followed by a first period of 0 credits.
            WHEN kind = :grant THEN credits >= 0 AND grant_id <> 0
            WHEN kind = :grant_expired THEN credits < 0 AND grant_id <> 0 AND note IS NULL
            WHEN kind = :grant_voided THEN credits < 0 AND grant_id <> 0
            ELSE kind > :grant_voided
        END
        """,
    ),
    Law(
        6,
        "entry {sequence} charges {charged} by price list version {price_version}, which lists"
        " endpoint {endpoint_id} at {listed}",
        # Also where the reservation itself has been moved out after its retention time.
        """
        SELECT entry.account_key, account.account_id, entry.sequence, -entry.credits AS charged,
               entry.price_version, entry.endpoint_id, listed.credits AS listed
        FROM entry
        LEFT JOIN (
            SELECT version, endpoint_id, max(credits) AS credits FROM price
            GROUP BY version, endpoint_id
        ) AS listed ON listed.version = entry.price_version
            AND listed.endpoint_id = entry.endpoint_id
        LEFT JOIN account ON account.shard = entry.shard AND account.key = entry.account_key
        WHERE entry.kind IN (:charge, :late_charge)
          AND (listed.credits IS NULL OR listed.credits <> -entry.credits)
        """,
    ),
)

TIMES = (
    Law(
        10,
        "reservation {reservation_id:x} in state {state} (late {late}) was made at {created_us} for"
        " {hold_us}, was to end at {expires_us} and was settled at {settled_us}",
        # An extended hold ends later than it was made for, never earlier.
        f"""
        SELECT reservation.account_key, account.account_id, reservation.reservation_id,
               reservation.state, reservation.late, reservation.created_us, reservation.hold_us,
               reservation.expires_us, reservation.settled_us
        FROM reservation
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE hold_us < 0 OR expires_us <= reservation.created_us
           OR expires_us < reservation.created_us + hold_us
           OR (reservation.state <> :held
               AND settled_us + {CLOCK_SLACK_US} < reservation.created_us)
           OR (reservation.state = :expired AND settled_us < expires_us)
           OR (late AND settled_us + {CLOCK_SLACK_US} < expires_us)
           OR (reservation.state IN (:committed, :released) AND NOT late
               AND settled_us >= expires_us)
        """,
    ),
)
