"""Gives every command that asks a server the options of TLS: they are the same for all, and no command reads them."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollkeeper.cli.client_tls import (
    CA_VARIABLE,
    CERT_VARIABLE,
    KEY_VARIABLE,
    TLS_VARIABLE,
    client_tls,
    using,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER = "server"
"""The parameter of a command that asks a server."""

_FILES = {
    "tls_ca": (
        CA_VARIABLE,
        "Trust these authorities instead, in PEM; a self-signed certificate is its own.",
    ),
    "tls_cert": (CERT_VARIABLE, "Show this certificate to a server that asks for one, in PEM."),
    "tls_key": (KEY_VARIABLE, "The key of --tls-cert, in PEM."),
}


def add_tls_options(commands: typer.Typer) -> None:
    """Give the options to every command below this one that asks a server."""
    for command in commands.registered_commands:
        if command.callback is not None:
            names = inspect.signature(command.callback).parameters
            if SERVER in names and "tls" not in names:
                command.callback = _with_tls(command.callback)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            add_tls_options(group.typer_instance)


def _with_tls(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(**values: Any) -> Any:  # noqa: ANN401 - as the command has them
        tls = client_tls(
            tls=bool(values.pop("tls")),
            ca=values.pop("tls_ca"),
            cert=values.pop("tls_cert"),
            key=values.pop("tls_key"),
        )
        with using(tls):
            return command(**values)

    parameters: list[inspect.Parameter] = []
    for each in inspect.signature(command, eval_str=True).parameters.values():
        parameters.append(each.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        if each.name == SERVER:
            parameters += _options()
    # Typer reads both.
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {**{each.name: each.annotation for each in parameters}, "return": None}
    return run


def _options() -> Iterator[inspect.Parameter]:
    said = "Speak TLS, and trust the authorities of this system. A unix: socket is always plain."
    yield _keyword(
        "tls", Annotated[bool, typer.Option("--tls", envvar=TLS_VARIABLE, help=said)], default=False
    )
    for name, (variable, meaning) in _FILES.items():
        flag = f"--{name.replace('_', '-')}"
        option: typer.models.OptionInfo = typer.Option(
            flag, envvar=variable, metavar="FILE", help=meaning
        )
        yield _keyword(name, Annotated[Path | None, option], default=None)


def _keyword(name: str, annotation: Any, *, default: object) -> inspect.Parameter:  # noqa: ANN401 - a type
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
