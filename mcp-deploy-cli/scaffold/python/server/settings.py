"""The configuration, from the environment: `template.json` says which variable is which setting."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class SettingsError(Exception):
    """The variable that is wrong, and what would be right."""


@dataclass(frozen=True)
class Settings:
    """What can be configured."""

    port: int
    """Where to listen: `PORT`."""
    hello_from: str
    """Who the greetings come from: `HELLO_FROM`."""
    log_level: int
    """How much is told about the work: `LOG_LEVEL`."""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Settings":
        """Reads the variables; one that is empty counts as absent."""
        port = variables.get("PORT") or "8080"
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise SettingsError(f"`PORT` is `{port}`; a number from 1 to 65535")
        log_level = variables.get("LOG_LEVEL") or "info"
        if log_level not in LOG_LEVELS:
            raise SettingsError(f"`LOG_LEVEL` is `{log_level}`; `debug`, `info`, `warning` or `error`")
        return cls(
            port=int(port),
            hello_from=variables.get("HELLO_FROM") or "mcp-deploy",
            log_level=LOG_LEVELS[log_level],
        )
