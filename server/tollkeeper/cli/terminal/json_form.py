"""Answers as JSON: the protobuf JSON mapping, made easy for scripts.

Names are the proto's, 64-bit integers are numbers, and every plain field is there, also where it
is zero; an enum is its name, a time is RFC 3339, a message that is not set is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.json_format import MessageToDict

from tollkeeper.cli.terminal.visible import visible_json

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

_WELL_KNOWN = "google.protobuf."


def to_dict(message: Message) -> dict[str, Any]:
    """Return the answer as plain values, its fields in the order of the proto."""
    mapped: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _arranged(mapped, cast("Descriptor", message.DESCRIPTOR))


def to_json(value: dict[str, Any]) -> str:
    """Return the text that `--json` prints."""
    return visible_json(json.dumps(value, indent=2, ensure_ascii=False))


def to_json_line(value: dict[str, Any]) -> str:
    """Return the same on one line, without a blank that means nothing."""
    return visible_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _arranged(mapped: dict[str, Any], descriptor: Descriptor) -> dict[str, Any]:
    return {
        field.name: [_value(each, field) for each in mapped[field.name]]
        if field.is_repeated
        else _value(mapped[field.name], field)
        for field in descriptor.fields
        if field.name in mapped
    }


def _value(mapped: Any, field: FieldDescriptor) -> Any:  # noqa: ANN401 - any JSON value
    """Turn the strings that the mapping makes of 64-bit integers back into numbers."""
    if field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT64}:
        return int(mapped)
    if field.message_type and not field.message_type.full_name.startswith(_WELL_KNOWN):
        return _arranged(mapped, field.message_type)
    return mapped
