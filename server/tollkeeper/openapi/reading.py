"""Reads a document of either form into a tree."""

from __future__ import annotations

from tollkeeper.openapi.json_tree import parse_json
from tollkeeper.openapi.tree import Form, Node


def parse(text: str, form: Form) -> Node:
    """Read a document. Raises NotReadableError."""
    if form is Form.JSON:
        return parse_json(text)
    from tollkeeper.openapi.yaml_tree import parse_yaml  # noqa: PLC0415 - slow to load

    return parse_yaml(text)
