"""What a person is told of a price list that was published: from when it holds, and what it changes.

Never all of a long list: the publisher has the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli import times
from tollkeeper.cli.prices import price_lists
from tollkeeper.cli.prices.diff import difference, lines_of, summary_of
from tollkeeper.cli.prices.page import SHOWN_MAX, print_first, print_rest
from tollkeeper.cli.prices.price_lists import Standing, from_message
from tollkeeper.cli.terminal.screen import console, count, moment

if TYPE_CHECKING:
    from tollkeeper.cli.prices.price_lists import Lists
    from tollkeeper.cli.terminal.screen import Screen
    from tollkeeper.v1 import prices_pb2


def print_published(published: prices_pb2.PriceList, lists: Lists, *, replayed: bool) -> None:
    """Print it beside the list that it follows; `lists` are those of its name."""
    screen = console()
    done = "was published before; it holds" if replayed else "holds"
    screen.print(
        f"version {published.version}"
        + (f" of {published.name}" if published.name else "")
        + f" {done} from {moment(published.effective_time)}"
    )
    before = price_lists.predecessor(published, lists)
    if before is None:
        print_first(screen, from_message(published), all_of_it=_show(published))
    else:
        _print_changes(screen, before, published)
    _print_others(screen, published, lists)


def _print_changes(
    screen: Screen, before: prices_pb2.PriceList, published: prices_pb2.PriceList
) -> None:
    after = from_message(published)
    changes = difference(from_message(before), after)
    lines = lines_of(changes)
    for line in lines[:SHOWN_MAX]:
        screen.print(line, whole=True)
    print_rest(screen, len(lines), all_of_it=_show(published))
    told = f"{summary_of(changes)} against" if changes else "nothing differs from"
    priced = count(len(after.prices), "price")
    screen.print(f"{priced}; {told} version {before.version}, which it follows")


def _print_others(screen: Screen, published: prices_pb2.PriceList, lists: Lists) -> None:
    """Name the lists of this name that it leaves without a moment to hold, and those that will hold after it."""
    since = published.effective_time.ToMicroseconds()
    now = times.now()
    for each in lists:
        state = price_lists.standing(each, lists, now)
        if state is Standing.REPLACED and each.effective_time.ToMicroseconds() == since:
            screen.print(
                f"it replaces version {each.version}, which was to hold from the same moment"
            )
    for each in price_lists.to_come(lists, now):
        if each.effective_time.ToMicroseconds() > since:
            screen.print(f"to come: version {each.version}, from {moment(each.effective_time)}")


def _show(published: prices_pb2.PriceList) -> str:
    return f"tollkeeper prices show --version {published.version}"
