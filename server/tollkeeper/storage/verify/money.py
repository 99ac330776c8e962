"""The laws of SEMANTICS 10 about credits, as questions to the database.

Each statement finds the rows that break its law. They are written apart from the core, on purpose: a
mistake there is not repeated here. Every one is standard SQL that both databases take, answers
`account_key`, `account_id` and the columns that its message names, and leaves sorting and adding up
to the database, so that memory here does not grow with the ledger.
"""

from __future__ import annotations

from tollkeeper.storage.verify.laws import Law

JOURNAL = (
    Law(
        1,
        "settled is {settled} after entry {sequence}, but its {entries} entries add up to {total}"
        " and end with {last}",
        """
        SELECT account.key AS account_key, account.account_id, account.settled, account.sequence,
               coalesce(journal.entries, 0) AS entries, coalesce(journal.total, 0) AS total,
               coalesce(journal.last, 0) AS last
        FROM account
        LEFT JOIN (
            SELECT shard, account_key, count(*) AS entries, sum(credits) AS total,
                   max(sequence) AS last
            FROM entry GROUP BY shard, account_key
        ) AS journal ON journal.shard = account.shard AND journal.account_key = account.key
        WHERE account.settled <> coalesce(journal.total, 0)
           OR account.sequence <> coalesce(journal.last, 0)
        """,
    ),
    Law(
        1,
        "entry {sequence} is the {line}. line of the journal and says settled {settled}, but the"
        " entries up to it add up to {running}",
        """
        SELECT account_key, account_id, sequence, line, settled, running
        FROM (
            SELECT line.*, account.account_id,
                   row_number() OVER (PARTITION BY line.shard, line.account_key
                                      ORDER BY line.line) AS place
            FROM (
                SELECT shard, account_key, sequence, settled,
                       row_number() OVER journal AS line, sum(credits) OVER journal AS running
                FROM entry
                WINDOW journal AS (PARTITION BY shard, account_key ORDER BY sequence
                                   ROWS UNBOUNDED PRECEDING)
            ) AS line
            LEFT JOIN account ON account.shard = line.shard AND account.key = line.account_key
            WHERE line.settled <> line.running OR line.sequence <> line.line
        ) AS broken
        WHERE place = 1
        """,
    ),
)

HOLDS = (
    Law(
        2,
        "held is {held}, but its held reservations add up to {total}",
        """
        SELECT account.key AS account_key, account.account_id, account.held,
               coalesce(open_holds.total, 0) AS total
        FROM account
        LEFT JOIN (
            SELECT shard, account_key, sum(credits) AS total
            FROM reservation WHERE state = :held GROUP BY shard, account_key
        ) AS open_holds
            ON open_holds.shard = account.shard AND open_holds.account_key = account.key
        WHERE account.held <> coalesce(open_holds.total, 0)
        """,
    ),
    Law(
        10,
        "reservation {reservation_id:x} is held and the sweeper does not know it",
        """
        SELECT reservation.account_key, account.account_id, reservation.reservation_id
        FROM reservation
        LEFT JOIN hold ON hold.shard = reservation.shard
            AND hold.expires_us = reservation.expires_us
            AND hold.reservation_id = reservation.reservation_id
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE reservation.state = :held
          AND (hold.reservation_id IS NULL OR hold.account_key <> reservation.account_key)
        """,
    ),
    Law(
        10,
        "the sweeper waits for reservation {reservation_id:x}, which is not held until then",
        """
        SELECT hold.account_key, account.account_id, hold.reservation_id
        FROM hold
        LEFT JOIN reservation ON reservation.shard = hold.shard
            AND reservation.reservation_id = hold.reservation_id
        LEFT JOIN account ON account.shard = hold.shard AND account.key = hold.account_key
        WHERE reservation.reservation_id IS NULL OR reservation.state <> :held
           OR reservation.expires_us <> hold.expires_us
        """,
    ),
    Law(
        10,
        "reservation {reservation_id:x} has state {state} with outcome {outcome}, late {late},"
        " settled at {settled_us}",
        """
        SELECT reservation.account_key, account.account_id, reservation.reservation_id,
               reservation.state, reservation.outcome, reservation.late, reservation.settled_us
        FROM reservation
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE NOT (
            (reservation.state = :held AND outcome = 0 AND settled_us = 0 AND NOT late)
            OR (reservation.state = :expired AND outcome = 0 AND settled_us > 0 AND NOT late)
            OR (reservation.state = :committed AND outcome = :valid AND settled_us > 0)
            OR (reservation.state = :released AND outcome > :valid AND outcome <= :last_outcome
                AND settled_us > 0 AND NOT late)
        )
        """,
    ),
    Law(
        11,
        "reservation {reservation_id:x} was to end at {expires_us} and has not",
        """
        SELECT hold.account_key, account.account_id, hold.reservation_id, hold.expires_us
        FROM hold
        LEFT JOIN account ON account.shard = hold.shard AND account.key = hold.account_key
        WHERE hold.expires_us < :overdue_before_us
        """,
    ),
)

