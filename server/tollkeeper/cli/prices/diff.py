"""`tollkeeper prices diff`: what would change if a file were published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import exclude_each_other, findings
from tollkeeper.cli.options import Json, Server, examples
from tollkeeper.cli.prices import price_lists
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.cli.prices.page import rule_of
from tollkeeper.cli.prices.reading import unlisted_word
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.cli.terminal.screen import amount, console, count, print_json_value
from tollkeeper.core.outcome import DEFAULT_CHARGE_ON

if TYPE_CHECKING:
    from tollkeeper.core.pricing.price_lists import Price

commands = typer.Typer()


@dataclass(frozen=True, slots=True)
class Difference:
    """What two lists do not have in common. The order of prices, and of statuses, means nothing."""

    added: tuple[Price, ...]
    removed: tuple[Price, ...]
    changed: tuple[tuple[Price, Price], ...]
    """The same pattern, before and after; the names in its braces may differ too."""
    unlisted: tuple[str, str] | None
    note: tuple[str, str] | None

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.changed, self.unlisted, self.note))


def difference(before: PriceFile, after: PriceFile) -> Difference:
    """Compare two lists."""
    old = {price.shape: price for price in before.prices}
    new = {price.shape: price for price in after.prices}
    words = unlisted_word(before.unlisted), unlisted_word(after.unlisted)
    return Difference(
        added=tuple(price for shape, price in new.items() if shape not in old),
        removed=tuple(price for shape, price in old.items() if shape not in new),
        changed=tuple(
            (price, new[shape])
            for shape, price in old.items()
            if shape in new and changes(price, new[shape])
        ),
        unlisted=words if words[0] != words[1] else None,
        note=(before.note, after.note) if before.note != after.note else None,
    )


def changes(before: Price, after: Price) -> dict[str, tuple[str, str]]:
    """Say in which fields two prices of one pattern differ, and how."""
    rules = [frozenset(price.charge_on or DEFAULT_CHARGE_ON) for price in (before, after)]
    found = {
        "path": (before.path, after.path) if before.segments != after.segments else None,
        "credits": (amount(before.credits), amount(after.credits)),
        "charged on": (rule_of(before), rule_of(after)) if rules[0] != rules[1] else None,
        "note": (before.note, after.note),
    }
    return {name: pair for name, pair in found.items() if pair is not None and pair[0] != pair[1]}


@commands.command(
    "diff",
    epilog=examples(
        "tollkeeper prices diff prices.toml",
        "tollkeeper prices diff prices.csv --version 3",
        "tollkeeper prices diff prices.csv --name partner",
    ),
)
def diff(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A list, in any form that can be published.")
    ],
    *,
    version: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Compare with this list.", show_default="the one in force"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Compare with the list of this name.",
            show_default="that of FILE",
        ),
    ] = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show what a file changes of the price list in force; exit code 1 where it changes anything."""
    if version is not None and name is not None:
        raise exclude_each_other("--version", "--name")
    after = read_prices(file)
    name = after.name if name is None else name
    with connect(server) as ledger:
        lists = price_lists.all_lists(ledger, name if version is None else None)
    against = (
        price_lists.in_force(lists, name)
        if version is None
        else price_lists.by_version(lists, version)
    )
    changes = difference(price_lists.from_message(against), after)
    if json:
        print_json_value({"version": against.version, "differs": bool(changes), **_values(changes)})
    else:
        screen = console()
        which = f"version {against.version}"
        which += f" of {against.name}" if against.name else ""
        for line in lines_of(changes):
            screen.print(line, whole=True)
        screen.print(
            f"{summary_of(changes)} against {which}" if changes else f"nothing differs from {which}"
        )
    if changes:
        raise findings(f"{file}: differs from version {against.version}")


def lines_of(found: Difference) -> list[str]:
    """Write a line for each difference."""
    lines = [f"+ {_priced(price)}" for price in found.added]
    lines += [f"- {_priced(price)}" for price in found.removed]
    for before, after in found.changed:
        said = ", ".join(
            f"{name} {old or 'none'} -> {new or 'none'}"
            for name, (old, new) in changes(before, after).items()
        )
        lines.append(f"~ {before.method} {before.path}: {said}")
    for name, pair in (("all other endpoints", found.unlisted), ("note of the list", found.note)):
        if pair is not None:
            lines.append(f"~ {name}: {pair[0] or 'none'} -> {pair[1] or 'none'}")
    return lines


def _priced(price: Price) -> str:
    rule = f", charged on {rule_of(price)}" if price.charge_on else ""
    note = f" ({price.note})" if price.note else ""
    return f"{price.method} {price.path}: {count(price.credits, 'credit')}{rule}{note}"


def summary_of(found: Difference) -> str:
    """Say how much differs."""
    rest = (found.unlisted is not None) + (found.note is not None)
    return (
        f"{amount(len(found.added))} added, {amount(len(found.removed))} removed, "
        f"{amount(len(found.changed) + rest)} changed"
    )


def _values(found: Difference) -> dict[str, Any]:
    values: dict[str, Any] = {
        "added": _prices(found.added),
        "removed": _prices(found.removed),
        "changed": [
            {"before": before, "after": after}
            for before, after in zip(
                _prices(tuple(pair[0] for pair in found.changed)),
                _prices(tuple(pair[1] for pair in found.changed)),
                strict=True,
            )
        ],
    }
    for name, pair in (("unlisted", found.unlisted), ("note", found.note)):
        if pair is not None:
            values[name] = {"before": pair[0], "after": pair[1]}
    return values


def _prices(prices: tuple[Price, ...]) -> list[Any]:
    message = price_lists.to_message(PriceFile(prices, price_lists.Unlisted.FREE, ""))
    return [to_dict(each) for each in message.prices]
