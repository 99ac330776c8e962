"""A price list for a person: as a table of the terminal, and in Markdown as platforms publish it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.cli.prices.reading import unlisted_word
from tollkeeper.cli.terminal.screen import amount, table
from tollkeeper.core.outcome import DEFAULT_CHARGE_ON
from tollkeeper.core.pricing.price_lists import ANY_METHOD, Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.cli.prices.file import PriceFile
    from tollkeeper.cli.terminal.layout import Table
    from tollkeeper.cli.terminal.screen import Screen
    from tollkeeper.core.pricing.price_lists import Price

SHOWN_MAX = 20
"""Prices, or changes of them, that are printed where a list is not what was asked for: a terminal takes seconds for
thousands of lines, too many to read."""

_SPECIAL = re.compile(r"[\\`*_\[\]<>|#~]")


def price_table(prices: PriceFile) -> Table:
    """Return the prices of a list, for a person."""
    has_rules = any(price.charge_on for price in prices.prices)
    columns = ("method", "path", "credits", *(("charged on",) if has_rules else ()), "note")
    rows = table(*columns, numbers=("credits",), ids=("method", "path"))
    for price in prices.prices:
        rule = (rule_of(price),) if has_rules else ()
        rows.add_row(price.method, price.path, amount(price.credits), *rule, price.note)
    return rows


def print_first(screen: Screen, prices: PriceFile, *, all_of_it: str) -> None:
    """Print the first prices of a list; `all_of_it` is the command that shows them all."""
    screen.print(price_table(prices._replace(prices=prices.prices[:SHOWN_MAX])))
    print_rest(screen, len(prices.prices), all_of_it=all_of_it)
    screen.print(unlisted_sentence(prices))


def print_rest(screen: Screen, total: int, *, all_of_it: str) -> None:
    """Say how many more there are, if any."""
    if total > SHOWN_MAX:
        screen.print(f"and {amount(total - SHOWN_MAX)} more: {all_of_it}", whole=True)


def rule_of(price: Price) -> str:
    """Write the statuses that are charged."""
    return ", ".join(price.charge_on or DEFAULT_CHARGE_ON)


def unlisted_sentence(prices: PriceFile) -> str:
    """Say what becomes of the endpoints that a list does not name."""
    return f"all other endpoints are {unlisted_word(prices.unlisted)}"


def markdown_page(prices: PriceFile) -> str:
    """Return a list as a public page shows it, with the sentence about all other endpoints."""
    has_rules = any(price.charge_on for price in prices.prices)
    heads = ["Endpoint", "Method", "Credits per request", "Notes"]
    if has_rules:
        heads.insert(3, "Charged on")
    lines = [_row(heads), _row(["---"] * len(heads))]
    for price in prices.prices:
        noun = "credit" if price.credits == 1 else "credits"
        cells = [_code(price.path), "any" if price.method == ANY_METHOD else price.method]
        cells.append(f"{amount(price.credits)} {noun}")
        if has_rules:
            cells.append(rule_of(price))
        lines.append(_row([*cells, _SPECIAL.sub(r"\\\g<0>", price.note)]))
    if not prices.prices:
        lines.clear()
    others = "All other endpoints" if prices.prices else "All endpoints"
    denied = prices.unlisted is Unlisted.DENIED
    sentence = f"{others} {'are not available' if denied else 'DO NOT consume credits'}"
    return "\n".join([*lines, *([""] if lines else []), sentence, ""])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _code(path: str) -> str:
    """Write a path so that its stars and braces stay what they are."""
    fence = "``" if "`" in path else "`"
    space = " " if "`" in path else ""
    return f"{fence}{space}{path}{space}{fence}".replace("|", "\\|")