GRANTS = (
    Law(
        4,
        "grant {grant_id:x} of {credits}: remaining {remaining}, held {held}, consumed {consumed},"
        " expired {expired} and voided {voided} do not add up, or it is open ({open}) wrongly",
        """
        SELECT credit_grant.account_key, account.account_id, grant_id, credits, remaining,
               credit_grant.held, consumed, expired, voided, open
        FROM credit_grant
        LEFT JOIN account
            ON account.shard = credit_grant.shard AND account.key = credit_grant.account_key
        WHERE remaining + credit_grant.held + consumed + expired + voided <> credits
           OR remaining < 0 OR credit_grant.held < 0 OR consumed < 0 OR expired < 0 OR voided < 0
           OR open <> (remaining + credit_grant.held > 0)
           OR (void AND remaining > 0)
           OR (voided > 0 AND NOT void AND (grant_id & :origin_mask) <> :of_period)
        """,
        # Of a recurring grant that is replaced, the grant of the period is voided in part.
    ),
    Law(
        4,
        "grant {grant_id:x} has {credits} credits, {expired} expired and {voided} voided, but the"
        " journal says {entered}, {entered_expired} and {entered_voided}",
        """
        SELECT credit_grant.account_key, account.account_id, credit_grant.grant_id, credits,
               expired, voided, coalesce(entered, 0) AS entered,
               coalesce(entered_expired, 0) AS entered_expired,
               coalesce(entered_voided, 0) AS entered_voided
        FROM credit_grant
        LEFT JOIN (
            SELECT shard, account_key, grant_id,
                   sum(CASE WHEN kind IN (:grant, :refund) THEN credits ELSE 0 END) AS entered,
                   -sum(CASE WHEN kind = :grant_expired THEN credits ELSE 0 END) AS entered_expired,
                   -sum(CASE WHEN kind = :grant_voided THEN credits ELSE 0 END) AS entered_voided
            FROM entry WHERE grant_id <> 0 GROUP BY shard, account_key, grant_id
        ) AS journal ON journal.shard = credit_grant.shard
            AND journal.account_key = credit_grant.account_key
            AND journal.grant_id = credit_grant.grant_id
        LEFT JOIN account
            ON account.shard = credit_grant.shard AND account.key = credit_grant.account_key
        WHERE credits <> coalesce(entered, 0) OR expired <> coalesce(entered_expired, 0)
           OR voided <> coalesce(entered_voided, 0)
        """,
    ),
    Law(
        4,
        "settled is {settled}, but its grants have {remaining} remaining and {held} held, so it"
        " would owe {owed}; it owes nothing less than 0, and nothing while anything remains",
        """
        SELECT account_key, account_id, settled, remaining, held, owed
        FROM (
            SELECT account.key AS account_key, account.account_id, account.settled,
                   coalesce(purse.remaining, 0) AS remaining, coalesce(purse.held, 0) AS held,
                   coalesce(purse.remaining + purse.held, 0) - account.settled AS owed
            FROM account
            LEFT JOIN (
                SELECT shard, account_key, sum(remaining) AS remaining, sum(held) AS held
                FROM credit_grant GROUP BY shard, account_key
            ) AS purse ON purse.shard = account.shard AND purse.account_key = account.key
        ) AS debtor
        WHERE owed < 0 OR (owed > 0 AND remaining > 0)
        """,
    ),
    Law(
        4,
        "was charged {charged}, debited {debited} and given {anew} anew, but its grants have {consumed} consumed"
        " and it owes {owed}",
        # Refunds after the retention time are new grants: they lower what was charged, and nothing that was consumed.
        """
        SELECT account_key, account_id, charged, debited, anew, consumed, owed
        FROM (
            SELECT account.key AS account_key, account.account_id, account.charged,
                   coalesce(besides.debited, 0) AS debited, coalesce(besides.anew, 0) AS anew,
                   coalesce(purse.consumed, 0) AS consumed,
                   coalesce(purse.left_over, 0) - account.settled AS owed
            FROM account
            LEFT JOIN (
                SELECT shard, account_key, sum(consumed) AS consumed,
                       sum(remaining + held) AS left_over
                FROM credit_grant GROUP BY shard, account_key
            ) AS purse ON purse.shard = account.shard AND purse.account_key = account.key
            LEFT JOIN (
                SELECT shard, account_key,
                       -sum(CASE WHEN kind = :debit THEN credits ELSE 0 END) AS debited,
                       sum(CASE WHEN kind = :refund THEN credits ELSE 0 END) AS anew
                FROM entry WHERE kind = :debit OR (kind = :refund AND grant_id <> 0)
                GROUP BY shard, account_key
            ) AS besides ON besides.shard = account.shard AND besides.account_key = account.key
        ) AS debtor
        WHERE charged + debited + anew <> consumed + owed
        """,
    ),
)

