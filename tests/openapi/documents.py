"""OpenAPI documents as tests write, read and compare them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted
from tollkeeper.openapi.annotate import Annotated, annotate

FOLDER = Path(__file__).with_name("documents_of_others")


def price_list(*prices: Price, unlisted: Unlisted = Unlisted.FREE) -> PriceList:
    return PriceList(version=0, effective_us=0, prices=prices, unlisted=unlisted, note="")


def values(text: str) -> Any:
    """Read a document with a reader that is not ours."""
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        return json.loads(text)
    yaml: Any = YAML(typ="safe", pure=True, plug_ins=[])
    return yaml.load(text)


def annotated(text: str, *prices: Price, base_path: str | None = None) -> Annotated:
    return annotate(text, price_list(*prices), base_path=base_path)
