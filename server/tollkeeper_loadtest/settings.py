"""The settings of a load test: which accounts are charged for which endpoints, how requests end and are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from tollkeeper.core.outcome import ChargeOn, Outcome, classify

OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}
STATUS_MIN, STATUS_MAX = 100, 599
PROCESSES_CHOSEN = 2
"""Where no number is given. One generator may have used up a processor before the server has."""


class Mode(StrEnum):
    """How operations are sent."""

    UNARY = "unary"
    BATCH = "batch"
    SESSION = "session"
    CLIENT = "client"


class DistributionKind(StrEnum):
    """How requests fall upon accounts."""

    UNIFORM = "uniform"
    ZIPF = "zipf"
    HOT = "hot"


class AccountDistribution(NamedTuple):
    """A spread and its figure: the exponent of zipf, the share of the one hot account, 0 for uniform."""

    spread: DistributionKind
    figure: float

    def __str__(self) -> str:
        return (
            self.spread.value
            if self.spread is DistributionKind.UNIFORM
            else f"{self.spread.value}:{self.figure:g}"
        )


class EndingKind(StrEnum):
    """What becomes of a hold."""

    COMMIT = "commit"
    RELEASE = "release"
    EXPIRE = "expire"


class Ending(NamedTuple):
    """How one request ends: committed with a status, or with an outcome, released, or left to expire."""

    kind: EndingKind
    status: int = 0
    """0 where an outcome is given."""
    outcome: Outcome | None = None

    @property
    def name(self) -> str:
        """As `--mix` writes it."""
        if self.kind is EndingKind.COMMIT:
            assert self.status or self.outcome is not None  # noqa: S101 - one of them
            return str(self.status or (self.outcome or Outcome.VALID_RESPONSE).name.lower())
        if self.kind is EndingKind.RELEASE and self.outcome is not None:
            return f"release:{self.outcome.name.lower()}"
        return self.kind.value

    def outcome_at(self, charge_on: ChargeOn) -> Outcome:
        """Return how the ledger must classify it under an endpoint's charge rule."""
        if self.status:
            return classify(self.status, charge_on)
        return self.outcome or Outcome.CANCELLED


EXPIRES = Ending(EndingKind.EXPIRE)

Mix = tuple[tuple[Ending, float], ...]
"""Endings with their weights."""


class Endpoint(NamedTuple):
    """What a request asks for, and the price that the list in force has for it."""

    method: str
    path: str
    priced_method: str
    priced_path: str
    credits: int
    charge_on: ChargeOn

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.method} {self.path}"

    @property
    def priced_name(self) -> str:
        """The endpoint as the price list writes it, which is how the ledger counts it."""
        return f"{self.priced_method} {self.priced_path}"


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """All that a generator must know. The plan follows from the seed and the fields up to `hold_s`."""

    seed: int
    processes: int
    accounts: int
    distribution: AccountDistribution
    mix: Mix
    expired: float
    """The share of requests, 0 to 1, whose hold is left to expire."""
    endpoints: tuple[Endpoint, ...]
    hold_s: int
    """How long those holds last."""
    run: str
    """Accounts of the run are called `loadtest-RUN-00001` and so on."""
    mode: Mode
    callers: int
    """In a closed loop, how many requests, or groups of them, are in flight at once, over all processes."""
    rate: float | None
    """In an open loop, requests a second over all processes; None: a closed loop."""
    group: int
    """Operations in one message of a batch or session; 1 for single calls."""
    linger_s: float
    """In an open loop, how long the first request of a message waits for more."""
    connections: int
    """Of each process."""
    in_flight_max: int
    """In an open loop, groups that one process may have unanswered."""
    timeout_s: float
    credits: int
    """What each account is granted."""
    price_version: int

    def account_id(self, number: int) -> str:
        """Return the name of an account of the run."""
        return f"{self.prefix}{number:05}"

    @property
    def prefix(self) -> str:
        """What the names of the run's accounts begin with, and no other account's."""
        return f"loadtest-{self.run}-"

    def priced(self, endpoints: tuple[Endpoint, ...], price_version: int) -> LoadSettings:
        """Return the settings with what the server's price list says."""
        return replace(self, endpoints=endpoints, price_version=price_version)

    def shown(self) -> dict[str, object]:
        """Return what the report says of them: all but the name of the run."""
        return {
            "seed": self.seed,
            "mode": self.mode.value,
            "loop": "closed" if self.rate is None else "open",
            "processes": self.processes,
            "connections": self.connections,
            "callers": self.callers if self.rate is None else None,
            "rate": self.rate,
            "group": self.group,
            "linger_ms": self.linger_s * 1000,
            "timeout_s": self.timeout_s,
            "accounts": self.accounts,
            "by": str(self.distribution),
            "credits": self.credits,
            "mix": {ending.name: weight for ending, weight in self.mix},
            "expired": self.expired,
            "hold_s": self.hold_s,
            "endpoints": {each.name: each.credits for each in self.endpoints},
        }


