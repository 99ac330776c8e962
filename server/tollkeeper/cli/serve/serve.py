"""`tollkeeper serve`: runs the gRPC server until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tollkeeper import process
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.json_form import to_json_line
from tollkeeper.cli.options import Config, Json, examples
from tollkeeper.cli.prices.file import PriceFile, read_prices
from tollkeeper.cli.prices.page import unlisted_word
from tollkeeper.cli.serve.database import database_failures, load_settings
from tollkeeper.cli.terminal import streams
from tollkeeper.config import ENVIRONMENT_PREFIX, Settings
from tollkeeper.core.commands import PublishPrices
from tollkeeper.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.app import Listening, Opening

commands = typer.Typer()


class Seen(NamedTuple):
    """What prints the addresses, once there is an answer at each."""

    on_listening: Listening
    on_metrics: Listening


def _help(name: str) -> str:
    """Describe a setting, with its default and the variable that sets it too."""
    field = Settings.model_fields[name]
    default = "none" if field.default is None else field.default
    return f"{field.description} Default {default}; or set {ENVIRONMENT_PREFIX}{name.upper()}."


def _option(name: str, metavar: str) -> typer.models.OptionInfo:
    flag = f"--{name.replace('_', '-')}"
    found: typer.models.OptionInfo = typer.Option(
        flag, metavar=metavar, help=_help(name), show_default=False
    )
    return found


@commands.command(
    "serve",
    epilog=examples(
        "tollkeeper serve --prices prices.toml",
        "tollkeeper serve --listen :50051,unix:/run/tollkeeper.sock --config tollkeeper.toml",
        "tollkeeper serve --workers 4 --metrics-listen 127.0.0.1:9464 --config tollkeeper.toml",
    ),
)
def serve(  # noqa: PLR0913 - an option each
    *,
    listen: Annotated[str | None, _option("listen", "ADDRESSES")] = None,
    database: Annotated[str | None, _option("database", "URL")] = None,
    prices: Annotated[Path | None, _option("prices", "FILE")] = None,
    workers: Annotated[str | None, _option("workers", "N")] = None,
    lanes: Annotated[str | None, _option("lanes", "N")] = None,
    store_timeout_s: Annotated[str | None, _option("store_timeout_s", "S")] = None,
    hold_default_s: Annotated[str | None, _option("hold_default_s", "S")] = None,
    hold_max_s: Annotated[str | None, _option("hold_max_s", "S")] = None,
    hold_total_max_s: Annotated[str | None, _option("hold_total_max_s", "S")] = None,
    late_window_s: Annotated[str | None, _option("late_window_s", "S")] = None,
    retention_s: Annotated[str | None, _option("retention_s", "S")] = None,
    drain_delay_s: Annotated[str | None, _option("drain_delay_s", "S")] = None,
    drain_s: Annotated[str | None, _option("drain_s", "S")] = None,
    webhook_networks: Annotated[str | None, _option("webhook_networks", "NETWORKS")] = None,
    webhook_timeout_s: Annotated[str | None, _option("webhook_timeout_s", "S")] = None,
    webhook_retry_s: Annotated[str | None, _option("webhook_retry_s", "S")] = None,
    webhook_retry_max_s: Annotated[str | None, _option("webhook_retry_max_s", "S")] = None,
    webhook_attempts: Annotated[str | None, _option("webhook_attempts", "N")] = None,
    webhook_give_up_s: Annotated[str | None, _option("webhook_give_up_s", "S")] = None,
    metrics_listen: Annotated[str | None, _option("metrics_listen", "HOST:PORT")] = None,
    log_level: Annotated[str | None, _option("log_level", "LEVEL")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Run the server; prints `listening on ADDRESSES` once it answers.

    A flag goes before its environment variable, that before the TOML file. SIGTERM: health says
    NOT_SERVING, calls are served for another `drain_delay_s`, calls in flight are answered, exit code 0.
    """
    flags = {name: value for name, value in locals().items() if name in Settings.model_fields}
    settings = load_settings(flags, config)
    if json:
        run(settings, _print_address_json, on_metrics=_print_metrics_json)
    else:
        run(settings, _print_address)


def run(
    settings: Settings,
    on_listening: Listening,
    *openings: Opening,
    on_metrics: Listening | None = None,
) -> None:
    """Serve with these settings, and turn what keeps a server from it into the command's failure.

    `openings` are for one process: several publish the prices of the settings, and no more.
    """
    process.set_up_log(settings.log_level)
    publication = _publication(settings)
    seen = Seen(on_listening, on_metrics or _print_metrics)
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
    except (ListenError, EndpointError) as error:
        raise CommandError(str(error), reason=Why.CANNOT_SERVE) from None


def _serve_with_several(settings: Settings, seen: Seen, publication: PublishPrices | None) -> None:
    from tollkeeper.monitoring.address import EndpointError  # noqa: PLC0415
    from tollkeeper.supervisor import supervisor  # noqa: PLC0415
    from tollkeeper.supervisor.place import WorkerLostError  # noqa: PLC0415
    from tollkeeper.supervisor.port import PortError  # noqa: PLC0415

    try:
        supervisor.run(
            settings, seen.on_listening, publication=publication, on_metrics=seen.on_metrics
        )
    except (PortError, EndpointError, WorkerLostError) as error:
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


def _print_address(address: str) -> None:
    _print(f"listening on {address}")


def _print_metrics(address: str) -> None:
    _print(f"metrics on {_page(address)}")


def _print_address_json(address: str) -> None:
    _print(to_json_line({"listening": address}))


def _print_metrics_json(address: str) -> None:
    _print(to_json_line({"metrics": _page(address)}))


def _page(address: str) -> str:
    return f"http://{address}/metrics"


def _print(line: str) -> None:
    streams.write(f"{line}\n")
    streams.flush()
