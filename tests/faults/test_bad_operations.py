"""One operation of a batch that the program or the database cannot take: it fails alone."""

import pytest

from tests.support.gates import Gate, answer_or_error, in_one_batch
from tests.support.ledgers import CHARGE, COMMITTED, HELD, Ledger, fill, held, leads
from tests.support.watched_store import WatchedStore
from tollkeeper.core.change import Authorized, Settled
from tollkeeper.core.commands import Commit
from tollkeeper.engine.ports import Needs, StoreError, Writes

POISON = 999_000_000


class Poisoned(Gate):
    """Breaks every batch in which a hold of a certain length is made, or a certain reservation settled."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception = StoreError("the database does not take it")
        self.reservation_id = 0

    def loading(self, needs: Needs) -> None:
        super().loading(needs)
        if any(name.reservation_id == self.reservation_id for name in needs.reservations):
            raise self.error

    def writing(self, writes: Writes) -> None:
        super().writing(writes)
        if any(each.hold_us == POISON for each in writes.new_reservations):
            raise self.error


@pytest.mark.parametrize(
    "error",
    [StoreError("not taken"), ValueError("a fault of the program")],
    ids=["store", "program"],
)
async def test_a_bad_operation_fails_alone(ledger: Ledger, error: Exception) -> None:
    poisoned = Poisoned()
    poisoned.error = error
    async with ledger.engine(wrap=lambda store: WatchedStore(store, poisoned)) as engine:
        await fill(engine)
        requests = [leads(f"r-{n}", hold_us=POISON if n == 7 else None) for n in range(20)]

        answers = await in_one_batch(
            engine, poisoned, [answer_or_error(engine.authorize(each)) for each in requests]
        )
        assert [n for n, answer in enumerate(answers) if answer is error] == [7]
        granted = [answer for answer in answers if isinstance(answer, Authorized)]
        assert [answer.replayed for answer in granted] == [False] * 19

        names = [held(answer) for answer in granted]
        poisoned.reservation_id = names[3].reservation_id
        settled = await in_one_batch(
            engine,
            poisoned,
            [answer_or_error(engine.commit(Commit(name, http_status=200))) for name in names],
        )
        assert [n for n, answer in enumerate(settled) if answer is error] == [3]
        assert sum(isinstance(answer, Settled) for answer in settled) == 18

        held(await engine.authorize(leads("after it")))
    assert ledger.states() == {HELD: 4, COMMITTED: 18}
    assert ledger.entries()[CHARGE] == (18, -180)
    assert ledger.findings() == []


async def test_a_text_that_the_database_cannot_hold_fails_alone(ledger: Ledger) -> None:
    """The fields refuse it before; if one ever slips through, its neighbours do not pay for it."""
    gate = Gate()
    async with ledger.engine(wrap=lambda store: WatchedStore(store, gate)) as engine:
        await fill(engine)
        bad = leads("bad")._replace(method="GET", path=leads("x").path._replace(text="/\ud800"))

        answers = await in_one_batch(
            engine,
            gate,
            [answer_or_error(engine.authorize(each)) for each in (leads("a"), bad, leads("b"))],
        )

        assert isinstance(answers[0], Authorized)
        assert isinstance(answers[1], Exception)
        assert isinstance(answers[2], Authorized)
    assert ledger.states() == {HELD: 3}
    assert ledger.findings() == []
