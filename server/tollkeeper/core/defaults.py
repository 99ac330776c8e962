"""The default of every setting that more than one layer knows, once.

The settings of the server offer them to operators, and the engine and the core stand on them where no setting is given.
Durations are in seconds.
"""

from __future__ import annotations

US_PER_S = 1_000_000
DAY_S = 86_400

LANES = 2
LANES_BESIDE_WORKERS = 1
"""Those of each of several workers, which are side by side already."""
STORE_TIMEOUT_S = 10

MESSAGE_BYTES_MAX = 32 * 1024 * 1024
"""Room for every valid batch: 10,000 operations, each with the longest id, path and key."""
METADATA_BYTES_MAX = 16 * 1024
STREAMS_MAX = 10_000
KEEPALIVE_S = 60
KEEPALIVE_TIMEOUT_S = 20
KEEPALIVE_CLIENT_S = 5
CONNECTION_GRACE_S = 3_600

HOLD_DEFAULT_S = 60
HOLD_MAX_S = DAY_S
"""Also the longest that an operator can allow, and that a field can ask for."""
HOLD_TOTAL_MAX_S = 7 * DAY_S
LATE_WINDOW_S = DAY_S
RETENTION_S = 7 * DAY_S

WEBHOOK_RETRY_S = 5
WEBHOOK_RETRY_MAX_S = 3_600
WEBHOOK_ATTEMPTS = 100
WEBHOOK_GIVE_UP_S = 3 * DAY_S
WEBHOOK_TIMEOUT_S = 10
