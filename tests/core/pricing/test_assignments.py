"""Which price list an account pays by: moved now, later and back, and what it is told of that."""

from typing import Any

import pytest

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.assignments import (
    CHANGES_MAX,
    Pricing,
    assigned,
    present,
    prices_now,
    prices_to_come,
    standing,
)
from tollkeeper.core.pricing.price_lists import Price, PriceBook, PriceList, Unlisted

NOW_US = 1_000


def listed(version: int, name: str, effective_us: int, credits: int = 1) -> PriceList:
    return PriceList(
        version=version,
        effective_us=effective_us,
        prices=[Price("GET", "/a", credits, endpoint_id=2)],
        unlisted=Unlisted.FREE,
        note="",
        name=name,
    )


BOOK = PriceBook(
    [
        listed(1, "", 10),
        listed(2, "partner", 20),
        listed(3, "gold", 2_000),
        listed(4, "partner", 3_000),
        listed(5, "partner", 3_000),
        listed(6, "", 4_000),
    ],
    version=6,
)


def after(*moves: tuple[int, str, int | None], pricing: Pricing = ()) -> Pricing:
    """Move an account: each time at a moment, to a list, from a moment on."""
    for now_us, name, effective_us in moves:
        pricing = assigned(pricing, name, effective_us, book=BOOK, now_us=now_us)
    return pricing


def words(pricing: Pricing, now_us: int) -> Any:
    found = standing(pricing, now_us)
    return tuple(found.present), [tuple(each) for each in found.to_come]


@pytest.mark.parametrize(
    ("moves", "now_us", "present_list", "to_come"),
    [
        ([], 1_000, ("", 0), []),
        ([(1_000, "partner", None)], 1_000, ("partner", 1_000), []),
        ([(1_000, "partner", 1_000)], 1_000, ("partner", 1_000), []),
        ([(1_000, "partner", 1_500)], 1_499, ("", 0), [("partner", 1_500)]),
        ([(1_000, "partner", 1_500)], 1_500, ("partner", 1_500), []),
        # A change for later is kept beside what holds now, and beside others before it.
        (
            [(1_000, "partner", None), (1_100, "gold", 2_500), (1_200, "", 2_400)],
            1_300,
            ("partner", 1_000),
            [("", 2_400)],
        ),
        (
            [(1_000, "partner", None), (1_100, "", 2_400), (1_200, "gold", 2_500)],
            1_300,
            ("partner", 1_000),
            [("", 2_400), ("gold", 2_500)],
        ),
        # A change of the same moment is replaced.
        ([(1_000, "partner", 2_500), (1_100, "gold", 2_500)], 1_300, ("", 0), [("gold", 2_500)]),
        # Naming the present list again takes back what was to come, and it has held all along.
        ([(1_000, "partner", None), (1_100, "", 2_400), (1_200, "partner", None)], 1_300, ("partner", 1_000), []),
        ([(1_000, "partner", 2_400), (1_100, "", None)], 1_300, ("", 0), []),
        # Back on the default list: since when is known.
        ([(1_000, "partner", None), (1_100, "", None)], 1_300, ("", 1_100), []),
        # Twice in one moment is as if only the last had come.
        ([(1_000, "partner", None), (2_100, "gold", None), (2_100, "partner", None)], 2_100, ("partner", 1_000), []),
        ([(1_000, "partner", None), (1_000, "", None)], 1_000, ("", 0), []),
    ],
)  # fmt: skip
def test_an_account_is_on_the_list_that_was_named_last_for_a_moment(
    moves: list[tuple[int, str, int | None]],
    now_us: int,
    present_list: tuple[str, int],
    to_come: list[tuple[str, int]],
) -> None:
    assert words(after(*moves), now_us) == (present_list, to_come)


def test_what_is_over_is_forgotten() -> None:
    pricing: Pricing = ()
    for now_us in range(1_000, 1_100):
        pricing = assigned(pricing, ("", "partner")[now_us % 2], None, book=BOOK, now_us=now_us)

    assert len(pricing) <= 2


