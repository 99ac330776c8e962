"""Settings of load tests as tests need them."""

from __future__ import annotations

from typing import Any

from tollkeeper_loadtest.settings import (
    AccountDistribution,
    DistributionKind,
    Endpoint,
    LoadSettings,
    Mode,
    parse_mix,
)

LEADS = Endpoint("GET", "/v1/leads", "GET", "/v1/leads", 10, ())
TRACK = Endpoint("POST", "/v1/track", "POST", "/v1/track", 1, ("404",))


def settings(**changes: Any) -> LoadSettings:
    """Return settings, all but the changes being plain."""
    plain: dict[str, Any] = {
        "seed": 1,
        "processes": 1,
        "accounts": 10,
        "distribution": AccountDistribution(DistributionKind.UNIFORM, 0),
        "mix": parse_mix("200=3,404=1,release=1"),
        "expired": 0.1,
        "endpoints": (LEADS, TRACK),
        "hold_s": 1,
        "run": "test",
        "mode": Mode.UNARY,
        "callers": 4,
        "rate": None,
        "group": 1,
        "linger_s": 0.0,
        "connections": 1,
        "in_flight_max": 10,
        "timeout_s": 1.0,
        "credits": 1_000,
        "price_version": 3,
    }
    return LoadSettings(**{**plain, **changes})
