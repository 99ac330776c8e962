"""Runs the server with settings, and prints where it answers.

Stands on nothing of the extra `cli`, so that a server can be run where that is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper import process
from tollkeeper.certificates import TlsFilesError
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.cli.prices.reading import unlisted_word
from tollkeeper.cli.serve.database import database_failures
from tollkeeper.cli.serve.transport import check_transport
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.json_form import to_json_line
from tollkeeper.core.commands import PublishPrices
from tollkeeper.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.app import Listening, Opening
    from tollkeeper.config import Settings


class Seen(NamedTuple):
    """What prints the addresses, once there is an answer at each."""

    on_listening: Listening
    on_metrics: Listening


def run(
    settings: Settings,
    on_listening: Listening,
    *openings: Opening,
    on_metrics: Listening | None = None,
) -> None:
    """Serve with these settings, and turn what keeps a server from it into the command's failure.

    `openings` are for one process: several publish the prices of the settings, and no more.
    """
    check_transport(settings)
    process.set_up_log(settings.log_level)
    publication = _publication(settings)
    seen = Seen(on_listening, on_metrics or print_metrics)
    with database_failures():
        try:
            if settings.workers > 1:
                _serve_with_several(settings, seen, publication)
            else:
                _serve_alone(settings, seen, publication, openings)
        except Refused as refused:
            raise CommandError(refused.message, reason=Why.CANNOT_SERVE) from None


def _serve_alone(
    settings: Settings,
    seen: Seen,
    publication: PublishPrices | None,
    openings: Sequence[Opening],
) -> None:
    # The database's libraries take as long to load as all the rest: other commands go without.
    from tollkeeper import app  # noqa: PLC0415
    from tollkeeper.monitoring.address import EndpointError  # noqa: PLC0415
    from tollkeeper.rpc.listeners import ListenError  # noqa: PLC0415

    if publication is not None:
        openings = (app.publish_first(publication), *openings)
    try:
        app.run(settings, seen.on_listening, openings=openings, on_metrics=seen.on_metrics)
    except (ListenError, EndpointError, TlsFilesError) as error:
        raise CommandError(str(error), reason=Why.CANNOT_SERVE) from None


def _serve_with_several(settings: Settings, seen: Seen, publication: PublishPrices | None) -> None:
    from tollkeeper.monitoring.address import EndpointError  # noqa: PLC0415
    from tollkeeper.supervisor import supervisor  # noqa: PLC0415
    from tollkeeper.supervisor.port import PortError  # noqa: PLC0415
    from tollkeeper.supervisor.worker_slot import WorkerLostError  # noqa: PLC0415

    try:
        supervisor.run(
            settings, seen.on_listening, publication=publication, on_metrics=seen.on_metrics
        )
    except (PortError, EndpointError, WorkerLostError, TlsFilesError) as error:
        raise CommandError(str(error), reason=Why.CANNOT_SERVE) from None


def _publication(settings: Settings) -> PublishPrices | None:
    """Return what the price list of the settings asks to be published."""
    if settings.prices is None:
        return None
    file = read_prices(settings.prices)
    if file.name:
        raise CommandError(
            f"{settings.prices}: name: is {file.name}, but serve publishes the default list; leave "
            "it out, or publish this list with: tollkeeper prices publish",
            reason=Why.FILE_INVALID,
        )
    if not file.prices:
        raise CommandError(
            f"{settings.prices}: has no prices, so every endpoint would be {unlisted_word(file.unlisted)}; leave "
            "--prices out, or publish this list with: tollkeeper prices publish --allow-empty",
            reason=Why.FILE_INVALID,
        )
    return first_publication(file)


def first_publication(file: PriceFile) -> PublishPrices:
    """Return the command that publishes a file under a name made of its content."""
    return PublishPrices(
        request_id=f"serve-prices-{file.digest}",
        prices=file.prices,
        unlisted=file.unlisted,
        note=file.note,
    )


def print_address(address: str) -> None:
    _print(f"listening on {address}")


def print_metrics(url: str) -> None:
    _print(f"metrics on {url}")


def print_address_json(address: str) -> None:
    _print(to_json_line({"listening": address}))


def print_metrics_json(url: str) -> None:
    _print(to_json_line({"metrics": url}))


def _print(line: str) -> None:
    streams.write(f"{line}\n")
    streams.flush()
