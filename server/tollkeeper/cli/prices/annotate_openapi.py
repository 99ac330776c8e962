"""`tollkeeper prices annotate-openapi`: brings the Credits notices of an API reference up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import CommandError, Why, exclude_each_other, findings, wrong_option
from tollkeeper.cli.options import Json, ListName, Server, examples
from tollkeeper.cli.output_file import unwritable
from tollkeeper.cli.prices import price_lists
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.cli.prices.reading import unlisted_word
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.screen import count, print_json_value
from tollkeeper.cli.text_file import read_text
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST

if TYPE_CHECKING:
    from tollkeeper.core.pricing.price_lists import Unlisted
    from tollkeeper.openapi.annotate import Annotated as Result

STDOUT = Path("-")

commands = typer.Typer()


@commands.command(
    "annotate-openapi",
    epilog=examples(
        "tollkeeper prices annotate-openapi openapi.yaml",
        "tollkeeper prices annotate-openapi openapi.json --prices prices.toml --check",
        "tollkeeper prices annotate-openapi openapi.yaml --base-path /v1 --output public.yaml",
        "tollkeeper prices annotate-openapi openapi.yaml --name partner --output partner.yaml",
    ),
)
def annotate_openapi(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An OpenAPI 3.0 or 3.1 document, in YAML or JSON."),
    ],
    *,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take prices from this file.", show_default="the list in force"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write to this file; - is stdout.", show_default="FILE itself"
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit code 1 where FILE is not up to date."),
    ] = False,
    base_path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="What goes before the document's paths, as the ledger sees them; / for nothing.",
            show_default="the path of the first servers url",
        ),
    ] = None,
    name: ListName = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Say in an API reference what each request costs.

    Each operation with a price gets a Credits notice at the end of its description, and the extension
    x-credits; where a price has changed or gone, so do they. Nothing else changes. Stderr names the free
    operations, and the prices that no operation has.
    """
    both = {
        "--check and --output": check and output is not None,
        "--prices and --name": prices is not None and name is not None,
        "--json and --output -": json and output == STDOUT,
    }
    _check_usage(base_path, both)
    source = read_text(file)
    costs = _prices(prices, name or DEFAULT_LIST, server)
    annotated = _annotated(file, source, costs, base_path)
    current = annotated.text == source
    if not check and (output is not None or not current):
        _write(output or file, annotated.text)
    if json:
        values = _values(annotated, costs.unlisted)
        print_json_value({"file": str(file), "current": current, **values})
    else:
        report = _report(file, annotated, costs.unlisted)
        streams.tell(report + _done(file, output, check=check, current=current))
    if check and not current:
        raise findings(f"{file}: is not up to date")


def _check_usage(base_path: str | None, both: dict[str, bool]) -> None:
    """End the command where two options are given that exclude each other, or what is no path."""
    for options, are_given in both.items():
        if are_given:
            raise exclude_each_other(*options.split(" and "))
    if base_path is not None and not base_path.startswith("/"):
        raise wrong_option("--base-path", base_path, "must begin with /")


def _done(file: Path, output: Path | None, *, check: bool, current: bool) -> str:
    """Say what became of the document."""
    if output == STDOUT:
        return ""
    if output is not None:
        return f"{output}: is written\n"
    if current:
        return f"{file}: is up to date\n"
    if check:
        return f"{file}: is not up to date; run the command again without --check\n"
    return f"{file}: is brought up to date\n"


def _prices(file: Path | None, name: str, server: str) -> PriceFile:
    if file is not None:
        return read_prices(file)
    with connect(server) as ledger:
        lists = price_lists.all_lists(ledger, name)
    return price_lists.from_message(price_lists.in_force(lists, name))


def _annotated(file: Path, source: str, prices: PriceFile, base_path: str | None) -> Result:
    # What reads YAML is slow to load, and other commands go without.
    from tollkeeper.openapi.annotate import CannotAnnotateError, annotate  # noqa: PLC0415
    from tollkeeper.openapi.tree import Form  # noqa: PLC0415

    endings = {".json": Form.JSON, ".yaml": Form.YAML, ".yml": Form.YAML}
    form = endings.get(file.suffix.lower())
    try:
        return annotate(source, price_lists.compiled(prices), form=form, base_path=base_path)
    except CannotAnnotateError as error:
        raise CommandError(
            "\n".join(f"{file}: {line}" for line in str(error).splitlines()),
            reason=Why.FILE_INVALID,
        ) from None


def _report(file: Path, found: Result, unlisted: Unlisted) -> str:
    """Say what a person should look at."""
    word = unlisted_word(unlisted)
    lines = [f"{file}: {remark}" for remark in found.remarks]
    lines.append(f"{file}: {count(len(found.priced), 'operation')} with a price")
    if found.missing:
        lines.append(f"{count(len(found.missing), 'priced endpoint')} not in the document:")
    for each in found.missing:
        within = f", within {each.within}" if each.within is not None else ""
        price = each.price
        lines.append(f"  {price.method} {price.path}: {count(price.credits, 'credit')}{within}")
    if found.unlisted:
        lines.append(f"{count(len(found.unlisted), 'operation')} without a price, so {word}:")
    lines.extend(f"  {operation}" for operation in found.unlisted)
    return "".join(f"{line}\n" for line in lines)


def _values(found: Result, unlisted: Unlisted) -> dict[str, Any]:
    """Return what the report says, for a script."""
    return {
        "priced": [
            {"method": each.method, "path": each.template, "credits": price.credits}
            for each, price in found.priced
        ],
        "missing": [
            {
                "method": each.price.method,
                "path": each.price.path,
                "credits": each.price.credits,
                "within": None if each.within is None else str(each.within),
            }
            for each in found.missing
        ],
        "unlisted": [{"method": each.method, "path": each.template} for each in found.unlisted],
        "unlisted_are": unlisted_word(unlisted),
        "remarks": list(found.remarks),
    }


def _write(file: Path, text: str) -> None:
    if file == STDOUT:
        streams.write_data(text)
        return
    try:
        file.write_bytes(text.encode())
    except OSError as error:
        raise unwritable(file, error) from None