def test_a_clock_that_is_set_back_does_not_undo_a_change_that_was_kept() -> None:
    pricing = after((1_000, "partner", None), (1_300, "partner", 2_000), (1_400, "gold", 2_500))

    assert present(pricing, 1).name == "partner"


@pytest.mark.parametrize(
    ("name", "effective_us", "found"),
    [
        ("partner", None, True),
        ("partner", 9_000, True),
        ("gold", None, False),
        ("gold", 1_999, False),
        ("gold", 2_000, True),
        ("nobody", 9_000, False),
        ("", None, True),
    ],
)
def test_the_list_must_be_in_force_when_the_account_is_to_pay_by_it(
    name: str, effective_us: int | None, *, found: bool
) -> None:
    if found:
        assert after((NOW_US, name, effective_us)) or not name
        return

    with pytest.raises(Refused) as refused:
        after((NOW_US, name, effective_us))

    assert refused.value.reason is Reason.PRICE_LIST_NOT_FOUND
    assert refused.value.metadata == {"price_list": name, "field": "price_list"}


def test_only_so_many_changes_to_come_are_kept() -> None:
    def changes(count: int) -> list[tuple[int, str, int | None]]:
        return [(NOW_US, ("partner", "")[each % 2], 1_100 + each) for each in range(count)]

    pricing = after(*changes(CHANGES_MAX))
    assert len(standing(pricing, NOW_US).to_come) == CHANGES_MAX

    with pytest.raises(Refused, match="price_list_effective_time: would be change 17 to come"):
        after((NOW_US, "partner", 1_200), pricing=pricing)

    assert len(standing(after((NOW_US, "", 1_101), pricing=pricing), NOW_US).to_come) == 2
    # One has begun: there is room for another.
    assert after((1_100, "partner", 1_200), pricing=pricing)


@pytest.mark.parametrize(
    ("moves", "now", "to_come"),
    [
        ([], (1, 10), [(6, 4_000)]),
        # From the moment on from which this account pays by it.
        ([(900, "partner", None)], (2, 900), [(5, 3_000)]),
        ([(900, "partner", 1_500)], (1, 10), [(2, 1_500), (5, 3_000)]),
        ([(900, "partner", 3_500)], (1, 10), [(5, 3_500)]),
        ([(900, "partner", 4_500)], (1, 10), [(6, 4_000), (5, 4_500)]),
        (
            [(900, "partner", None), (900, "gold", 2_500), (900, "", 5_000)],
            (2, 900),
            [(3, 2_500), (6, 5_000)],
        ),
    ],
)
def test_the_overview_tells_what_the_account_pays_by_and_will_pay_by(
    moves: list[tuple[int, str, int | None]],
    now: tuple[int, int],
    to_come: list[tuple[int, int]],
) -> None:
    pricing = after(*moves)

    found = prices_now(BOOK, pricing, NOW_US)
    assert found is not None
    assert (found.version, found.effective_us) == now
    later = prices_to_come(BOOK, pricing, NOW_US)
    assert [(each.version, each.effective_us) for each in later] == to_come


def test_a_moment_from_which_nothing_is_listed_is_told() -> None:
    book = PriceBook([listed(1, "partner", 10)], version=1)
    pricing = assigned((), "partner", 2_000, book=book, now_us=NOW_US)
    pricing = assigned(pricing, "", 3_000, book=book, now_us=NOW_US)

    assert prices_now(book, pricing, NOW_US) is None
    found = prices_to_come(book, pricing, NOW_US)
    assert [(each.name, each.version, each.effective_us) for each in found] == [
        ("partner", 1, 2_000),
        ("", 0, 3_000),
    ]


def test_each_name_has_lists_of_its_own() -> None:
    for now_us, default, partner, gold in [
        (5, None, None, None),
        (10, 1, None, None),
        (20, 1, 2, None),
        (2_999, 1, 2, 3),
        (3_000, 1, 5, 3),
        (4_000, 6, 5, 3),
    ]:
        found = [BOOK.in_force(now_us, name) for name in ("", "partner", "gold", "nobody")]
        assert [each and each.version for each in found] == [default, partner, gold, None]
    assert [each.version for each in BOOK.upcoming(NOW_US, "partner")] == [4, 5]
