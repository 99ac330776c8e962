"""The workload of a load test, the check of its answers, and the search for a rate: nothing is sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.loadtest.settings import LEADS, TRACK, settings
from tollkeeper.core.outcome import Outcome
from tollkeeper.v1 import ledger_pb2 as pb
from tollkeeper_loadtest.checking import audit
from tollkeeper_loadtest.checking.answers import AnswerChecker
from tollkeeper_loadtest.checking.tally import Tally, mark
from tollkeeper_loadtest.measuring.figures import Figures
from tollkeeper_loadtest.measuring.measured import Measured
from tollkeeper_loadtest.measuring.recorder import AUTHORIZE, Recorder
from tollkeeper_loadtest.measuring.search import find_max
from tollkeeper_loadtest.operations import Denied, Held, Settled
from tollkeeper_loadtest.settings import (
    EXPIRES,
    Ending,
    EndingKind,
    LoadSettings,
    parse_distribution,
    parse_mix,
)
from tollkeeper_loadtest.workload import PlannedRequest, Workload

if TYPE_CHECKING:
    from tollkeeper_loadtest.measuring.search import Search

VALID = Ending(EndingKind.COMMIT, status=200)
MANY = 20_000


def requests(plan: LoadSettings, *, count: int = MANY) -> list[PlannedRequest]:
    workload = Workload(plan)
    return [workload.request(number) for number in range(count)]


def test_the_same_seed_and_number_are_the_same_request() -> None:
    first, second = Workload(settings()), Workload(settings(run="other", rate=5.0))

    assert [first.request(number) for number in range(200)] == [
        second.request(number) for number in reversed(range(200))
    ][::-1]
    assert requests(settings(seed=2), count=200) != requests(settings(), count=200)
    assert first.request(7) != first.request(8)


def test_a_workload_is_the_same_in_every_version() -> None:
    first = [Workload(settings()).request(number) for number in range(3)]

    assert [(each.account, each.endpoint, each.ending.name) for each in first] == [
        (2, 0, "200"),
        (2, 1, "200"),
        (4, 0, "200"),
    ]
    assert first[2].request_id == "0-2"


def test_endings_come_as_often_as_they_weigh() -> None:
    found = Counter(each.ending.name for each in requests(settings()))

    assert found["expire"] / MANY == pytest.approx(0.1, abs=0.01)
    assert found["200"] / MANY == pytest.approx(0.9 * 3 / 5, abs=0.015)
    assert found["404"] / MANY == pytest.approx(0.9 / 5, abs=0.015)
    assert found["release"] / MANY == pytest.approx(0.9 / 5, abs=0.015)


@pytest.mark.parametrize(
    ("by", "first", "last"),
    [
        ("uniform", 0.1, 0.1),
        ("hot:0.73", 0.73, 0.03),
        ("zipf:1", 0.3414, 0.0341),
        ("zipf:0", 0.1, 0.1),
    ],
)
def test_accounts_are_charged_as_the_spread_says(by: str, first: float, last: float) -> None:
    found = Counter(
        each.account for each in requests(settings(distribution=parse_distribution(by)))
    )

    assert sorted(found) == list(range(10))
    assert found[0] / MANY == pytest.approx(first, abs=0.015)
    assert found[9] / MANY == pytest.approx(last, abs=0.01)


@pytest.mark.parametrize("by", ["uniform", "hot", "zipf"])
def test_one_account_takes_all(by: str) -> None:
    found = {
        each.account
        for each in requests(settings(distribution=parse_distribution(by), accounts=1), count=500)
    }

    assert found == {0}


def test_a_mix_is_read_as_it_is_written() -> None:
    mix = parse_mix("200=9, 503=1,valid_response=2,release=0.5,release:blocked=1,404=0")

    assert [(ending.name, weight) for ending, weight in mix] == [
        ("200", 9),
        ("503", 1),
        ("valid_response", 2),
        ("release", 0.5),
        ("release:blocked", 1),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be NAME=WEIGHT"),
        ("200=1,200=2", "200 comes twice"),
        ("200=-1", "the weight of 200 must not be negative"),
        ("200=many", "the weight of 200 is 'many'; it must be a number"),
        ("99=1", "'99' is neither"),
        ("release:valid_response=1", "'release:valid_response' is neither"),
        ("lost=1", "'lost' is neither"),
    ],
)
def test_a_mix_that_means_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_mix(text)


def test_an_ending_is_classified_by_the_endpoints_own_rule() -> None:
    not_found = Ending(EndingKind.COMMIT, status=404)
    moved = Ending(EndingKind.COMMIT, status=301)

    assert not_found.outcome_at(LEADS.charge_on) is Outcome.VALIDATION_FAILED
    assert not_found.outcome_at(TRACK.charge_on) is Outcome.VALID_RESPONSE
    assert moved.outcome_at(LEADS.charge_on) is Outcome.REDIRECTED
    assert moved.outcome_at(("2xx", "3xx")) is Outcome.VALID_RESPONSE
    assert Ending(EndingKind.RELEASE).outcome_at(()) is Outcome.CANCELLED


HELD = Held("r", credits=10, price_version=3, hold_s=60.0, replayed=False)
COMMITTED = Settled(
    pb.RESERVATION_STATE_COMMITTED, pb.OUTCOME_VALID_RESPONSE, credits=10, late=False
)
UNDERCHARGED = COMMITTED._replace(credits=9)
BLOCKED = Denied(pb.DENIAL_REASON_ACCOUNT_BLOCKED, "blocked")
SHORT = Denied(pb.DENIAL_REASON_INSUFFICIENT_CREDITS, "short")
RELEASED = Settled(pb.RESERVATION_STATE_RELEASED, pb.OUTCOME_SERVER_ERROR, credits=0, late=False)


def checked(ending: Ending, answer: Settled, *, after_s: float = 1.0) -> Tally:
    checker = AnswerChecker(settings())
    checker.settled(PlannedRequest(0, 2, 0, ending, "0-0"), HELD, answer, after_s=after_s)
    return checker.tally


def test_an_answer_as_planned_is_counted_and_no_surprise() -> None:
    tally = checked(VALID, COMMITTED)

    assert (tally.of(2, 0).charged, tally.unexpected) == (1, [])
    assert tally.marks == {2: mark("r", "GET /v1/leads", 10, late=False)}
    assert checked(Ending(EndingKind.COMMIT, status=500), RELEASED).of(2, 0).released == 1


@pytest.mark.parametrize(
    ("ending", "answer", "after_s", "words"),
    [
        (VALID, RELEASED, 1, "200 was taken for OUTCOME_SERVER_ERROR, not VALID_RESPONSE"),
        (VALID, RELEASED, 1, "200 ended as RELEASED"),
        (Ending(EndingKind.COMMIT, status=500), COMMITTED, 1, "500 ended as COMMITTED"),
        (VALID, COMMITTED._replace(late=True), 59, "its hold of 60 s had expired after 59.000 s"),
        (VALID, COMMITTED._replace(late=True), 61, ""),
        (
            VALID,
            UNDERCHARGED,
            1,
            "9 credits were charged, not 10",
        ),
    ],
)
def test_another_ending_than_planned_is_a_surprise(
    ending: Ending, answer: Settled, after_s: float, words: str
) -> None:
    tally = checked(ending, answer, after_s=after_s)

    assert any(words in each for each in tally.unexpected) == bool(words), tally.unexpected
    assert tally.unexpected_count == len(tally.unexpected)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (HELD, ""),
        (HELD._replace(credits=9), "9 credits were held, not 10"),
        (HELD._replace(price_version=4), "changed during the run, from version 3 to 4"),
        (HELD._replace(reservation_id=""), "that the endpoint is free"),
        (HELD._replace(replayed=True), "that it was asked before"),
        (BLOCKED, "was denied: blocked"),
        (SHORT, ""),
    ],
)
def test_another_hold_than_planned_is_a_surprise(answer: Held | Denied, words: str) -> None:
    checker = AnswerChecker(settings())

    checker.authorized(PlannedRequest(0, 2, 0, VALID, "0-0"), answer)

    assert any(words in each for each in checker.tally.unexpected) == bool(words)
    assert checker.tally.of(2, 0).denied == isinstance(answer, Denied)


def test_a_hold_that_is_left_counts_as_expired_once_it_is_acknowledged() -> None:
    checker = AnswerChecker(settings())

    assert checker.authorized(PlannedRequest(0, 2, 0, EXPIRES, "0-0"), HELD) is None
    assert checker.tally.of(2, 0).expired == 1


def test_tallies_of_several_generators_add_up() -> None:
    one, other = Tally(), Tally()
    one.charge(1, 0, 5, late=False)
    other.charge(1, 0, 2**64 - 2, late=True)
    other.charge(2, 1, 7, late=False)
    other.add_unexpected("odd")
    other.lost_answers[1] += 1

    one.add(other)

    assert (one.of(1, 0).charged, one.of(1, 0).late, one.of(2, 1).charged) == (2, 1, 1)
    assert one.marks == {1: 3, 2: 7}
    assert (one.unexpected, one.unexpected_count, one.lost_answers[1]) == (["odd"], 1, 1)


def test_denials_are_known_exactly_only_where_no_answer_was_lost() -> None:
    tally = Tally()
    tally.of(1, 0).denied += 3
    exact = audit.expected_of(settings(), tally)[1]
    tally.lost_answers[1] += 2

    bounds = audit.expected_of(settings(), tally)[1]

    assert (exact.denied_least, exact.denied_most) == (3, 3)
    assert (bounds.denied_least, bounds.denied_most) == (0, 5)


def carried(limit: float, *, stalls_at: float | None = None) -> tuple[list[float], Search]:
    """Search on a server that keeps the bound up to a limit, and once, at a rate of ours, does not."""
    asked: list[float] = []

    def carry_out(rate: float) -> Measured:
        stalled = rate == stalls_at and rate not in asked
        asked.append(rate)
        recorder = Recorder(0.0, lambda _: None)
        recorder.answered(AUTHORIZE, 1.0, 0.020 if rate > limit or stalled else 0.005)
        figures: Figures = recorder.close(unsent=0)
        figures.seconds = 1.0
        figures.sent = figures.requests = int(rate)
        measured = Measured(1)
        measured.end(0, figures)
        return measured

    found = find_max(
        10_000, first=100, carry_out=carry_out, going_on=lambda: True, tell=lambda _: None
    )
    return asked, found


def test_the_search_doubles_and_then_halves_the_gap() -> None:
    asked, found = carried(700)

    assert asked == [100, 200, 400, 800, 800, 600, 700, 750, 750, 725, 725]
    assert found.best is not None
    assert found.best.rate == 700
    assert [each.kept for each in found.trials[3:7]] == [False, False, True, True]
    assert found.measured is not None
    assert found.measured.totals["requests"] == 700


def test_a_rate_that_misses_once_is_tried_again() -> None:
    asked, found = carried(700, stalls_at=400)

    assert asked[:5] == [100, 200, 400, 400, 800]
    assert found.best is not None
    assert found.best.rate == 700


def test_the_search_goes_down_from_a_rate_that_is_too_high() -> None:
    asked, found = carried(30)

    assert asked[:3] == [100, 50, 25]
    assert found.best is not None
    assert 25 <= found.best.rate <= 30


def test_the_search_ends_where_nothing_keeps_the_bound_or_everything_does() -> None:
    nothing, everything = carried(0), carried(10**12)

    assert nothing[1].best is None
    assert nothing[0] == [100, 50, 25, 12.5, 6.25, 3.125, 1.5625]
    assert everything[1].best is not None
    assert len(everything[0]) == 24
