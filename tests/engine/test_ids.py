"""Ids of a lane: each greater than the one before, whatever the clock does."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.core.account import SHARDS, shard_of
from tollkeeper.core.recurring.recurring_grants import RESERVED_LANE, origin_of
from tollkeeper.engine.ids import IdSource

EPOCH_2024_US = 1_704_067_200_000_000
NOW_US = 1_790_000_000_000_000
moments = st.lists(st.integers(NOW_US - 10_000_000, NOW_US + 10_000_000), min_size=2, max_size=50)


@given(moments)
def test_ids_rise_also_when_the_clock_goes_back(moments_us: list[int]) -> None:
    source = IdSource()

    ids = [source.next(now_us) for now_us in moments_us]

    assert all(before < after for before, after in pairwise(ids))


def test_ids_rise_past_the_counter_of_one_millisecond() -> None:
    source = IdSource()

    ids = [source.next(NOW_US) for _ in range(10_000)]

    assert all(before < after for before, after in pairwise(ids))


@given(moments, st.sets(st.integers(0, 49)))
def test_ids_rise_also_after_other_lane_bits_were_drawn(
    moments_us: list[int], draws: set[int]
) -> None:
    source = IdSource()
    ids: list[int] = []

    for index, now_us in enumerate(moments_us):
        if index in draws:
            source.draw_lane()
        ids.append(source.next(now_us))

    assert all(before < after for before, after in pairwise(ids))


def test_the_lane_bits_of_recurring_grants_are_never_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("secrets.randbelow", highest_below)
    source = IdSource()

    ids = [source.next(now_us) for now_us in (EPOCH_2024_US, NOW_US) for _ in range(5_000)]

    assert {each >> 12 & 1023 for each in ids} == {RESERVED_LANE - 1}
    assert not any(map(origin_of, ids))


def highest_below(number: int) -> int:
    return number - 1


@given(st.lists(st.integers(0, SHARDS - 1), min_size=2, max_size=50))
def test_an_account_key_carries_its_shard_and_is_never_given_twice(shards: list[int]) -> None:
    source = IdSource()

    keys = [source.next_account_key(NOW_US, shard) for shard in shards]

    assert [shard_of(key) for key in keys] == shards
    assert len({key // SHARDS for key in keys}) == len(keys)
    assert source.next(NOW_US) > max(keys)


def test_ids_stay_positive_64_bit_numbers_until_2090() -> None:
    in_2090_us = 3_786_912_000_000_000

    assert 0 < IdSource().next(in_2090_us) < 2**63
