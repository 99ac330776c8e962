"""The schedule of deliveries, and the secrets of a webhook, over all inputs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.core.webhooks.commands import (
    CreateWebhook,
    UpdateWebhook,
    create,
    makes_due,
    update,
)
from tollkeeper.core.webhooks.deliveries import (
    Answer,
    Delivery,
    DeliveryState,
    PauseCause,
    Schedule,
    Secrets,
    WebhookState,
    after_failure,
    told,
    unsent,
)

SECOND_US = 1_000_000
NOW_US = 1_790_000_000_000_000
SCHEDULE = Schedule()
FAILED = Answer(500, "answered 500")
FIRST = "first"
WEBHOOK = create(
    CreateWebhook("r", "https://a.example"), webhook_id=1, secret=FIRST, position=0, now_us=1
)

draws = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 1_000)
durations = st.integers(0, 10**15)


def delivery(**changes: int) -> Delivery:
    made = Delivery(1, 1, DeliveryState.PENDING, 1, NOW_US, 7, NOW_US, NOW_US)
    return made._replace(**changes)


@given(n=attempts, draw=draws, asked_us=durations)
def test_a_wait_is_never_longer_than_the_longest_nor_shorter_than_asked_within_it(
    n: int, draw: float, asked_us: int
) -> None:
    wait_us = SCHEDULE.wait_us(n, draw=draw, retry_after_us=asked_us)

    assert min(asked_us, SCHEDULE.longest_us) <= wait_us <= SCHEDULE.longest_us


@pytest.mark.parametrize(
    ("n", "most_s"), [(1, 5), (2, 10), (3, 20), (10, 2_560), (11, 3_600), (100, 3_600)]
)
def test_the_longest_wait_doubles_up_to_an_hour(n: int, most_s: int) -> None:
    just_under_one = 1 - 2**-53

    wait_us = SCHEDULE.wait_us(n, draw=just_under_one, retry_after_us=0)

    assert wait_us == pytest.approx(most_s * SECOND_US, abs=1)
    assert SCHEDULE.wait_us(n, draw=0, retry_after_us=0) == 0


@given(n=attempts, draw=draws, waited_us=durations, status=st.sampled_from([0, 301, 404, 410, 500]))
def test_what_was_not_acknowledged_waits_or_is_dead_and_is_nobodys(
    n: int, draw: float, waited_us: int, status: int
) -> None:
    now_us = NOW_US + waited_us
    after = after_failure(
        delivery(attempts=n), Answer(status, "no"), SCHEDULE, draw=draw, now_us=now_us
    )

    assert after.lease == 0
    assert (after.http_status, after.error, after.attempted_us) == (status, "no", now_us)
    assert (after.state is DeliveryState.DEAD) == (after.due_us == 0)
    assert after.due_us == 0 or after.due_us >= now_us
    if status == 410:
        assert after.state is DeliveryState.PENDING
    elif n >= SCHEDULE.attempts_max or waited_us > SCHEDULE.give_up_us:
        assert after.state is DeliveryState.DEAD


def test_an_attempt_that_was_broken_off_is_as_if_it_had_not_been_made() -> None:
    again = unsent(delivery(attempts=3, lease=7), now_us=NOW_US)

    assert again == delivery(attempts=2, lease=0, due_us=NOW_US)


@pytest.mark.parametrize(
    ("status", "taken"), [(199, False), (200, True), (299, True), (300, False)]
)
def test_2xx_acknowledges_and_nothing_else(status: int, taken: bool) -> None:
    assert Answer(status).acknowledged is taken


def test_a_receiver_that_is_gone_pauses_its_webhook_and_no_other_failure_does() -> None:
    gone = told(WEBHOOK, Answer(410, "answered 410"), now_us=NOW_US)
    failed = told(WEBHOOK, FAILED, now_us=NOW_US)
    paused = replace(WEBHOOK, state=WebhookState.PAUSED, pause_cause=PauseCause.OPERATOR)

    assert (gone.state, gone.pause_cause) == (WebhookState.PAUSED, PauseCause.GONE)
    assert failed.state is WebhookState.ACTIVE
    assert (failed.last_failure_us, failed.last_failure) == (NOW_US, "answered 500")
    assert told(paused, Answer(410, ""), now_us=NOW_US).pause_cause is PauseCause.OPERATOR


def test_only_another_url_or_resuming_makes_what_waits_due() -> None:
    paused = update(WEBHOOK, UpdateWebhook(1, "r", state=WebhookState.PAUSED))
    cases = [
        (WEBHOOK, UpdateWebhook(1, "r", url="https://b.example"), True),
        (WEBHOOK, UpdateWebhook(1, "r", url=WEBHOOK.url), False),
        (WEBHOOK, UpdateWebhook(1, "r", description="x"), False),
        (WEBHOOK, UpdateWebhook(1, "r", state=WebhookState.ACTIVE), False),
        (WEBHOOK, UpdateWebhook(1, "r", state=WebhookState.PAUSED), False),
        (paused, UpdateWebhook(1, "r", state=WebhookState.ACTIVE), True),
    ]

    for before, command, due in cases:
        assert makes_due(before, update(before, command)) is due, command


@given(overlap_us=st.integers(0, 30 * 86_400 * SECOND_US), after_us=durations)
def test_the_secret_before_signs_on_for_the_overlap_and_no_longer(
    overlap_us: int, after_us: int
) -> None:
    rotated = Secrets("first").rotated("second", overlap_us=overlap_us, now_us=NOW_US)

    in_use = rotated.in_use(NOW_US + after_us)

    assert in_use == (("second", "first") if after_us < overlap_us else ("second",))
    assert rotated.of_version(2, NOW_US + after_us) == "second"
    assert rotated.of_version(1, NOW_US + after_us) == ("first" if after_us < overlap_us else "")
    assert rotated.of_version(3, NOW_US + after_us) == ""


def test_no_more_than_two_secrets_are_in_use() -> None:
    secrets = Secrets("first")
    for name in ("second", "third"):
        secrets = secrets.rotated(name, overlap_us=10**12, now_us=NOW_US)

    assert secrets.in_use(NOW_US) == ("third", "second")
    assert secrets.of_version(1, NOW_US) == ""


def test_a_secret_is_in_no_repr() -> None:
    command = CreateWebhook("r", "https://a.example", secret="whsec_hidden")  # noqa: S106 - to be hidden

    assert "hidden" not in repr(command)
    assert FIRST not in repr(WEBHOOK)
