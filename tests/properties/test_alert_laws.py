"""Alert rules of the core beside those of the model: many small changes, some of them past the end of a period."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.properties import calls, strategies
from tests.properties.answers import alert_row
from tests.properties.field_by_field import alerts_of
from tests.support.builders import LEADS, NEW_YEAR_US, LedgerBuilder
from tests.support.model.account import Row
from tests.support.model.ledger import Model
from tollkeeper.core.limits import Limit, LimitUnit, LimitWindow
from tollkeeper.core.reservation import Reservation
from tollkeeper.core.validation.fields import Fields

HOUR_US = 3_600_000_000
DAILY = Limit(0, "daily", LimitUnit.CREDITS, LimitWindow.DAY, 10**9, "", "", "UTC", enforce=True)
DAILY_ROW: Row = calls.LIMIT | {"maximum": 10**9}

good_rules = strategies.alerts.filter(
    lambda rules: all(rule["limit"] in {"", "daily"} for rule in rules)
)
steps = st.lists(
    strategies.weighted(
        (6, st.just(("charge", 0))),
        (2, st.just(("hold", 0))),
        (1, st.just(("release", 0))),
        (3, st.tuples(st.just("grant"), st.integers(1, 60))),
        (2, st.tuples(st.just("wait"), st.sampled_from([1, HOUR_US, 20 * HOUR_US, 24 * HOUR_US]))),
        (1, st.tuples(st.just("rules"), st.one_of(st.just(calls.ALERTS), good_rules))),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Both:
    """The core and the model, which live through the same."""

    builder: LedgerBuilder
    model: Model
    held: list[tuple[Reservation, int]]
    number: int = 0

    def key(self) -> str:
        self.number += 1
        return f"{self.number}"

    def take(self, what: str, how: Any) -> None:
        now_us = self.builder.now_us
        match what:
            case "charge" | "hold":
                answer = self.model.authorize(
                    now_us, "acme", LEADS.method, LEADS.path, request_id=self.key(), hold_us=10**10
                )
                self.held.append(
                    (self.builder.hold("acme", hold_s=10_000), answer["reservation_id"])
                )
                if what == "charge":
                    self.end(charged=True)
            case "release":
                self.end(charged=False)
            case "grant":
                self.model.grant(now_us, "acme", credits=how, request_id=self.key())
                self.builder.grant("acme", how)
            case "rules":
                fields = Fields()
                rules = alerts_of(fields, how)
                fields.done()
                self.model.update_account(now_us, "acme", request_id=self.key(), alerts=how)
                self.builder.update("acme", alerts=rules)
            case _:
                self.builder.now_us += how

    def end(self, *, charged: bool) -> None:
        if not self.held:
            return
        reservation, own_id = self.held.pop()
        now_us = self.builder.now_us
        if charged:
            self.model.commit(now_us, own_id, http_status=200)
            self.builder.commit(reservation)
        elif now_us < reservation.expires_us:
            self.model.release(now_us, own_id)
            self.builder.release(reservation)

    def differs(self) -> bool:
        account = self.model.rows()["acme"]
        alerts = self.builder.accounts["acme"].alerts
        ours = [alert_row(state.rule) for state in alerts]
        ours_far = [(s.start_us, s.end_us, s.consumed, s.fired) for s in alerts]
        far = [(r["begin"], r["end"], r["consumed"], r["met"]) for r in account["rules"]]
        told = [
            (e["rule"], e["period"], e["threshold"], e["value"], e["base"], e["end"], e["occur_us"])
            for e in account["events"]
        ]
        ours_told = [
            (row[5], row[3], row[8], row[10], row[11], row[12], row[13])
            for row in self.builder.events
        ]
        return (account["alerts"], far, told) != (ours, ours_far, ours_told)


@given(st.one_of(st.just(calls.ALERTS), good_rules), steps)
def test_the_core_meets_the_rules_that_the_model_does(
    rules: list[Row], taken: list[tuple[str, Any]]
) -> None:
    both = Both(LedgerBuilder(), Model(), [])
    both.builder.publish()
    price: Row = {"method": LEADS.method, "path": LEADS.path, "credits": LEADS.credits}
    both.model.publish(NEW_YEAR_US, prices=[price], request_id="prices")
    both.model.create_account(
        NEW_YEAR_US, "acme", request_id="acme", credit_limit=10**9, limits=[DAILY_ROW]
    )
    both.builder.account("acme", credit_limit=10**9)
    both.builder.update("acme", limits=(DAILY,))

    for what, how in [("rules", rules), *taken]:
        both.take(what, how)
        assert not both.differs(), (what, how)

    periods = [(row[2], row[3]) for row in both.builder.events]
    assert len(set(periods)) == len(periods)
