"""Posts to receivers of webhooks: one request, one connection, one bound of time, nothing followed.

What a receiver or the network does becomes an `Answer` in words for an operator, never an exception. The words do not
repeat the URL, which may hold a token of the receiver's.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp

from tollkeeper.core.webhooks.deliveries import Answer
from tollkeeper.outgoing.addresses import is_allowed, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.outgoing.addresses import Network

    _AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
    """As getaddrinfo gives it."""

CONNECT_TIMEOUT_S = 5.0
WORDS_BYTES_MAX = 1_024
"""How much of a refusal's body is read, to show its beginning."""

_WORDS_MAX = 120
_WORDS_TIMEOUT_S = 1.0
_UNPRINTABLE = re.compile(r"[^!-~]+")
_REDIRECTIONS = range(300, 400)
_US_PER_S = 1_000_000
_NOT_PUBLIC = "its address is not public, and none of webhook_networks"
_PLAIN_TEXT = "its url is http:// and its address is not loopback; use https://, or start the server with --insecure"


class NotPublicError(OSError):
    """The address is not one that a webhook may reach."""


class PlainTextError(OSError):
    """The address is one to which nothing is sent in plain text."""


class HttpSender:
    """See `webhook_ports.Sender`. Belongs to one event loop.

    `plain_http`: whether http:// may lead to other addresses than loopback ones.
    """

    def __init__(
        self, *, timeout_s: float, networks: Sequence[Network] = (), plain_http: bool = False
    ) -> None:
        self._timeout_s = timeout_s
        self._networks = networks
        self._plain_http = plain_http
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """By whether they lead to loopback addresses alone."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request and say what came of it."""
        try:
            plain = not self._plain_http and url[:5].lower() == "http:"
            async with self._opened(loopback_only=plain).post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await _read(response)
        except TimeoutError:
            return Answer(0, f"did not answer within {self._timeout_s:g} s")
        except aiohttp.InvalidURL:
            return Answer(0, "its url cannot be used")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(0, _words(error))

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()

    def _opened(self, *, loopback_only: bool) -> aiohttp.ClientSession:
        if loopback_only not in self._sessions:
            self._sessions[loopback_only] = aiohttp.ClientSession(
                # A connection that is kept may be dead when it is wanted, which would cost an attempt.
                connector=aiohttp.TCPConnector(
                    limit=0,
                    force_close=True,
                    use_dns_cache=False,
                    socket_factory=partial(self._socket, loopback_only=loopback_only),
                ),
                timeout=aiohttp.ClientTimeout(
                    total=self._timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, self._timeout_s)
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
                trust_env=False,
            )
        return self._sessions[loopback_only]

    def _socket(self, address: _AddressInfo, *, loopback_only: bool) -> socket.socket:
        """Make the socket of a connection, once its address is known to be allowed."""
        family, kind, protocol, _, where = address
        if not is_allowed(str(where[0]), self._networks):
            raise NotPublicError(_NOT_PUBLIC)
        if loopback_only and not is_loopback(str(where[0])):
            raise PlainTextError(_PLAIN_TEXT)
        return socket.socket(family, kind, protocol)


async def _read(response: aiohttp.ClientResponse) -> Answer:
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
        return Answer(status)
    if status in _REDIRECTIONS:
        return Answer(status, f"answered {status}, which is not followed")
    said = await _beginning(response)
    error = f"answered {status}" + (f": {said}" if said else "")
    return Answer(status, error, _retry_after_us(response.headers.get("Retry-After", "")))


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """Return the beginning of a refusal in printable characters; empty where it does not come soon."""
    try:
        async with asyncio.timeout(_WORDS_TIMEOUT_S):
            raw = await response.content.read(WORDS_BYTES_MAX)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return ""
    words = _UNPRINTABLE.sub(" ", raw.decode("ascii", "replace")).strip()
    return words if len(words) <= _WORDS_MAX else words[: _WORDS_MAX - 3] + "..."


def _retry_after_us(text: str) -> int:
    """Read a Retry-After, in seconds or as a date; 0 for none that can be read."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text) * _US_PER_S
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, int((moment.timestamp() - time.time()) * _US_PER_S))


def _words(error: Exception) -> str:
    """Say what went wrong, in words of ours."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate cannot be trusted"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "TLS with it failed"
        case aiohttp.ClientConnectorDNSError():
            return "its host name has no address"
        case aiohttp.ClientConnectorError():
            return _words(error.os_error)
        case NotPublicError():
            return _NOT_PUBLIC
        case PlainTextError():
            return _PLAIN_TEXT
        case ConnectionRefusedError():
            return "refused the connection"
        case aiohttp.ClientResponseError():
            return "answered what is not HTTP"
        case (
            aiohttp.ServerDisconnectedError()
            | aiohttp.ClientOSError()
            | ConnectionResetError()
            | aiohttp.ClientPayloadError()
        ):
            return "closed the connection before it had answered"
        case _:
            return "cannot be reached"
