"""Waits for what another process or task does; there is no other reason for a test to wait."""

import asyncio
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


async def until(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    """Let the event loop go on until the answer is yes. Fails where it never is."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0.001)
