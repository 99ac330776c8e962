"""What a database's URL may say, and what is said of one that is wrong: never a piece of it."""

import pytest

from tollkeeper.storage.connections.urls import parse_address

SECRETS = ("s3cret", "w0rd")


@pytest.mark.parametrize(
    ("url", "pooled"),
    [
        ("postgresql+psycopg://u@h/ledger", False),
        ("postgresql+psycopg://u:s3cret@h:5432/ledger?sslmode=require", False),
        ("postgresql+psycopg://u@h/ledger?pooler=transaction&connect_timeout=2", True),
        ("postgresql+psycopg://u@server:s3cret@h/ledger", False),
        ("postgresql+psycopg:///ledger?host=/run/postgresql&host=other", False),
        ("postgresql+psycopg://u@h/ledger?options=-csearch_path%3Dx", False),
    ],
)
def test_a_url_that_can_be_used(url: str, pooled: bool) -> None:
    address = parse_address(url)

    assert address.pooled is pooled
    assert address.on_postgres
    assert "pooler" not in address.url.query


@pytest.mark.parametrize(
    "password",
    ["s3cret@w0rd", "s3cret@w0rd:1", "s3cret@w0rd/x", "@s3cret", "s3cret%ff", "s3@cret:w0rd@"],
)
@pytest.mark.parametrize("host", ["h", "h:5432", "[::1]:5432"])
def test_a_password_that_is_not_percent_encoded_is_said_to_be_so(password: str, host: str) -> None:
    with pytest.raises(ValueError, match="not percent-encoded: write %40 for @") as refused:
        parse_address(f"postgresql+psycopg://u:{password}@{host}/ledger")

    assert not any(each in str(refused.value) for each in SECRETS)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("prepare_threshold=5", "prepare_threshold, which tollkeeper sets itself.*pooler=trans"),
        ("autocommit=1", "autocommit, which tollkeeper sets itself"),
        ("client_encoding=latin1", "client_encoding, which tollkeeper sets itself"),
        ("replication=database", "replication, which tollkeeper sets itself"),
        ("foo=1", "parameter foo, which PostgreSQL's libpq does not know"),
        ("connect_timeout=soon", "connect_timeout, which must be a whole number"),
        ("keepalives_idle=-", "keepalives_idle, which must be a whole number"),
        ("sslmode=require&sslmode=disable", "sslmode more than once"),
        (
            "pooler=session",
            "pooler that is not known; write pooler=transaction for any pooler, or leave it out",
        ),
        ("pooler=transaction&pooler=transaction", "pooler that is not known"),
        ("pooler=transaction&options=-cjit%3Doff", "both options and pooler=transaction"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_named(query: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_address(f"postgresql+psycopg://u@h/ledger?{query}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://u:p4ss@s3cret?w0rd=x@h/db", "not percent-encoded"),
        ("postgresql+psycopg://u/er:s3cret@w0rd/db", "not percent-encoded"),
        ("postgresql+psycopg://u:s3cret@h/db?w0rd=x", "a parameter that .* does not know"),
        ("postgresql+psycopg://h/db?password=s3cret&w0rd=x", "a parameter that .* does not know"),
        ("postgresql+psycopg://u:s3cret\udcff@h/db", "must be UTF-8"),
        ("postgresql+psycopg:///db?host=a&host=b&port=1", "as many ports as hosts"),
        ("sqlite:///x.db?uri=true&mode=s3cret", "a SQLite ledger takes none"),
        (f"sqlite:///{'a' * 300}.db", "a file that cannot be: file name too long"),
    ],
)
def test_no_piece_of_a_url_is_shown_and_nothing_ends_in_a_traceback(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_address(url)

    assert not any(each in str(refused.value) for each in SECRETS)


def test_a_port_that_is_no_number_is_said_to_be_so() -> None:
    with pytest.raises(ValueError, match="port that is no number"):
        parse_address("postgresql+psycopg://h:five/ledger")
