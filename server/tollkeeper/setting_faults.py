"""What is wrong with the value of a setting or an option, in words for a person. Imports nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def must_be(kind: str, context: Mapping[str, Any]) -> str:
    """Say what is allowed, in the words of our other messages; `kind` and `context` are a ValidationError's."""
    if kind == "value_error":
        return str(context["error"])
    return f"must be {_MUST_BE.get(kind, 'something else').format(**context)}"


_MUST_BE = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    "int_parsing_size": "a whole number of fewer digits",
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "a number"),
    "string_type": "a text, in quotes",
    "string_unicode": "UTF-8",
    "path_type": "the name of a file, in quotes",
}
"""What is wanted where a ValidationError has one of these types."""
