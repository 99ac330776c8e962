"""Which shard an account belongs to, and which lane a shard."""

from __future__ import annotations

from zlib import crc32

from tollkeeper.core.account import SHARDS


def shard_of_id(account_id: str) -> int:
    """Return the shard of an account id: its CRC-32, fixed for good."""
    return crc32(account_id.encode("ascii")) & (SHARDS - 1)


def shards_of_lane(lane: int, lanes: int) -> list[int]:
    """Return the shards of one of `lanes` lanes."""
    return [shard for shard in range(SHARDS) if shard % lanes == lane]
