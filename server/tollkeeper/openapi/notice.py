"""The Credits notice of an operation: a paragraph of its description, and the extension x-credits.

The paragraph is known by its words, so it is found again, replaced and taken out without a trace;
the rest of the description is not touched.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollkeeper.core.pricing.price_lists import Price

EXTENSION = "x-credits"

_NOTICE = re.compile(r"\*\*Credits:\*\* [0-9,]+ credits? per request\.[^\n]*")
_APPENDED = re.compile(rf"\n\n{_NOTICE.pattern}(?=\n|\Z)")
_ALONE = re.compile(rf"{_NOTICE.pattern}(?:\n+|\Z)")


def notice_of(price: Price) -> str:
    """Return the notice of a price: one paragraph on one line, in Markdown."""
    noun = "credit" if price.credits == 1 else "credits"
    sentences = [f"**Credits:** {price.credits:,} {noun} per request."]
    if price.charge_on:
        sentences.append(f"Consumed by responses with status {', '.join(price.charge_on)}.")
    if price.note:
        sentences.append(price.note if price.note.endswith((".", "!", "?")) else f"{price.note}.")
    return " ".join(sentences)


def extension_of(price: Price) -> str:
    """Return the value of x-credits as JSON on one line."""
    said: dict[str, object] = {"credits": price.credits}
    if price.note:
        said["note"] = price.note
    if price.charge_on:
        said["charge_on"] = list(price.charge_on)
    return json.dumps(said)


def without_notice(description: str) -> str:
    """Return a description as it was before it had a notice; empty where it was nothing else."""
    text = _APPENDED.sub("", description)
    return _ALONE.sub("", text, count=1) if _ALONE.match(text) else text


def with_notice(description: str, notice: str) -> str:
    """Return a description with this notice at its end, instead of any other."""
    text = without_notice(description)
    body = text.rstrip("\n")
    return f"{body}\n\n{notice}{text[len(body) :]}" if body else notice
