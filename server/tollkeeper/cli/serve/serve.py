"""`tollkeeper serve`: runs the gRPC server until it is told to stop. Its options are the settings of the server."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from tollkeeper.cli.options import Config, Json, examples
from tollkeeper.cli.serve.database import load_settings
from tollkeeper.cli.serve.running import (
    print_address,
    print_address_json,
    print_metrics_json,
    run,
)
from tollkeeper.config import ENVIRONMENT_PREFIX, Settings
from tollkeeper.connection_settings import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic.fields import FieldInfo

commands = typer.Typer()


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting, before its own; all that it is told of them is `flags`."""
    own = [
        each
        for each in inspect.signature(command, eval_str=True).parameters.values()
        if each.name != "flags"
    ]
    parameters = [*_options(), *own]
    hints = {each.name: each.annotation for each in parameters}
    # Typer reads both.
    vars(command)["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {**hints, "return": None}
    return command


def _options() -> Iterator[inspect.Parameter]:
    for name, field in Settings.model_fields.items():
        option: typer.models.OptionInfo = typer.Option(
            flag_of(name),
            metavar=_metavar(name, field),
            help=_help(name, field),
            show_default=False,
        )
        # As it was written: what a value may be, and what is said of another, the settings know.
        written = Path if _is_path(field) else bool if field.annotation is bool else str
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[written | None, option],
        )


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def _metavar(name: str, field: FieldInfo) -> str:
    for each in field.metadata:
        if isinstance(each, Written):
            return each.word
    return "S" if name.endswith("_s") else "N"


def _help(name: str, field: FieldInfo) -> str:
    """Describe a setting, with its default and the variable that sets it too."""
    default = "none" if field.default is None else field.default
    if isinstance(default, bool):
        default = str(default).lower()
    return f"{field.description} Default {default}; or set {ENVIRONMENT_PREFIX}{name.upper()}."


def _is_path(field: FieldInfo) -> bool:
    return Path in get_args(field.annotation)


@commands.command(
    "serve",
    epilog=examples(
        "tollkeeper serve --prices prices.toml",
        "tollkeeper serve --listen 127.0.0.1:50051,unix:/run/tollkeeper.sock --config tollkeeper.toml",
        "tollkeeper serve --listen :50051 --tls-cert tls.crt --tls-key tls.key",
        "tollkeeper serve --workers 4 --metrics-listen 127.0.0.1:9464 --config tollkeeper.toml",
    ),
)
@_with_settings
def serve(*, config: Config = None, json: Json = False, **flags: str | Path | bool | None) -> None:
    """Run the server; prints `listening on ADDRESSES` once it answers.

    A flag goes before its environment variable, that before the TOML file. SIGTERM: health says
    NOT_SERVING, calls are served for another `drain_delay_s`, calls in flight are answered, exit code 0.
    """
    settings = load_settings(flags, config)
    if json:
        run(settings, print_address_json, on_metrics=print_metrics_json)
    else:
        run(settings, print_address)
