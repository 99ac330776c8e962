"""What `serve` refuses before it starts: TLS files that cannot be used, and plain text beyond this machine.

Not a rule of the settings themselves: `migrate` and `verify` read them too, and listen nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.certificates import TlsFiles, TlsFilesError, read
from tollkeeper.cli.failure import CommandError, ExitCode, Violation, Why
from tollkeeper.listening import TcpAddress, is_loopback, parse_host_port, parse_listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.config import Settings


def check_transport(settings: Settings) -> None:
    """Raise CommandError, as for wrong settings, with everything that is wrong."""
    files = TlsFiles.of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    if files is not None:
        lines, violations = _faults_of(files)
    elif settings.insecure:
        return
    else:
        found = list(_plain_text(settings))
        lines = [f"{name} is {value!r}; it {must}" for name, value, must in found]
        violations = [Violation(name, must) for name, _, must in found]
    if violations:
        raise CommandError(
            "\n".join(lines), ExitCode.USAGE, reason=Why.WRONG_SETTINGS, violations=violations
        )


def _faults_of(files: TlsFiles) -> tuple[list[str], list[Violation]]:
    try:
        read(files)
    except TlsFilesError as error:
        return list(map(str, error.faults)), [
            Violation(each.setting, each.must) for each in error.faults
        ]
    return [], []


def _plain_text(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield each setting by which others could read along, with its value and what it must be."""
    for address in parse_listen(settings.listen):
        if isinstance(address, TcpAddress) and not is_loopback(address):
            yield "listen", settings.listen, _must(address, "127.0.0.1 or unix:PATH")
    if settings.metrics_listen is not None:
        metrics = TcpAddress(*parse_host_port(settings.metrics_listen))
        if not is_loopback(metrics):
            yield "metrics_listen", settings.metrics_listen, _must(metrics, "127.0.0.1")


def _must(address: TcpAddress, instead: str) -> str:
    return (
        f"must not offer plain text on {address}, which other machines may reach: give tls_cert and tls_key, "
        f"listen on {instead}, or allow it with --insecure (insecure = true)"
    )
