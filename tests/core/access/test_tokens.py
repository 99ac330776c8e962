"""Bearer tokens: their text, their hash, and when they are taken."""

import re
import secrets

import pytest

from tollkeeper.core.access import tokens
from tollkeeper.core.access.roles import Role
from tollkeeper.core.access.tokens import Token, TokenState, TokenText
from tollkeeper.core.errors import Reason, Refused

KEY = b"k" * tokens.KEY_BYTES
NOW_US = 1_790_000_000_000_000
SECOND_US = 1_000_000


def new_text() -> TokenText:
    return with_new_secret(tokens.new_id(secrets.token_bytes(tokens.ID_BYTES)))


def with_new_secret(token_id: str) -> TokenText:
    return tokens.new_text(token_id, secrets.token_bytes(tokens.SECRET_BYTES))


def made(text: TokenText, *, expires_us: int | None = None) -> Token:
    return tokens.create(
        tokens.hash_of(KEY, text),
        text.token_id,
        name="gateway",
        roles={Role.GATEWAY},
        expires_us=expires_us,
        now_us=NOW_US,
    )


def taken(token: Token, text: TokenText, now_us: int = NOW_US) -> bool:
    return token.takes(tokens.hash_of(KEY, text), now_us)


def test_the_text_has_an_id_and_a_secret_of_256_bits_and_is_read_again() -> None:
    text = new_text()
    assert re.fullmatch(r"tk_[a-z2-7]{16}_[a-z2-7]{52}", str(text))
    assert tokens.read_token(str(text)) == text
    assert len({new_text() for _ in range(100)}) == 100
    again = with_new_secret(text.token_id)
    assert (again.token_id, again.secret != text.secret) == (text.token_id, True)


@pytest.mark.parametrize("text", ["", "tk_", "tk_a_b", "TK_{0}", "{0} ", " {0}", "{0}a", "{0}\n"])
def test_what_is_no_token_is_not_read(text: str) -> None:
    assert tokens.read_token(text.format(new_text())) is None


def test_a_secret_is_neither_in_a_repr_nor_in_what_is_kept() -> None:
    text = new_text()
    token = made(text)
    kept = tokens.rotate(token, tokens.hash_of(KEY, new_text()), overlap_us=1, now_us=NOW_US)
    for shown in (repr(text), repr(token), repr(kept)):
        assert text.secret not in shown
        assert repr(token.hash) not in shown


def test_the_hash_depends_on_the_key_the_id_and_the_secret() -> None:
    text = new_text()
    other_id = TokenText(new_text().token_id, text.secret)
    hashes = {
        tokens.hash_of(KEY, text),
        tokens.hash_of(b"x" * tokens.KEY_BYTES, text),
        tokens.hash_of(KEY, other_id),
        tokens.hash_of(KEY, with_new_secret(text.token_id)),
    }
    assert len(hashes) == 4
    assert {len(each) for each in hashes} == {32}


def test_a_token_is_taken_with_its_own_secret_alone() -> None:
    text = new_text()
    token = made(text)
    assert taken(token, text)
    assert not taken(token, with_new_secret(text.token_id))
    assert not token.takes(b"", NOW_US)


def test_a_token_is_taken_until_it_expires() -> None:
    text = new_text()
    token = made(text, expires_us=NOW_US + SECOND_US)
    assert taken(token, text, NOW_US + SECOND_US - 1)
    assert not taken(token, text, NOW_US + SECOND_US)
    assert token.state(NOW_US + SECOND_US) is TokenState.EXPIRED


@pytest.mark.parametrize("expires_us", [NOW_US, NOW_US - 1, 0])
def test_an_expiry_that_has_passed_is_refused(expires_us: int) -> None:
    with pytest.raises(Refused) as refused:
        made(new_text(), expires_us=expires_us)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [each.field for each in refused.value.fields] == ["expire_time"]


@pytest.mark.parametrize("overlap_us", [0, SECOND_US])
def test_a_rotated_token_takes_both_secrets_for_the_overlap(overlap_us: int) -> None:
    before, after = (text := new_text()), with_new_secret(text.token_id)
    token = tokens.rotate(
        made(before), tokens.hash_of(KEY, after), overlap_us=overlap_us, now_us=NOW_US
    )
    assert taken(token, after)
    assert taken(token, before, NOW_US + overlap_us - 1) is (overlap_us > 0)
    assert not taken(token, before, NOW_US + overlap_us)
    assert taken(token, after, NOW_US + overlap_us)


def test_a_second_rotation_ends_the_first_secret() -> None:
    first = new_text()
    second, third = (with_new_secret(first.token_id) for _ in range(2))
    token = made(first)
    for text in (second, third):
        token = tokens.rotate(token, tokens.hash_of(KEY, text), overlap_us=SECOND_US, now_us=NOW_US)
    assert [taken(token, text) for text in (first, second, third)] == [False, True, True]


def test_a_revoked_token_is_never_taken_again() -> None:
    text = new_text()
    after = with_new_secret(text.token_id)
    token = tokens.rotate(
        made(text), tokens.hash_of(KEY, after), overlap_us=SECOND_US, now_us=NOW_US
    )
    revoked = tokens.revoke(token, now_us=NOW_US)
    assert not taken(revoked, text)
    assert not taken(revoked, after)
    assert revoked.state(NOW_US) is TokenState.REVOKED
    assert tokens.revoke(revoked, now_us=NOW_US + 1) == revoked


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_token_that_is_over_is_not_rotated(how: str) -> None:
    text = new_text()
    token = made(text, expires_us=NOW_US + 1)
    if how == "revoked":
        token = tokens.revoke(token, now_us=NOW_US)
    with pytest.raises(Refused, match=how.upper()) as refused:
        tokens.rotate(token, b"", overlap_us=0, now_us=NOW_US + 1)
    assert refused.value.reason is Reason.TOKEN_NOT_ACTIVE
    assert refused.value.metadata == {"token_id": text.token_id}
