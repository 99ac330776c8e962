"""Waits for what another process does; there is no other reason for a test to wait."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> bool:
    """Ask again and again until the answer is yes; False where it never was."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.05)
    return True
