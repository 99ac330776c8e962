"""What `make test` leaves to `make test-all`."""

from collections.abc import Sequence
from typing import Any

import pytest

thorough = pytest.mark.thorough


def with_thorough(values: Sequence[Any], *, quick: Sequence[Any]) -> list[Any]:
    """Make the parameters of a test: the `quick` ones for every run, the others for `make test-all`."""
    assert all(each in values for each in quick)
    return [each if each in quick else pytest.param(each, marks=thorough) for each in values]
