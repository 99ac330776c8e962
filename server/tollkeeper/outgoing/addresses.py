"""Says which addresses a webhook may reach.

By default only public ones: a caller that may name a URL must not reach a host that the server's network hides, such
as a cloud's metadata service. It is the address of each connection that is checked, so no name can lead past it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Network: TypeAlias = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4 = 0xFFFFFFFF


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read networks and addresses, comma separated. Raises ValueError."""
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())


def is_allowed(address: str, networks: Iterable[Network]) -> bool:
    """Say whether a connection to an address may be made; `networks` are allowed though they are not public."""
    ip = _meant(ip_address(address.partition("%")[0]))
    if ip.is_global and not ip.is_multicast:
        return True
    return any(ip in each for each in networks)


def is_loopback(address: str) -> bool:
    """Say whether an address leads to this machine alone."""
    return _meant(ip_address(address.partition("%")[0])).is_loopback


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & _IPV4)
    return address.ipv4_mapped or address.sixtofour or address
