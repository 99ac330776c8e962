"""The machine that drives an engine and the reference model through the same steps.

After every step, every row and, in turn, every figure shown must be the model's. What is submitted
together must come out as if each had come alone, in the same order.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.properties import calls, strategies
from tests.properties.calls import ACCOUNTS, HOUR_US, Call, Seen, Wish
from tests.properties.side_by_side import BEGIN_US, EngineAndModel
from tests.support.model.account import Row
from tests.support.model.recurring import BELOW_ALL_IDS
from tollkeeper.core.commands import GetOverview, Granularity

RESTART_US = 1_000
WINDOW_US = 32 * 24 * HOUR_US
"""Longer than any window of a limit: after it, the last one of a limit is forgotten too."""
STEPS_FOR_READS = 2
STEPS_FOR_VERIFY = 8
"""Rows are compared after every step; an overview costs three times as much, and `verify` too."""


@dataclass(frozen=True)
class Ask:
    """Ask for one thing."""

    wish: Wish


@dataclass(frozen=True)
class AskTogether:
    """Submit several calls at once."""

    wishes: list[Wish]


@dataclass(frozen=True)
class LiveThroughAHold:
    """Make a hold, maybe extend it, wait for a moment of its life or just beside it, and end it, maybe again.

    Others ask for credits in between: then a hold that is overdue is in their way.
    """

    wish: Wish
    longer: list[Wish]
    until: str
    offset_us: int
    swept: bool
    meanwhile: list[Wish]
    ends: list[Wish]


@dataclass(frozen=True)
class OutliveAHold:
    """Make a hold, end it, wait for the edge of its retention, move out, and ask for it again."""

    wish: Wish
    ends: list[Wish]
    offset_us: int
    again: list[Wish]


@dataclass(frozen=True)
class Wait:
    """Move the clock on."""

    by_us: int


@dataclass(frozen=True)
class WaitUntilDue:
    """Move the clock on to a moment at which something becomes due, or just beside it."""

    pick: int
    offset_us: int


@dataclass(frozen=True)
class Sweep:
    """Do what is due."""


@dataclass(frozen=True)
class MoveOut:
    """Move out what has been kept for long enough."""


@dataclass(frozen=True)
class Look:
    """Read an overview of any period."""

    query: GetOverview


@dataclass(frozen=True)
class Restart:
    """Stop the engine and start it again, maybe with one lane instead of several."""

    one_lane: bool


Step = (
    Ask
    | AskTogether
    | LiveThroughAHold
    | OutliveAHold
    | Wait
    | WaitUntilDue
    | Sweep
    | MoveOut
    | Look
    | Restart
)
OF_ACCOUNTS = {
    "create_account",
    "update_account",
    "grant",
    "create_recurring",
    "end_recurring",
    "replace_recurring",
    "void_grant",
    "debit",
}
BESIDE_US = [0, 0, -1, 1]
SOON = [0, 0, 0, 1, 1, 2, 3, 5, 8]
"""Which of the moments to come; with the last ones, most of what there is has expired."""


def overview_of(
    account_id: str, begin_hours: int, offset_us: int, hours: int, by: tuple[Granularity, str]
) -> GetOverview:
    begin_us = BEGIN_US + begin_hours * HOUR_US + offset_us
    return GetOverview(account_id, begin_us, begin_us + hours * HOUR_US, *by)


overviews = st.builds(
    overview_of,
    strategies.account_ids,
    st.integers(-30, 200),
    st.sampled_from([0, 0, HOUR_US // 2, HOUR_US // 4, 1, -1]),
    st.integers(1, 2_000),
    st.tuples(
        st.sampled_from(Granularity),
        st.sampled_from(
            ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu"]
        ),
    ),
)
lives = st.builds(
    LiveThroughAHold,
    strategies.authorizations,
    st.lists(strategies.extends_of_the_newest, max_size=2),
    st.sampled_from(["nothing", "nothing", "its deadline", "a grant expires", "its late window"]),
    st.sampled_from(BESIDE_US),
    st.booleans(),
    st.lists(strategies.authorizations, max_size=2),
    st.lists(strategies.ends_of_the_newest, min_size=1, max_size=5),
)
outlived = st.builds(
    OutliveAHold,
    strategies.authorizations,
    st.lists(strategies.ends_of_the_newest, max_size=3),
    st.sampled_from(BESIDE_US),
    st.lists(strategies.ends_of_the_newest, max_size=3),
)
# One rule draws them all: of several rules, hypothesis leaves out half for the whole of an example,
# and a ledger without holds, or without a clock, has little to tell.
steps: st.SearchStrategy[Step] = strategies.weighted(
    (12, st.builds(Ask, strategies.wishes)),
    (3, st.builds(AskTogether, strategies.wishes_together)),
    (6, lives),
    (1, outlived),
    (2, st.builds(Wait, strategies.durations_us)),
    (1, st.builds(Wait, strategies.days_us)),
    (3, st.builds(WaitUntilDue, st.sampled_from(SOON), st.sampled_from(BESIDE_US))),
    (1, st.just(Sweep())),
    (1, st.just(MoveOut())),
    (1, st.builds(Look, overviews)),
    (1, st.builds(Restart, st.booleans())),
)


class LedgerMachine(RuleBasedStateMachine):
    """Drives the two ledgers; a subclass tells of which database."""

    lanes: ClassVar[int]

    @classmethod
    def fresh(cls) -> AbstractContextManager[str]:
        """Make an empty ledger for as long as it is needed, and give its URL."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.database = self.fresh()
        self.both = EngineAndModel(self.database.__enter__(), lanes=self.lanes)
        self.seen = Seen(BEGIN_US)
        self.steps = 0

    def teardown(self) -> None:
        """Leave nothing open."""
        self.both.close()
        self.database.__exit__(None, None, None)

    # Steps

    @initialize(
        credit_limit=strategies.credit_limits,
        unlisted=st.sampled_from(["free", "free", "denied"]),
        grants=st.lists(strategies.first_grants, max_size=4),
        limits=strategies.weighted((1, st.just([])), (2, strategies.limits)),
        named=strategies.first_named_lists,
        recurring=st.lists(strategies.first_recurring, max_size=2),
        alerts=strategies.weighted(
            (3, st.just(calls.ALERTS)), (1, st.just([])), (3, strategies.alerts)
        ),
    )
    def begin(
        self,
        credit_limit: int,
        unlisted: str,
        grants: list[Wish],
        limits: list[Row],
        named: list[tuple[list[Row], str, int | None, str]],
        recurring: list[Wish],
        alerts: list[Row],
    ) -> None:
        """Give every ledger prices and accounts with credits; most wishes need them."""
        self.ask(calls.Publish(calls.PAGE, unlisted, None, "", None))
        for prices, other, later_us, name in named:
            self.ask(calls.Publish(prices, other, later_us, "", None, name))
        names = {"", *(limit["name"] for limit in limits)}
        good = [rule for rule in alerts if rule["limit"] in names]
        self.ask(calls.CreateAccount(ACCOUNTS[0], credit_limit, "", None, limits, alerts=good))
        limit = [calls.LIMIT | {"enforce": False}]
        self.ask(calls.CreateAccount(ACCOUNTS[1], 0, "", None, limit, alerts=calls.ALERTS))
        for wish in (*grants, *recurring):
            self.ask(wish)

    @rule(step=steps)
    def take(self, step: Step) -> None:
        """Take a step with both."""
        match step:
            case Ask():
                self.ask(step.wish)
            case AskTogether():
                self.ask_together(step.wishes)
            case LiveThroughAHold():
                self.live_through_a_hold(step)
            case Wait():
                self.move_clock(self.both.clock.now_us + step.by_us)
            case WaitUntilDue():
                moments = self.moments_to_come()
                self.move_clock(moments[step.pick % len(moments)] + step.offset_us)
            case OutliveAHold():
                self.outlive_a_hold(step)
            case _:
                self.do(step)

    @invariant()
    def nothing_differs(self) -> None:
        """Hold the two ledgers to each other."""
        self.steps += 1
        self.both.check_rows()
        if self.steps % STEPS_FOR_READS == 0:
            self.both.check_reads(self.steps // STEPS_FOR_READS)
        if self.steps % STEPS_FOR_VERIFY == 0:
            self.both.sweep()  # a reader of a journal has what is due written first
            self.both.check_lists()
            self.both.check_invariants()

    # Parts

    def do(self, step: Sweep | MoveOut | Look | Restart) -> None:
        """Have done what no caller asks for."""
        match step:
            case Sweep():
                self.both.sweep()
            case MoveOut():
                self.both.move_out()
            case Look():
                self.both.look(step.query)
            case Restart():
                # It takes a while, so that the ids of the new lanes are greater than all before.
                self.move_clock(self.both.clock.now_us + RESTART_US)
                self.both.restart(lanes=1 if step.one_lane else self.lanes)

    def ask(self, wish: Wish) -> Row:
        call = wish.call(self.seen)
        self.seen.calls.append(call)
        answer = self.both.ask(call)
        self.note(call, answer)
        return answer

    def ask_together(self, wishes: list[Wish]) -> None:
        asked: list[Call] = []
        for wish in wishes:
            asked.append(wish.call(self.seen))
            self.seen.calls.append(asked[-1])  # so that one of the batch repeats another
        kept = without_races(asked)
        for call, answer in zip(kept, self.both.ask_together(kept), strict=True):
            self.note(call, answer)

    def note(self, call: Call, answer: Row) -> None:
        """Note what a call has made."""
        self.remember(answer.get("reservation_id"))
        if call.name == "grant" and "grant" in answer:
            self.seen.grants.append((call.fields["account_id"], answer["grant"]["id"]))
        if call.name in {"create_recurring", "replace_recurring"} and "recurring" in answer:
            account_id, number = call.fields["account_id"], answer["recurring"]["number"]
            if (account_id, number) not in self.seen.recurring:
                self.seen.recurring.append((account_id, number))
            first = BELOW_ALL_IDS + answer["recurring"]["number"] * 10**8
            periods = [first + place * 10 + kind for place in range(3) for kind in (0, 1)]
            self.seen.grants += [(call.fields["account_id"], each) for each in reversed(periods)]

    def live_through_a_hold(self, life: LiveThroughAHold) -> None:
        answer = self.ask(life.wish)
        own_id, expires_us = answer.get("reservation_id"), answer.get("expire_us")
        if own_id is None or expires_us is None:
            return
        for wish in life.longer:
            expires_us = self.ask(wish).get("expire_us", expires_us)
        moments_us = {
            "its deadline": expires_us,
            "its late window": expires_us + self.both.model.late_window_us,
            "a grant expires": self.next_expiry_of_a_grant(),
        }
        self.move_clock(moments_us.get(life.until, 0) + life.offset_us)
        if life.swept:
            self.both.sweep()
        for wish in life.meanwhile:
            self.ask(wish)
        self.remember(own_id)
        for end in life.ends:
            self.ask(end)

    def outlive_a_hold(self, step: OutliveAHold) -> None:
        call = step.wish.call(self.seen)
        answer = self.ask(step.wish)
        own_id, expires_us = answer.get("reservation_id"), answer.get("expire_us")
        if own_id is None or expires_us is None:
            return
        for end in step.ends:
            self.ask(end)
        over_us = self.over_us(own_id)
        if over_us is None:
            self.move_clock(expires_us)
            self.both.sweep()
            over_us = self.over_us(own_id) or 0
        self.move_clock(over_us + self.both.model.retention_us + step.offset_us)
        self.both.move_out()
        self.remember(own_id)
        for wish in step.again:
            self.ask(wish)
        self.note(call, self.both.ask(call))

    def over_us(self, own_id: int) -> int | None:
        """Tell when a reservation was over, None while it is held."""
        model = self.both.model
        for account in model.rows().values():
            for hold in account["reservations"]:
                if hold["reservation_id"] == own_id and hold["settled_us"]:
                    expired = hold["state"] == "EXPIRED"
                    late_us = hold["expire_us"] + model.late_window_us if expired else 0
                    return max(late_us, hold["settled_us"])
        return None

    def remember(self, reservation_id: int | None) -> None:
        """Note a reservation as the newest."""
        if reservation_id is None:
            return
        if reservation_id in self.seen.reservations:
            self.seen.reservations.remove(reservation_id)
        self.seen.reservations.append(reservation_id)

    def move_clock(self, now_us: int) -> None:
        """Move the clock, never backwards."""
        self.both.clock.now_us = max(now_us, self.both.clock.now_us)
        self.seen.now_us = self.both.clock.now_us

    def next_expiry_of_a_grant(self) -> int:
        now_us = self.both.clock.now_us
        expiries = [
            grant["expires_us"] or 0
            for account in self.both.model.rows().values()
            for grant in account["grants"]
        ]
        return min((each for each in expiries if each > now_us), default=0)

    def moments_to_come(self) -> list[int]:
        model, now_us = self.both.model, self.both.clock.now_us
        moments = {now_us - now_us % HOUR_US + HOUR_US}
        moments |= {each["effective_us"] for each in model.price_lists}
        for account in model.state(now_us).values():
            moments |= {at_us for at_us, _ in account["price_lists_to_come"]}
        for account in model.rows().values():
            moments |= {grant["expires_us"] or 0 for grant in account["grants"]}
            moments |= {each["next_us"] or 0 for each in account["recurring"]}
            moments |= {each["end_us"] or 0 for each in account["recurring"]}
            moments |= {rule["end"] for rule in account["rules"]}
            for hold in account["reservations"]:
                if hold["state"] in {"HELD", "EXPIRED"}:
                    deadline_us = hold["expire_us"]
                    moments |= {deadline_us, deadline_us + model.late_window_us}
                if hold["settled_us"]:
                    over_us = self.over_us(hold["reservation_id"]) or 0
                    moments |= {
                        over_us + model.retention_us,
                        over_us + model.retention_us + WINDOW_US,
                    }
        return sorted(moment for moment in moments if moment > now_us)


def without_races(asked: list[Call]) -> list[Call]:
    """Leave out what has no order of its own: an admin key that goes to two lanes at once."""
    accounts: dict[str, str] = {}
    kept: list[Call] = []
    for call in asked:
        if call.name == "publish":
            continue
        if call.name == "refund" and not call.fields["request_id"].startswith("fresh"):
            continue
        if call.name in OF_ACCOUNTS:
            account_id, key = call.fields["account_id"], call.fields["request_id"]
            if accounts.setdefault(key, account_id) != account_id:
                continue
        kept.append(call)
    return kept
