"""One command of each kind that operators ask a lane for, and how an engine is asked it."""

import re
from collections.abc import Sequence
from typing import Any

from tests.support.ledgers import ACCOUNT
from tollkeeper.core.commands import (
    CreateAccount,
    Debit,
    GrantCredits,
    Refund,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.recurring.commands import (
    CreateRecurringGrant,
    EndRecurringGrant,
    ReplaceRecurringGrant,
)
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.reservation import ReservationName
from tollkeeper.engine.engine import Engine


def one_of_each(charge: ReservationName, grant_id: int) -> Sequence[Any]:
    """Commands that can be carried out in this order, on an account with a charge and a grant."""
    return [
        CreateAccount("other", "open"),
        UpdateAccount(ACCOUNT, "rename", display_name="Acme"),
        GrantCredits(ACCOUNT, "gift", 50),
        CreateRecurringGrant(ACCOUNT, "plan", 10, RecurringPeriod.YEAR),
        ReplaceRecurringGrant(ACCOUNT, 1, "swap", 40),
        EndRecurringGrant(ACCOUNT, 1, "end"),
        VoidGrant(ACCOUNT, grant_id, "void"),
        Debit(ACCOUNT, "charge-back", 20),
        Refund(charge, "refund"),
    ]


async def ask(engine: Engine, command: Any) -> Any:
    """Ask an engine; its method has the name of the command."""
    words = re.findall(r"[A-Z][a-z]+", type(command).__name__)
    return await getattr(engine, "_".join(words).lower())(command)
