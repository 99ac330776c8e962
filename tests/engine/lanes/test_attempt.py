"""What becomes of an operation that may have been done, and whose account is locked when that is looked at."""

from tests.support.ledgers import leads
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.lanes.attempt import Attempt, Later, Told

COMMANDS = [leads("first"), leads("second")]


def test_it_does_not_come_again_but_is_told_so() -> None:
    """To come again would find the key, and tell a first caller that its call was a repeat."""
    attempt = Attempt(COMMANDS)
    attempt.results = [Later.LOCKED, Later.LOCKED]
    done = Told(Refused(Reason.ACCOUNT_NOT_FOUND, "as an example of an answer"), 1)
    not_done = Told(Later.LOCKED, 1)

    first, second = attempt.answers([done, not_done])

    assert isinstance(first, Refused)
    assert first.reason is Reason.STORE_UNAVAILABLE
    assert second is Later.LOCKED


def test_without_an_earlier_attempt_it_comes_again() -> None:
    attempt = Attempt(COMMANDS)
    attempt.results = [Later.LOCKED, Later.LOCKED]

    assert attempt.answers(None) == [Later.LOCKED, Later.LOCKED]