REFUNDS = (
    Law(
        7,
        "reservation {reservation_id:x} charged {charged} and was refunded {given}, or before it was"
        " charged, or for another account, endpoint or price list",
        # Also where the reservation itself has been moved out after its retention time.
        """
        SELECT paid.account_key, account.account_id, paid.reservation_id, paid.charged, paid.given
        FROM (
            SELECT shard, min(account_key) AS account_key, reservation_id,
                   -sum(CASE WHEN kind = :refund THEN 0 ELSE credits END) AS charged,
                   sum(CASE WHEN kind = :refund THEN credits ELSE 0 END) AS given,
                   max(CASE WHEN kind = :refund THEN 0 ELSE sequence END) AS charge_sequence,
                   min(CASE WHEN kind = :refund THEN sequence END) AS first_sequence,
                   max(account_key) AS other_key, min(endpoint_id) AS endpoint_id,
                   max(endpoint_id) AS other_endpoint, min(price_version) AS price_version,
                   max(price_version) AS other_version
            FROM entry WHERE kind IN (:charge, :late_charge, :refund)
            GROUP BY shard, reservation_id
        ) AS paid
        LEFT JOIN account ON account.shard = paid.shard AND account.key = paid.account_key
        WHERE paid.given > paid.charged OR paid.given < 0
           OR first_sequence < charge_sequence OR paid.account_key <> other_key
           OR endpoint_id <> other_endpoint OR price_version <> other_version
        """,
    ),
    Law(
        7,
        "reservation {reservation_id:x} says {refunded} were refunded, its entries say {given}",
        """
        SELECT reservation.account_key, account.account_id, reservation.reservation_id,
               reservation.refunded, coalesce(back.given, 0) AS given
        FROM reservation
        LEFT JOIN (
            SELECT shard, reservation_id, sum(credits) AS given
            FROM entry WHERE kind = :refund GROUP BY shard, reservation_id
        ) AS back ON back.shard = reservation.shard
            AND back.reservation_id = reservation.reservation_id
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE reservation.refunded <> coalesce(back.given, 0)
        """,
    ),
)

