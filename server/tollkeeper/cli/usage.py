"""What is wrong with a command line, in the words of our other messages: the parser's own are never seen."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError

from tollkeeper.cli.failure import CommandError, Violation, wrong_option, wrong_usage
from tollkeeper.setting_faults import must_be

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON_FLAG = "--json"

_TOO_MANY = re.compile(r"Got unexpected extra argument.*? \((.*)\)")


def asks_for_json(arguments: list[str]) -> bool:
    """Say whether a command line, right or wrong, wants its result and its errors as JSON."""
    return JSON_FLAG in arguments[: arguments.index("--") if "--" in arguments else None]


def usage_error(error: typer.TyperException) -> CommandError:
    """Return what the parser has refused as our failure, with the way to the command's help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tollkeeper"
    fault = _plainly(error)
    return wrong_usage(f"{fault.message}\nsee: {path} --help", *fault.violations)


def check_values(parameters: Iterable[Any], values: dict[str, Any]) -> None:
    """Refuse what no ledger can take: texts that are no UTF-8, and numbers that are none."""
    for parameter in parameters:
        value: Any = values.get(parameter.name)
        for each in _each(value):
            if isinstance(each, str) and not _is_text(each):
                # Not repeated: a database's URL has a password in it.
                name, must = name_of(parameter), "must be UTF-8"
                raise wrong_usage(f"{name} {must}", Violation(name, must))
            if isinstance(each, float) and not math.isfinite(each):
                raise wrong_option(name_of(parameter), each, "must be a number")


def name_of(parameter: Any) -> str:  # noqa: ANN401 - typer has no public type for it
    """Return what a person calls an option or an argument."""
    if parameter.param_type_name == "option":
        return max(parameter.opts, key=len)
    return (parameter.metavar or parameter.name).strip("[]…")


def choices_of(parameter: Any) -> list[str]:  # noqa: ANN401 - likewise
    """Return the words that an option takes, none where it takes any."""
    choices = parameter.type_descriptor.choices or ()
    return [str(each.value) for each in choices]


def _each(value: Any) -> Iterable[Any]:  # noqa: ANN401 - likewise
    return value if type(value) in {list, tuple} else (value,)


def _plainly(error: typer.TyperException) -> CommandError:
    parameter = getattr(error, "param", None)
    if parameter is None:
        option = getattr(error, "option_name", None)
        message = _message(error, option)
        return wrong_usage(message, *([Violation(option, message)] if option else []))
    name = name_of(parameter)
    if not isinstance(error.__cause__, ValidationError):
        missing = getattr(error, "param_type", "") is None
        must = "must be given" if missing else error.message
        return wrong_usage(f"{name} {must}", Violation(name, must))
    first = error.__cause__.errors(include_url=False)[0]
    words = choices_of(parameter)
    must = (
        f"must be one of {', '.join(words)}"
        if words
        else must_be(first["type"], first.get("ctx", {}))
    )
    return wrong_option(name, first["input"], must)


def _message(error: typer.TyperException, option: str | None) -> str:
    """Return the parser's words for what is of no option in particular, in our form."""
    likely: list[str] | None = getattr(error, "possibilities", None)
    if option is not None and hasattr(error, "possibilities"):
        near = ", ".join(sorted(likely or ()))
        return f"there is no option {option}" + (f"; did you mean {near}?" if near else "")
    text = error.format_message().rstrip(".")
    if option is not None:
        return text.replace(f"Option '{option}'", option)
    if (more := _TOO_MANY.fullmatch(text)) is not None:
        return f"there are too many arguments: {more[1]}"
    return text[:1].lower() + text[1:]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
