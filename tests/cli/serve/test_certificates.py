"""TLS files that change: which content is in use after each look at them, and what is logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Authority, Issued
from tollkeeper.certificates import Certificates, TlsFiles, names_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def issued() -> tuple[Issued, Issued]:
    authority = Authority()
    return authority.issue(), authority.issue("ledger.example.com", "192.0.2.7")


def errors(log: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in log.records if each.levelno == logging.ERROR]


def test_a_half_of_a_change_is_no_fault(
    issued: tuple[Issued, Issued], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = issued
    cert, key = first.write(tmp_path)
    certificates = Certificates(TlsFiles(cert, key))

    cert.write_bytes(second.cert)
    at_half = certificates.look()
    key.write_bytes(second.key)
    at_whole = certificates.look()

    assert (at_half, at_whole, certificates.current.cert) == (False, True, second.cert)
    assert errors(caplog) == []


def test_a_fault_that_stays_is_told_once_and_what_was_good_stays_in_use(
    issued: tuple[Issued, Issued], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = issued
    cert, key = first.write(tmp_path)
    certificates = Certificates(TlsFiles(cert, key))

    cert.write_bytes(second.cert)
    looks = [certificates.look() for _ in range(5)]
    (told,) = errors(caplog)
    first.write(tmp_path)
    back = certificates.look()

    assert not any(looks)
    assert not back, "nothing is new"
    assert certificates.current.cert == first.cert
    assert "PRIVATE KEY" not in told
    assert str(key) in told


def test_a_fault_is_told_again_after_it_was_mended(
    issued: tuple[Issued, Issued], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = issued
    cert, key = first.write(tmp_path)
    certificates = Certificates(TlsFiles(cert, key))

    for _ in range(2):
        cert.unlink()
        for _ in range(3):
            certificates.look()
        first.write(tmp_path)
        certificates.look()

    assert len(errors(caplog)) == 2


def test_nothing_of_a_key_is_in_the_text_of_what_was_read(
    issued: tuple[Issued, Issued], tmp_path: Path
) -> None:
    cert, key = issued[0].write(tmp_path)

    text = repr(Certificates(TlsFiles(cert, key)).current)

    assert "PRIVATE" not in text
    assert "valid_until" in text


def test_the_names_of_a_certificate_are_read(issued: tuple[Issued, Issued]) -> None:
    assert names_of(issued[1].cert) == ["ledger.example.com", "192.0.2.7"]
