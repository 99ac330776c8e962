"""What the engine can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from tollkeeper.core import defaults
from tollkeeper.core.defaults import US_PER_S
from tollkeeper.core.webhooks.deliveries import Schedule


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Durations, and the bounds that keep memory and latency finite under any load."""

    hold_default_us: int = defaults.HOLD_DEFAULT_S * US_PER_S
    hold_max_us: int = defaults.HOLD_MAX_S * US_PER_S
    hold_total_max_us: int = defaults.HOLD_TOTAL_MAX_S * US_PER_S
    """How long a hold that is extended may last from when it was made; never under `hold_max_us`."""
    late_window_us: int = defaults.LATE_WINDOW_S * US_PER_S
    retention_us: int = defaults.RETENTION_S * US_PER_S
    """How long a reservation is kept after it has ended; never under `late_window_us`."""
    lanes: int = defaults.LANES
    apart_min: int = 32
    """With fewer operations, a lane takes no turn of its own while another works: they go with the other's next."""
    queue_max: int = 20_000
    """Operations that may wait in one lane; more are refused with OVERLOADED."""
    queue_for_s: float = 2.0
    """How long the first operation of a lane may have waited, where more than a transaction wait; then OVERLOADED."""
    batch_max: int = 2_000
    """Operations in one transaction: past the knee of the measured curve (200 to 1,000) only latency grows."""
    bulk_queue_max: int = 100_000
    """Operations of batches that may wait in one lane; more are refused with OVERLOADED."""
    bulk_alone: int = 1_000
    """Operations of batches in one transaction, where no single calls come."""
    bulk_beside: int = 250
    """The same beside single calls, which wait for the end of a transaction that has begun."""
    bulk_beside_for_s: float = 1.0
    """For how long after a single call the next is expected."""
    sweep_every_s: float = 0.5
    sweep_batch: int = 500
    move_out_every_s: float = 60.0
    """How long after one round through the old reservations the next begins."""
    move_out_batch: int = 50
    """Reservations that are moved out in one transaction."""
    move_out_share: float = 0.02
    """The share of its writer's time that moving out may take while operations come, as long as it keeps up."""
    move_out_behind_s: float = 600.0
    """How far behind it may be before that share is doubled; twice as far, and it is three times as large."""
    move_out_share_guest_max: float = 0.25
    """The largest share where a lane's writer does it. It keeps up with any load that the lane can bear."""
    move_out_patience_s: float = 1.0
    """How long it waits there for a moment in which no operation waits."""
    forget_windows_every_s: float = 86_400.0
    watch_every_s: float = 0.2
    """How often it is asked, while anyone watches, whether there are new events."""
    retry_for_s: float = 3.0
    """How long a batch is tried again while the store cannot be reached."""
    answer_within_s: float = defaults.STORE_TIMEOUT_S
    """How long a database may take to answer before its connection is given up."""
    measures: bool = False
    """Whether the lanes count what they do and how long it takes, for metrics."""
    look_every_s: float = 15.0
    """How often the ledger is asked for what waits in it, where the lanes are measured."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How events are delivered, and the bounds that keep one receiver from costing the others anything."""

    schedule: Schedule = field(default_factory=Schedule)
    lease_us: int = 25_000_000
    """When a delivery that was taken counts as lost; longer than an attempt may take."""
    poll_s: float = 0.5
    """How often the ledger is asked for new events and due deliveries."""
    pending_max: int = 1_000
    """Deliveries of one webhook that are not dead; further events are left where they are until there is room."""
    in_flight_max: int = 8
    """Attempts at one webhook side by side; one after an attempt has failed, until one succeeds."""
    in_flight_all_max: int = 128
    """Attempts of this server side by side."""
