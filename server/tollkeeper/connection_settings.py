"""The settings of connections: what each may be, and what it says of itself. `config.py` has their names and defaults.

Sizes are in bytes, durations in seconds.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

_DAY_S = 86_400


class Written(NamedTuple):
    """How the help page names the value of a setting, where neither its type nor its unit says it."""

    word: str


MessageBytes = Annotated[
    int, Field(ge=64 * 1024, le=256 * 1024 * 1024, description="The largest message, in bytes.")
]
MetadataBytes = Annotated[
    int,
    Field(ge=4 * 1024, le=1024 * 1024, description="The largest metadata of a call, in bytes."),
]
Streams = Annotated[
    int,
    Field(ge=10, le=1_000_000, description="Calls in flight on one connection; more wait there."),
]
Keepalive = Annotated[
    int,
    Field(
        ge=1,
        le=_DAY_S,
        description="How long a connection may be quiet before the server asks whether it is alive.",
    ),
]
KeepaliveTimeout = Annotated[
    int,
    Field(
        ge=1,
        le=300,
        description="How long a client may take to answer that before its connection is closed.",
    ),
]
ClientKeepalive = Annotated[
    int,
    Field(
        ge=1,
        le=3_600,
        description="The shortest time between two keepalive pings that a client may use.",
    ),
]
ConnectionAge = Annotated[
    int,
    Field(
        ge=0,
        le=30 * _DAY_S,
        description="How old a connection may get, more or less a tenth; 0 means any age.",
    ),
]
ConnectionGrace = Annotated[
    int,
    Field(
        ge=1,
        le=30 * _DAY_S,
        description="How long the calls on a connection that is too old may still take.",
    ),
]
ConnectionIdle = Annotated[
    int,
    Field(
        ge=0,
        le=30 * _DAY_S,
        description="How long a connection may be without calls before it is closed; 0 means for ever.",
    ),
]
Channelz = Annotated[
    Literal["off", "on"],
    Written("off|on"),
    Field(description="Whether channelz answers on the gRPC port; it tells of every connection."),
]
