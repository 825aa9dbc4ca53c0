"""An MCP server over streamable HTTP, with the health checks of a container beside it."""

import logging
import os
import sys

import serve
from settings import Settings, SettingsError


def main() -> int:
    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    log_to_stderr(settings.log_level)
    serve.until_stopped(settings)
    return 0


def log_to_stderr(level: int) -> None:
    """Logs what the server's own code says, and of the libraries the warnings: they have lines for each request."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("mcp", "uvicorn", "sse_starlette"):
        logging.getLogger(library).setLevel(max(level, logging.WARNING))


if __name__ == "__main__":
    sys.exit(main())