CHARGES = (
    Law(
        6,
        "reservation {reservation_id:x} of {credits} credits in state {state} (late {late}) settled at"
        " {settled_us} has {charges} charges of {charged} in all at {charged_us}, {late_charges} of them"
        " late, or of another account, endpoint or price list",
        """
        SELECT reservation.account_key, account.account_id, reservation.reservation_id,
               reservation.credits, reservation.state, reservation.late, reservation.settled_us,
               coalesce(paid.charged_us, 0) AS charged_us, coalesce(charges, 0) AS charges,
               coalesce(paid.charged, 0) AS charged,
               coalesce(late_charges, 0) AS late_charges
        FROM reservation
        LEFT JOIN (
            SELECT shard, reservation_id, count(*) AS charges, -sum(credits) AS charged,
                   sum(CASE WHEN kind = :late_charge THEN 1 ELSE 0 END) AS late_charges,
                   min(account_key) AS account_key, min(endpoint_id) AS endpoint_id,
                   min(price_version) AS price_version, min(created_us) AS charged_us
            FROM entry WHERE kind IN (:charge, :late_charge) GROUP BY shard, reservation_id
        ) AS paid ON paid.shard = reservation.shard
            AND paid.reservation_id = reservation.reservation_id
        LEFT JOIN account
            ON account.shard = reservation.shard AND account.key = reservation.account_key
        WHERE (reservation.state <> :committed AND charges IS NOT NULL)
           OR (reservation.state = :committed AND (
               charges IS NULL OR charges <> 1 OR paid.charged <> reservation.credits
               OR late_charges <> CASE WHEN late THEN 1 ELSE 0 END
               OR paid.account_key <> reservation.account_key
               OR paid.endpoint_id <> reservation.endpoint_id
               OR paid.price_version <> reservation.price_version
               OR paid.charged_us <> reservation.settled_us))
        """,
    ),
    Law(
        6,
        "reservation {reservation_id:x} was charged {charges} times",
        # Also where the reservation itself has been moved out after its retention time.
        """
        SELECT paid.account_key, account.account_id, paid.reservation_id, paid.charges
        FROM (
            SELECT shard, min(account_key) AS account_key, reservation_id, count(*) AS charges
            FROM entry WHERE kind IN (:charge, :late_charge)
            GROUP BY shard, reservation_id HAVING count(*) > 1
        ) AS paid
        LEFT JOIN reservation ON reservation.shard = paid.shard
            AND reservation.reservation_id = paid.reservation_id
        LEFT JOIN account ON account.shard = paid.shard AND account.key = paid.account_key
        WHERE reservation.reservation_id IS NULL
        """,
    ),
)

SHORT_OF_CREDIT = """
    SELECT account_key, account_id, settled, credit_limit, held, late, debited
    FROM (
        SELECT account.key AS account_key, account.account_id, account.settled,
               account.credit_limit, account.held,
               (SELECT coalesce(-sum(entry.credits), 0) FROM entry
                WHERE entry.shard = account.shard AND entry.account_key = account.key
                  AND entry.kind = :late_charge) AS late,
               (SELECT coalesce(-sum(entry.credits), 0) FROM entry
                WHERE entry.shard = account.shard AND entry.account_key = account.key
                  AND entry.kind = :debit) AS debited
        FROM account
        WHERE account.settled + account.credit_limit - account.held < 0
    ) AS debtor
    WHERE settled + credit_limit + late + debited - held < 0
"""
"""Accounts below zero by more than their late charges and debits; invariant 3 asks whether a limit was lowered."""

LIMITS_GIVEN = """
    SELECT content FROM admin_request WHERE method IN ('CreateAccount', 'UpdateAccount')
"""
