"""Looks for the highest rate that keeps a p99: doubles until a trial misses it, then halves the gap.

A rate above one that kept it has missed it when it did so twice: a machine that stalled once is not the answer.
A trial keeps it where both Authorize and the call that settles did, no call failed, and the rate was reached: the rate
that is answered is one that was carried, not one that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper_loadtest.measuring.measured import Measured

TRIALS_MAX = 24
CLOSE_ENOUGH = 1.05
"""How far the lowest rate that missed may be above the highest that kept."""
REACHED = 0.98
"""The share of a rate that must have been carried."""
RATE_MIN = 1.0


class Trial(NamedTuple):
    """One rate that was tried. Latencies are in microseconds."""

    rate: float
    reached: float
    authorize_us: int
    settle_us: int
    errors: int
    why_not: str
    """Empty where it kept the bound."""

    @property
    def kept(self) -> bool:
        """Whether the rate was carried within the bound."""
        return not self.why_not


class Search(NamedTuple):
    """What was tried, in order, and the best of it."""

    bound_us: int
    trials: list[Trial]
    best: Trial | None
    measured: Measured | None
    """All that the best trial measured."""


def find_max(
    bound_us: int,
    *,
    first: float,
    carry_out: Callable[[float], Measured],
    going_on: Callable[[], bool],
    tell: Callable[[Trial], None],
) -> Search:
    """Try rates from `first` on; `carry_out` sends the load of one."""
    trials: list[Trial] = []
    best: tuple[Trial, Measured] | None = None
    missed: float | None = None
    doubtful: float | None = None
    rate = first
    while len(trials) < TRIALS_MAX and going_on():
        measured = carry_out(rate)
        if not going_on():
            break
        trial = evaluated(rate, bound_us, measured)
        trials.append(trial)
        tell(trial)
        if trial.kept:
            best = (trial, measured)
        elif best is not None and doubtful != rate:
            doubtful = rate
            continue
        else:
            missed = rate
        following = _next(best[0].rate if best else None, missed)
        if following is None:
            break
        rate = following
    return Search(bound_us, trials, best and best[0], best and best[1])


def evaluated(rate: float, bound_us: int, measured: Measured) -> Trial:
    """Return what a trial came to."""
    authorize_us = measured.percentile_us("authorize", 99)
    settle_us = measured.percentile_us("settle", 99)
    reached = measured.rate("requests")
    errors = measured.errors.total()
    return Trial(
        rate,
        reached,
        authorize_us,
        settle_us,
        errors,
        _why_not(rate, bound_us, measured, max(authorize_us, settle_us)),
    )


def _why_not(rate: float, bound_us: int, measured: Measured, p99_us: int) -> str:
    if not measured.totals["requests"]:
        return "nothing was answered"
    if measured.errors:
        reason, times = measured.errors.most_common(1)[0]
        return f"{times} times {reason}"
    if p99_us > bound_us:
        return f"p99 {p99_us / 1000:.1f} ms"
    # Not by the time it took: the answers to the last requests come after the end.
    due = measured.totals["sent"] + measured.totals["unsent"]
    if measured.totals["requests"] < REACHED * due:
        return f"{measured.totals['unsent']} of {due} requests could not be begun"
    if measured.rate("requests") < REACHED * REACHED * rate and due >= 1 / (1 - REACHED):
        return f"only {measured.rate('requests'):.0f} a second were carried"
    return ""


def _next(kept: float | None, missed: float | None) -> float | None:
    """Return the next rate to try, None where it is known well enough."""
    if kept is None:
        half = (missed or 0.0) / 2
        return half if half >= RATE_MIN else None
    if missed is None:
        return 2 * kept
    return (kept + missed) / 2 if missed / kept > CLOSE_ENOUGH else None
