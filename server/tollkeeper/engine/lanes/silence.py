"""Which answers of a writer show that the store is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.lanes.writer import Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.engine.lanes.writer import Job


def shows_the_store(job: Job | None, answer: object) -> bool:
    """Say whether an answer came from the store; `job` is None for that of a batch.

    Other jobs than a sweep may find nothing to do, and answer without it. Of a batch the last operation tells.
    """
    if not (job is None or isinstance(job, Sweep)):
        return False
    last = cast("Sequence[object]", answer)[-1:] if isinstance(answer, list) else (answer,)
    return not any(isinstance(each, BaseException) and not _was_decided(each) for each in last)


def _was_decided(error: BaseException) -> bool:
    return isinstance(error, Refused) and error.reason is not Reason.STORE_UNAVAILABLE
