"""The settings of a server: flag, else TOLLKEEPER_<NAME>, else key of the TOML file, else default.

What is wrong is reported whole: each setting by its name, where its value came from, and what is
allowed. A database URL is never repeated in a message, since it may hold a password.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tollkeeper import connection_settings as connections
from tollkeeper.connection_settings import Written
from tollkeeper.core import defaults
from tollkeeper.core.account import SHARDS
from tollkeeper.core.defaults import DAY_S, HOLD_MAX_S
from tollkeeper.listening import UnixAddress, parse_host_port, parse_listen
from tollkeeper.setting_faults import must_be

ENVIRONMENT_PREFIX = "TOLLKEEPER_"

HOLD_TOTAL_S_MAX = 30 * DAY_S
KEPT_S_MAX = 36_500 * DAY_S
"""A hundred years: what is longer is a slip."""

_SECRET = frozenset({"database"})
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
"""How a text says yes or no."""
_SHOWN_MAX = 100
_DATABASES = ("sqlite:///", "postgresql+psycopg://")


class SettingsError(Exception):
    """Settings that cannot be used; `findings` has one line for each that is wrong.

    `musts` has the name of each of those and what it must be, where the fault is of a single setting.
    """

    def __init__(self, findings: list[str], musts: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings
        self.musts = tuple(musts)


def _listen(text: str) -> str:
    parse_listen(text)
    return text


def _host_port(text: str) -> str:
    parse_host_port(text)
    return text


def _host_port_or_none(text: str | None) -> str | None:
    return None if text is None else _host_port(text)


def _database_url(text: str) -> str:
    if not text.startswith(_DATABASES) or text in _DATABASES:
        raise ValueError("must be sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    return text


def _networks(text: str | None) -> str | None:
    for each in (text or "").split(","):
        try:
            ip_network(each.strip() or "::")
        except ValueError:
            raise ValueError(
                "must be networks or addresses, such as 10.0.0.0/8,127.0.0.1"
            ) from None
    return text


class Settings(BaseSettings):
    """What `tollkeeper serve` can be told. Durations are in seconds."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_ignore_empty=True,
    )

    listen: Annotated[str, AfterValidator(_listen), Written("ADDRESSES")] = Field(
        "127.0.0.1:50051",
        description="Where to serve: HOST:PORT, :PORT or unix:PATH, or several by commas; port 0 picks a free one.",
    )
    database: Annotated[str, AfterValidator(_database_url), Written("URL")] = Field(
        "sqlite:///tollkeeper.db",
        description="Where the ledger is: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.",
    )
    prices: Annotated[Path | None, Written("FILE")] = Field(
        None, description="A price list, published at the start if the ledger has none."
    )
    workers: int = Field(
        1,
        ge=1,
        le=SHARDS,
        description="Processes that share the port; more than 1 only on PostgreSQL.",
    )
    lanes: int = Field(
        0,
        ge=0,
        le=SHARDS,
        description="Batches that a worker may run side by side on PostgreSQL; 0 means 2, and 1 "
        "where there are several workers.",
    )
    store_timeout_s: int = Field(
        defaults.STORE_TIMEOUT_S,
        ge=1,
        le=300,
        description="How long PostgreSQL may take to answer before its connection is given up.",
    )
    hold_default_s: int = Field(
        defaults.HOLD_DEFAULT_S,
        ge=1,
        le=HOLD_MAX_S,
        description="How long a hold lasts where the caller does not say.",
    )
    hold_max_s: int = Field(
        HOLD_MAX_S, ge=1, le=HOLD_MAX_S, description="The longest hold that a caller may ask for."
    )
    hold_total_max_s: int = Field(
        defaults.HOLD_TOTAL_MAX_S,
        ge=1,
        le=HOLD_TOTAL_S_MAX,
        description="The longest that a hold may last in all, where it is extended.",
    )
    late_window_s: int = Field(
        defaults.LATE_WINDOW_S,
        ge=0,
        le=KEPT_S_MAX,
        description="How long after its expiry a hold can still be charged.",
    )
    retention_s: int = Field(
        defaults.RETENTION_S,
        ge=0,
        le=KEPT_S_MAX,
        description="How long settled reservations are kept at least.",
    )
    drain_delay_s: int = Field(
        0,
        ge=0,
        le=3_600,
        description="How long calls are served on after SIGTERM, while health says NOT_SERVING.",
    )
    drain_s: int = Field(
        30,
        ge=0,
        le=3_600,
        description="How long calls in flight may take once no new ones are served.",
    )
    webhook_networks: Annotated[str | None, AfterValidator(_networks), Written("NETWORKS")] = Field(
        None,
        description="Networks that webhooks may reach though they are not public, such as 10.0.0.0/8.",
    )
    webhook_timeout_s: int = Field(
        defaults.WEBHOOK_TIMEOUT_S,
        ge=1,
        le=20,
        description="How long a webhook's receiver may take to answer.",
    )
    webhook_retry_s: int = Field(
        defaults.WEBHOOK_RETRY_S,
        ge=1,
        le=3_600,
        description="The longest wait before a second attempt; it doubles.",
    )
    webhook_retry_max_s: int = Field(
        defaults.WEBHOOK_RETRY_MAX_S,
        ge=1,
        le=DAY_S,
        description="The longest wait between two attempts.",
    )
    webhook_attempts: int = Field(
        defaults.WEBHOOK_ATTEMPTS,
        ge=1,
        le=1_000,
        description="Attempts after which a delivery is given up.",
    )
    webhook_give_up_s: int = Field(
        defaults.WEBHOOK_GIVE_UP_S,
        ge=1,
        le=30 * DAY_S,
        description="How long a delivery is tried at most.",
    )
    message_bytes_max: connections.MessageBytes = defaults.MESSAGE_BYTES_MAX
    metadata_bytes_max: connections.MetadataBytes = defaults.METADATA_BYTES_MAX
    streams_max: connections.Streams = defaults.STREAMS_MAX
    keepalive_s: connections.Keepalive = defaults.KEEPALIVE_S
    keepalive_timeout_s: connections.KeepaliveTimeout = defaults.KEEPALIVE_TIMEOUT_S
    keepalive_client_s: connections.ClientKeepalive = defaults.KEEPALIVE_CLIENT_S
    connection_age_s: connections.ConnectionAge = 0
    connection_grace_s: connections.ConnectionGrace = defaults.CONNECTION_GRACE_S
    connection_idle_s: connections.ConnectionIdle = 0
    channelz: connections.Channelz = "off"
    metrics_listen: Annotated[
        str | None, AfterValidator(_host_port_or_none), Written("HOST:PORT")
    ] = Field(
        None,
        description="The address of metrics and health over HTTP, or with tls_cert over HTTPS: HOST:PORT.",
    )
    tls_cert: Annotated[Path | None, Written("FILE")] = Field(
        None,
        description="The certificate of the server in PEM, with its chain; every port then speaks TLS.",
    )
    tls_key: Annotated[Path | None, Written("FILE")] = Field(
        None, description="The key of tls_cert in PEM, without a password.", validate_default=True
    )
    tls_client_ca: Annotated[Path | None, Written("FILE")] = Field(
        None,
        description="The authorities of client certificates in PEM; every client must then have one (mutual TLS).",
    )
    insecure: bool = Field(
        default=False,
        description="Allow plain text beyond this machine: calls, metrics, and webhooks to http:// URLs.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Written("LEVEL")] = Field(
        "warning", description="The least that is logged: debug, info, warning or error."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_slip(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what would be taken for something else: true for 1, and a name that ends at a zero byte."""
        if cls.model_fields[str(info.field_name)].annotation is bool:
            return _yes_or_no(value)
        if isinstance(value, bool):
            raise ValueError("must not be true or false")  # noqa: TRY004 - a finding, as any other
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("must not have a zero byte")
        return value

    @field_validator("workers")
    @classmethod
    def _several_workers_have_postgresql(cls, workers: int, info: ValidationInfo) -> int:
        if workers > 1 and not _is_postgresql(info):
            raise ValueError("must be 1 on SQLite; several workers need PostgreSQL")
        if workers > 1 and _has_files(info):
            raise ValueError("must be 1 where listen has unix:PATH; processes share ports alone")
        return workers

    @field_validator("tls_key")
    @classmethod
    def _certificate_and_key_come_together(
        cls, tls_key: Path | None, info: ValidationInfo
    ) -> Path | None:
        if "tls_cert" in info.data and (tls_key is None) != (info.data["tls_cert"] is None):
            raise ValueError(
                "must be given where tls_cert is"
                if tls_key is None
                else "must not be given without tls_cert"
            )
        return tls_key

    @field_validator("tls_client_ca")
    @classmethod
    def _clients_are_asked_over_tls(
        cls, tls_client_ca: Path | None, info: ValidationInfo
    ) -> Path | None:
        if tls_client_ca is not None and info.data.get("tls_cert", tls_client_ca) is None:
            raise ValueError("must not be given without tls_cert and tls_key")
        return tls_client_ca

    @field_validator("hold_max_s")
    @classmethod
    def _longest_is_not_under_the_default(cls, hold_max_s: int, info: ValidationInfo) -> int:
        hold_default_s = info.data.get("hold_default_s")
        if hold_default_s is not None and hold_max_s < hold_default_s:
            raise ValueError(f"must not be under hold_default_s, {hold_default_s}")
        return hold_max_s

    @field_validator("hold_total_max_s")
    @classmethod
    def _extending_does_not_shorten(cls, hold_total_max_s: int, info: ValidationInfo) -> int:
        hold_max_s = info.data.get("hold_max_s")
        if hold_max_s is not None and hold_total_max_s < hold_max_s:
            raise ValueError(f"must not be under hold_max_s, {hold_max_s}")
        return hold_total_max_s

    @field_validator("retention_s")
    @classmethod
    def _late_commits_find_their_hold(cls, retention_s: int, info: ValidationInfo) -> int:
        late_window_s = info.data.get("late_window_s")
        if late_window_s is not None and retention_s < late_window_s:
            raise ValueError(f"must not be under late_window_s, {late_window_s}")
        return retention_s

    @classmethod
    def load(cls, flags: Mapping[str, object | None], *, config: Path | None = None) -> Self:
        """Put the sources together; a flag that is None was not given. Raises SettingsError."""
        given = {name: value for name, value in flags.items() if value is not None}
        file = {} if config is None else _read_file(config, known=cls.model_fields)
        environment = _environment(cls.model_fields)
        # A key of the file becomes an argument only where nothing of higher precedence is set.
        arguments = {
            **{name: value for name, value in file.items() if name not in environment},
            **given,
        }
        try:
            return cls(**cast("dict[str, Any]", arguments))
        except ValidationError as error:
            sources = {
                **dict.fromkeys(file, str(config)),
                **environment,
                **{name: f"--{name.replace('_', '-')}" for name in given},
            }
            raise _refused(error, sources) from None


def _yes_or_no(value: object) -> bool:
    """Read true or false, as TOML writes them; in a variable 1 and 0 too."""
    said = _TRUTH.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(said, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - a finding, as any other
    return said


def _has_files(info: ValidationInfo) -> bool:
    """Say whether a server is to listen on a socket in the file system; no where `listen` is wrong anyway."""
    return any(
        isinstance(each, UnixAddress) for each in parse_listen(info.data.get("listen", ":0"))
    )


def _is_postgresql(info: ValidationInfo) -> bool:
    return str(info.data.get("database", "")).startswith("postgresql")


def _environment(names: Mapping[str, object]) -> dict[str, str]:
    """Return the settings that the environment sets, with the variable of each."""
    variables = {name.upper(): name for name, value in os.environ.items() if value}
    return {
        name: variables[variable]
        for name in names
        if (variable := f"{ENVIRONMENT_PREFIX}{name.upper()}") in variables
    }


def _read_file(path: Path, *, known: Mapping[str, object]) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {_reason(error)}"]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError([f"{path}: is not TOML: {error}"]) from None
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        allowed = f"there are {', '.join(known)}"
        raise SettingsError([f"{path}: {name}: no such setting; {allowed}" for name in unknown])
    return values


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _refused(error: ValidationError, sources: Mapping[str, str]) -> SettingsError:
    findings: list[str] = []
    musts: list[tuple[str, str]] = []
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        value = "" if name in _SECRET else f" is {_shortly(each['input'])}"
        source = f" (from {sources[name]})" if name in sources else ""
        must = must_be(each["type"], each.get("ctx", {}))
        findings.append(f"{name}{value}{source}; it {must}")
        musts.append((name, must))
    return SettingsError(findings, musts)


def _shortly(value: object) -> str:
    """Write a value so that it is known again, however long it is."""
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
