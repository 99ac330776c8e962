"""Reads what a server shows over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Metrics:
    """The samples of one page, by name and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(
        default_factory=dict[tuple[str, frozenset[tuple[str, str]]], float]
    )

    def value(self, name: str, **labels: str) -> float:
        """One sample."""
        return self.samples[name, frozenset(labels.items())]

    def by(self, label: str, name: str, **labels: str) -> Counter[str]:
        """The samples of a name that have these labels, added up by another of their labels."""
        found: Counter[str] = Counter()
        for (each, its), value in self.samples.items():
            if each == name and labels.items() <= dict(its).items():
                found[dict(its)[label]] += int(value)
        return found

    def ended(self, method: str) -> Counter[str]:
        """How many calls of a method have ended, by status code; nothing for those that have none."""
        return +self.by("grpc_code", "grpc_server_handled_total", grpc_method=method)


def read_metrics(address: str) -> Metrics:
    families = text_string_to_metric_families(read(f"http://{address}/metrics")[1])
    return Metrics(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
    )


def read_health(address: str, path: str = "/healthz") -> tuple[int, dict[str, Any]]:
    status, page = read(f"http://{address}{path}")
    return status, json.loads(page)


def read(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- our own address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
