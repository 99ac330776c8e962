"""Which addresses a webhook may reach."""

import pytest

from tollkeeper.outgoing.addresses import is_allowed, parse_networks


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_a_public_address_may_be_reached(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse, nothing is bound to it
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff0e::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ],
)
def test_any_other_address_may_not(address: str) -> None:
    assert not is_allowed(address, ())


def test_networks_of_ones_own_may_be_reached_when_they_are_named() -> None:
    networks = parse_networks("10.0.0.0/8, 127.0.0.1,fd00::/8")

    assert is_allowed("10.1.2.3", networks)
    assert is_allowed("127.0.0.1", networks)
    assert is_allowed("::ffff:10.1.2.3", networks)
    assert is_allowed("fd00::7", networks)
    assert not is_allowed("127.0.0.2", networks)
    assert not is_allowed("192.168.0.1", networks)
