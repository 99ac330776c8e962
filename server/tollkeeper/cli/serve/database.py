"""For the commands that open the database themselves: settings, and failures in plain words."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tollkeeper.cli.failure import CommandError, ExitCode, Violation, Why
from tollkeeper.config import Settings, SettingsError
from tollkeeper.engine.ports import SchemaError, StoreError, UnavailableError
from tollkeeper.engine.unavailable import ServedFileError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path


def load_settings(flags: Mapping[str, object | None], config: Path | None) -> Settings:
    """Put flags, environment and file together; wrong ones are wrong usage."""
    try:
        return Settings.load(flags, config=config)
    except SettingsError as error:
        violations = [Violation(name, must) for name, must in error.musts]
        raise CommandError(
            str(error), ExitCode.USAGE, reason=Why.WRONG_SETTINGS, violations=violations
        ) from None


@contextlib.contextmanager
def database_failures() -> Generator[None]:
    """Turn what a database refuses in this block into the command's failure.

    Whoever runs such a command operates the database, and is told what the driver says.
    """
    try:
        yield
    except (SchemaError, ServedFileError) as error:
        why = Why.SCHEMA_NOT_CURRENT if isinstance(error, SchemaError) else Why.DATABASE_FAILED
        raise CommandError(str(error), reason=why) from None
    except UnavailableError as error:
        raise CommandError(
            f"cannot use the database: {error}", reason=Why.DATABASE_FAILED
        ) from None
    except ValueError as error:
        raise CommandError(
            f"the database {error}",
            ExitCode.USAGE,
            reason=Why.WRONG_SETTINGS,
            violations=[Violation("database", str(error))],
        ) from None
    except StoreError as error:
        raise CommandError(f"the database refused: {error}", reason=Why.DATABASE_FAILED) from None
