"""What `--help` prints: usage, what a command does, its arguments and options, and examples.

Every paragraph is broken once, for the width there is; a line of an example is broken where a shell goes on.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from tollkeeper.cli.failure import wrong_usage
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.layout import wrapped
from tollkeeper.cli.usage import check_values, choices_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import typer

WIDTH_MAX = 80
_WIDTH_MIN = 40
_TERM_MAX = 24
"""Columns of what a line explains; one that is longer has a line of its own."""
_INDENT = "  "
_OPTION = re.compile(r" (?=--[a-z])")


class HelpfulCommand(TyperCommand):
    """A command with our help, which refuses values that no ledger can take."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - no public type
        """Write the page."""
        formatter.write(_page(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - likewise
        """Read the command line. Raises CommandError."""
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            check_values(self.params, ctx.params)
        return rest


class HelpfulGroup(TyperGroup):
    """A group of commands with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - likewise
        """Write the page."""
        formatter.write(_page(self, ctx, self.commands.items()))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - likewise
        """Read the command line; without a command, show the help. Raises CommandError."""
        if not args and not ctx.resilient_parsing:
            streams.tell(_page(self, ctx, self.commands.items()))
            raise wrong_usage(
                f"{ctx.command_path} needs a command: {', '.join(self.commands)}"
            ).told_already()
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - likewise
        """Find the command that is named. Raises CommandError where there is none."""
        name = args[0]
        if not name.startswith("-") and name not in self.commands and not ctx.resilient_parsing:
            known = ", ".join(self.commands)
            raise wrong_usage(
                f"there is no command {name!r}; there are {known}\nsee: {ctx.command_path} --help"
            )
        return super().resolve_command(ctx, args)


def make_helpful(commands: typer.Typer) -> None:
    """Give every command and group below this one our help."""
    commands.info.cls = HelpfulGroup
    for command in commands.registered_commands:
        if not issubclass(command.cls or TyperCommand, HelpfulCommand):
            command.cls = HelpfulCommand
    for group in commands.registered_groups:
        group.cls = HelpfulGroup
        if group.typer_instance is not None:
            make_helpful(group.typer_instance)


def _page(command: Any, context: Any, within: Iterable[tuple[str, Any]] = ()) -> str:  # noqa: ANN401
    width = max(_WIDTH_MIN, min(streams.width() or WIDTH_MAX, WIDTH_MAX))
    parameters = [
        each for each in command.get_params(context) if not getattr(each, "hidden", False)
    ]
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    options = [each for each in parameters if each.param_type_name == "option"]
    commands = list(within)
    usage = " ".join(
        [
            context.command_path,
            "[OPTIONS]",
            *(_term_of_argument(each) for each in arguments),
            *(["COMMAND …"] if commands else []),
        ]
    )
    lines = _broken(f"Usage: {usage}", width, more="         ")
    for paragraph in _paragraphs(command.help):
        lines += ["", *wrapped(paragraph, width)]
    sections = {
        "Arguments": [(_term_of_argument(each), _said_of(each)) for each in arguments],
        "Options": [(_term_of_option(each), _said_of(each)) for each in options],
        "Commands": [(name, next(iter(_paragraphs(each.help)), "")) for name, each in commands],
    }
    for title, entries in sections.items():
        if entries:
            lines += ["", f"{title}:", *_definitions(entries, width)]
    return "\n".join([*lines, *_examples(command.epilog or "", width)]) + "\n"


def _paragraphs(text: str | None) -> list[str]:
    """Return the paragraphs of a docstring, each on one line."""
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", inspect.cleandoc(text or ""))]


def _term_of_argument(argument: Any) -> str:  # noqa: ANN401 - likewise
    return argument.metavar or argument.name.upper()


def _term_of_option(option: Any) -> str:  # noqa: ANN401 - likewise
    names = ", ".join(sorted(option.opts, key=len))
    if option.is_flag:
        return names
    return f"{names} {option.metavar or max(option.opts, key=len).strip('-').upper()}"


def _said_of(parameter: Any) -> str:  # noqa: ANN401 - likewise
    """Say what a parameter is, what it may be, what it is if not given, and which variable sets it."""
    words = choices_of(parameter)
    least, most = (
        getattr(parameter.type_descriptor.parameter_info, name, None) for name in ("min", "max")
    )
    parts = [" ".join((parameter.help or "").split())]
    if words:
        parts.append(f"One of {', '.join(words)}.")
    if least is not None:
        parts.append(
            f"At least {least:,g}."
            if most is None
            else f"From {_figure(least)} to {_figure(most)}."
        )
    default = _default_of(parameter)
    variable = getattr(parameter, "envvar", None)
    if parameter.required and parameter.param_type_name == "option":
        parts.append("Required.")
    if default and variable:
        parts.append(f"Default {default}; or set {variable}.")
    elif default or variable:
        parts.append(f"Default {default}." if default else f"Or set {variable}.")
    return " ".join(filter(None, parts))


def _figure(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,g}"


def _default_of(parameter: Any) -> str:  # noqa: ANN401 - likewise
    shown, default = getattr(parameter, "show_default", True), parameter.default
    if isinstance(shown, str):
        return shown
    if not shown or default is None or default is False or default == "" or callable(default):
        return ""
    value = getattr(default, "value", default)
    return _figure(value) if isinstance(value, int | float) else str(value)


def _definitions(entries: list[tuple[str, str]], width: int) -> list[str]:
    fitting = [len(term) for term, _ in entries if len(term) <= _TERM_MAX]
    column = max(fitting, default=_TERM_MAX) + 2 * len(_INDENT)
    lines: list[str] = []
    for term, said in entries:
        parts = wrapped(said, width - column)
        head = f"{_INDENT}{term}"
        if len(head) + len(_INDENT) > column:
            lines.append(head)
            head = ""
        for part in parts:
            lines.append(f"{head:<{column}}{part}".rstrip())
            head = ""
    return lines


def _examples(epilog: str, width: int) -> list[str]:
    title, *examples = epilog.split("\n\n")
    if not examples:
        return []
    lines = ["", title]
    for example in examples:
        lines += [f"{_INDENT}{line}" for line in _broken(example, width - len(_INDENT))]
    return lines


def _broken(command: str, width: int, more: str = "      ") -> list[str]:
    r"""Break a command before options, with the \ that lets a shell go on; what is no command, without."""
    if len(command) <= width:
        return [command]
    is_command = not command.startswith("Usage")
    end = " \\" if is_command else ""
    lines: list[str] = []
    line = ""
    for part in (_OPTION if is_command else re.compile(" ")).split(command):
        longer = f"{line} {part}" if line else part
        if line.strip() and len(longer) + len(end) > width:
            lines.append(line + end)
            line = f"{more}{part}"
        else:
            line = longer
    return [*lines, line]
