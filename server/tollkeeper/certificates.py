"""The TLS files of a server: read, checked, and read again where they change. Imports nothing of ours.

What is said of a file names the setting and the path. Nothing of a key is ever said.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cryptography.x509 import Certificate

LOOK_EVERY_S = 1.0
"""How often the files are looked at. Two looks in a row must find the same fault before it is one."""

CERT, KEY, CLIENT_CA = "tls_cert", "tls_key", "tls_client_ca"
"""The settings that name the files."""

log = logging.getLogger(__name__)

_UNHEARD = logging.getLogger(f"{__name__}.unheard")
_UNHEARD.disabled = True

_Contents: TypeAlias = "dict[str, bytes | str]"
"""By setting: what is in the file, or in words why it cannot be read."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificate with its chain, its key, and the authorities of its clients.

    `client_ca` None: clients need no certificate.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def of(cls, cert: Path | None, key: Path | None, client_ca: Path | None) -> Self | None:
        """Return the files that settings name; None where there is to be no TLS."""
        return None if cert is None or key is None else cls(cert, key, client_ca)

    def by_setting(self) -> Mapping[str, Path]:
        """Return each file by the setting that names it."""
        named = {CERT: self.cert, KEY: self.key, CLIENT_CA: self.client_ca}
        return {setting: path for setting, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is in the files, in PEM, once it has been checked."""

    cert: bytes = field(repr=False)
    key: bytes = field(repr=False)
    client_ca: bytes | None = field(repr=False)
    valid_from: datetime
    valid_until: datetime


class Fault(NamedTuple):
    """What is wrong with a file: the setting that names it, and what the file must be."""

    setting: str
    path: Path
    must: str

    def __str__(self) -> str:
        return f"{self.setting} is {str(self.path)!r}; it {self.must}"


class TlsFilesError(Exception):
    """Files that cannot be used; the message has a line for each fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle whole: workers tell their supervisor."""
        return TlsFilesError, (self.faults,)


def read(files: TlsFiles) -> Material:
    """Read and check the files. Raises TlsFilesError."""
    return _checked(files, _read(files))


class Certificates:
    """The newest usable content of the files. `current` may be read from any thread.

    `tells`: whether changes and faults are logged here; another part of the process may do it already.
    """

    def __init__(self, files: TlsFiles, *, tells: bool = True) -> None:
        """Read them. Raises TlsFilesError."""
        self._files = files
        self._log = log if tells else _UNHEARD
        self._taken = _read(files)
        self._doubtful: _Contents | None = None
        self._refused: _Contents | None = None
        self._warned_of: Material | None = None
        self.current = _checked(files, self._taken)
        self._warn_of_time()

    async def watch(self, on_change: Callable[[], None] = lambda: None) -> None:
        """Look at the files again and again, for ever; `on_change` is called once another content is in use."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                changed = await asyncio.to_thread(self.look)
                if changed:
                    on_change()
            except Exception:  # noqa: BLE001 - it is logged, and the next look may go well
                self._log.exception("the TLS files were not looked at; it is tried again")

    def look(self) -> bool:
        """Read the files again, and take what is new and usable; say whether there was something.

        Files are replaced one after the other, so a fault that is seen once may be a half of a change.
        """
        self._warn_of_time()
        found = _read(self._files)
        if found in (self._taken, self._refused):
            self._doubtful = None
            if found == self._taken:
                self._refused = None  # mended: the same fault would be a new one
            return False
        try:
            material = _checked(self._files, found)
        except TlsFilesError as error:
            if found == self._doubtful:
                self._refused = found
                self._log.error(
                    "the new TLS files are not used, and those from before stay in use: %s",
                    "; ".join(map(str, error.faults)),
                )
            self._doubtful = found
            return False
        self._taken, self._refused, self._doubtful = found, None, None
        self.current = material
        self._log.info("new TLS files are in use until=%s", material.valid_until.isoformat())
        self._warn_of_time()
        return True

    def _warn_of_time(self) -> None:
        """Warn once of a certificate that no client takes, since its time is over or has not come."""
        material, now = self.current, datetime.now(UTC)
        if self._warned_of is material or material.valid_from <= now <= material.valid_until:
            return
        self._warned_of = material
        path = self._files.cert
        if now > material.valid_until:
            until = material.valid_until.isoformat()
            self._log.warning("%s is %r, a certificate that expired at %s", CERT, str(path), until)
        else:
            begin = material.valid_from.isoformat()
            self._log.warning(
                "%s is %r, a certificate that is valid only from %s", CERT, str(path), begin
            )


def names_of(pem: bytes) -> list[str]:
    """Return the host names and addresses that a certificate is for. Raises ValueError for what is none."""
    from cryptography import x509  # noqa: PLC0415 - slow to load, and most servers need none

    certificate = x509.load_pem_x509_certificates(pem)[0]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def _read(files: TlsFiles) -> _Contents:
    contents: _Contents = {}
    for setting, path in files.by_setting().items():
        try:
            contents[setting] = path.read_bytes()
        except OSError as error:
            contents[setting] = (error.strerror or type(error).__name__).lower()
    return contents


def _checked(files: TlsFiles, contents: _Contents) -> Material:
    """Return what the files have. Raises TlsFilesError with everything that is wrong."""
    musts: dict[str, str] = {}
    pem: dict[str, bytes] = {}
    for setting, content in contents.items():
        if isinstance(content, str):
            musts[setting] = f"cannot be read: {content}"
        else:
            pem[setting] = content
    chain = _certificates(CERT, pem, musts)
    if CLIENT_CA in pem:
        _certificates(CLIENT_CA, pem, musts)
    if KEY in pem:
        must = _fault_of_key(pem[KEY], chain[0] if chain else None)
        if must:
            musts[KEY] = must
    if musts:
        paths = files.by_setting()
        raise TlsFilesError(
            [Fault(each, paths[each], musts[each]) for each in paths if each in musts]
        )
    return Material(
        pem[CERT],
        pem[KEY],
        pem.get(CLIENT_CA),
        valid_from=chain[0].not_valid_before_utc,
        valid_until=chain[0].not_valid_after_utc,
    )


def _certificates(
    setting: str, pem: Mapping[str, bytes], musts: dict[str, str]
) -> list[Certificate]:
    from cryptography import x509  # noqa: PLC0415 - slow to load, and most servers need none

    if setting not in pem:
        return []
    try:
        return x509.load_pem_x509_certificates(pem[setting])
    except ValueError:
        musts[setting] = "must have a certificate in PEM (-----BEGIN CERTIFICATE-----)"
        return []


def _fault_of_key(pem: bytes, certificate: Certificate | None) -> str:
    """Return what is wrong with a key, without a word of it; empty where nothing is."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - likewise

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        return "must be a key without a password"
    except (ValueError, UnsupportedAlgorithm):
        return "must be a private key in PEM (-----BEGIN PRIVATE KEY-----)"
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return "must be an RSA key or one on an elliptic curve of NIST, such as P-256"
    if certificate is None:
        return ""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return f"must be the key of the first certificate in {CERT}; it is that of another"
    return ""
