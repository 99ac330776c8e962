"""The laws of what a reservation remembers for people who ask why, as questions to the database.

They belong to invariant 6: a charge is found where the reservation says, and the status that was answered is
the reason that it gives. Written apart from the core, like the other laws; zero is what a server of the version
before has written, and says nothing. Redirects were valid responses by default in earlier versions, and BLOCKED where a
charge rule did not cover them: what was settled so stays so.
"""

from __future__ import annotations

from tollkeeper.storage.verify.laws import Law

EXPLAINED = (
    Law(
        6,
        "reservation {reservation_id:x} in state {state} says that entry {charge_sequence} is its charge,"
        " which it is not",
        """
        SELECT reservation.account_key, account.account_id, reservation.reservation_id,
               reservation.state, reservation.charge_sequence
        FROM reservation
        LEFT JOIN entry ON entry.shard = reservation.shard
            AND entry.account_key = reservation.account_key
            AND entry.sequence = reservation.charge_sequence
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE reservation.charge_sequence <> 0 AND (
            reservation.state <> :committed OR entry.sequence IS NULL
            OR entry.reservation_id <> reservation.reservation_id
            OR entry.kind NOT IN (:charge, :late_charge))
        """,
    ),
    Law(
        6,
        "reservation {reservation_id:x} has outcome {outcome}, but status {http_status} under its charge"
        " rule is {expected}",
        """
        SELECT told.account_key, account.account_id, told.reservation_id, told.outcome,
               told.http_status, told.expected
        FROM (
            SELECT shard, account_key, reservation_id, outcome, http_status, CASE
                WHEN charge_on IS NULL AND (http_status / 100 = 2 OR http_status = 304) THEN :valid
                WHEN ',' || charge_on || ',' LIKE '%,' || CAST(http_status AS text) || ',%'
                    THEN :valid
                WHEN ',' || charge_on || ',' LIKE '%,' || CAST(http_status / 100 AS text) || 'xx,%'
                    THEN :valid
                WHEN http_status / 100 = 3 AND http_status <> 304 AND outcome = CASE
                    WHEN charge_on IS NULL THEN :valid ELSE :blocked END THEN outcome
                WHEN http_status / 100 = 3 AND http_status <> 304 THEN :redirected
                WHEN http_status IN (401, 403) THEN :authentication_failed
                WHEN http_status IN (400, 404, 405, 409, 410, 413, 414, 415, 422)
                    THEN :validation_failed
                WHEN http_status = 429 THEN :rate_limited
                WHEN http_status = 499 THEN :cancelled
                WHEN http_status / 100 = 5 THEN :server_error
                ELSE :blocked END AS expected
            FROM reservation WHERE http_status <> 0
        ) AS told
        LEFT JOIN account ON account.shard = told.shard AND account.key = told.account_key
        WHERE told.outcome <> told.expected
        """,
    ),
)