def generators_for(processors: int, callers: int | None) -> int:
    """Return how many generators a load has where no number is given; `callers`: None in an open loop."""
    return min(PROCESSES_CHOSEN, processors, callers or PROCESSES_CHOSEN)


def fingerprint(shown: dict[str, object]) -> str:
    """Return a short name of settings: the same for the same."""
    return blake2b(json.dumps(shown, sort_keys=True).encode(), digest_size=8).hexdigest()


def parse_mix(text: str) -> Mix:
    """Read `200=90,404=5,release=5`. Raises ValueError, in words for a person."""
    weights: dict[Ending, float] = {}
    for part in text.split(","):
        name, equals, weight = part.strip().partition("=")
        if not equals:
            raise ValueError(f"{part.strip()!r} must be NAME=WEIGHT, such as 200=90")
        ending = _ending(name.strip())
        if ending in weights:
            raise ValueError(f"{name.strip()} comes twice")
        weights[ending] = _number(weight, f"the weight of {name.strip()}")
    if sum(weights.values()) <= 0:
        raise ValueError("at least one weight must be over 0")
    return tuple((ending, weight) for ending, weight in weights.items() if weight > 0)


def parse_distribution(text: str) -> AccountDistribution:
    """Read `uniform`, `zipf`, `zipf:1.1`, `hot` or `hot:0.9`. Raises ValueError, in words for a person."""
    name, colon, figure = text.partition(":")
    try:
        spread = DistributionKind(name)
    except ValueError:
        raise ValueError("it must be uniform, zipf[:EXPONENT] or hot[:SHARE]") from None
    if spread is DistributionKind.UNIFORM:
        if colon:
            raise ValueError("uniform has no figure")
        return AccountDistribution(spread, 0.0)
    if not colon:
        return AccountDistribution(spread, 1.1 if spread is DistributionKind.ZIPF else 0.9)
    number = _number(figure, f"the figure of {name}")
    if spread is DistributionKind.HOT and number > 1:
        raise ValueError("the share of the hot account is 0 to 1")
    return AccountDistribution(spread, number)


def _ending(name: str) -> Ending:
    if name.isdecimal() and STATUS_MIN <= int(name) <= STATUS_MAX:
        return Ending(EndingKind.COMMIT, status=int(name))
    if name in OUTCOMES:
        return Ending(EndingKind.COMMIT, outcome=OUTCOMES[name])
    way, colon, outcome = name.partition(":")
    if way == EndingKind.RELEASE and not colon:
        return Ending(EndingKind.RELEASE)
    if (
        way == EndingKind.RELEASE
        and outcome in OUTCOMES
        and OUTCOMES[outcome] != Outcome.VALID_RESPONSE
    ):
        return Ending(EndingKind.RELEASE, outcome=OUTCOMES[outcome])
    raise ValueError(
        f"{name!r} is neither a status from {STATUS_MIN} to {STATUS_MAX} nor one of "
        f"{', '.join(OUTCOMES)}, release, release:OUTCOME"
    )


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{what} is {text!r}; it must be a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{what} must not be negative")
    return number
