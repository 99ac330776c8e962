"""The accounts that a caller is bound to."""

import pytest

from tollkeeper.core.access.scope import ALL, PATTERNS_MAX, Scope, read_scope
from tollkeeper.core.errors import Reason, Refused


@pytest.mark.parametrize(
    ("patterns", "account_id", "has"),
    [
        ([], "acme", True),
        (["acme"], "acme", True),
        (["acme"], "acme2", False),
        (["acme"], "Acme", False),
        (["acme"], "acm", False),
        (["team-*"], "team-a", True),
        (["team-*"], "team-", True),
        (["team-*"], "team", False),
        (["team-*", "acme"], "acme", True),
        (["team-*", "acme"], "other", False),
    ],
)
def test_an_account_is_in_a_scope_by_its_id_or_by_its_beginning(
    patterns: list[str], account_id: str, *, has: bool
) -> None:
    assert read_scope("accounts", patterns).has(account_id) is has


@pytest.mark.parametrize(
    ("patterns", "prefix", "has"),
    [
        ([], "", True),
        (["team-*"], "team-", True),
        (["team-*"], "team-a", True),
        (["team-*"], "tea", False),
        (["team-*"], "", False),
        (["acme"], "acme", False),
    ],
)
def test_a_prefix_is_in_a_scope_where_all_its_accounts_are(
    patterns: list[str], prefix: str, *, has: bool
) -> None:
    assert read_scope("accounts", patterns).has_all_of(prefix) is has


def test_what_another_pattern_has_is_left_out() -> None:
    scope = read_scope("accounts", ["b", "team-a", "team-*", "team-b*", "a", "a"])
    assert scope == Scope(("a", "b", "team-*"))
    assert str(scope) == "a,b,team-*"
    assert read_scope("accounts", str(scope).split(",")) == scope


def test_no_pattern_means_every_account() -> None:
    assert read_scope("accounts", []) == ALL
    assert ALL.is_all
    assert not Scope(("a",)).is_all


@pytest.mark.parametrize("pattern", ["", "*", "a b", "a*b", "a**", "ü", "a" * 129, "a\n", "a,b"])
def test_a_bad_pattern_is_refused_by_its_field(pattern: str) -> None:
    with pytest.raises(Refused) as refused:
        read_scope("accounts", ["acme", pattern])
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [each.field for each in refused.value.fields] == ["accounts[1]"]


def test_too_many_patterns_are_refused() -> None:
    many = [f"a-{number}" for number in range(PATTERNS_MAX)]
    assert len(read_scope("accounts", many).patterns) == PATTERNS_MAX
    with pytest.raises(Refused, match="101 patterns"):
        read_scope("accounts", [*many, "one-more"])
