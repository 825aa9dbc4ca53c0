"""HTTP: MCP at `/mcp`, `/health` and `/ready` beside it, until somebody says stop."""

import logging
import signal
import sys

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from settings import Settings
from tools import server

GRACE_SECONDS = 5
"""How long requests may go on once the server was told to stop."""

log = logging.getLogger(__name__)


def until_stopped(settings: Settings) -> None:
    """Serves until SIGTERM or Ctrl-C, and lets open requests end."""
    config = uvicorn.Config(
        app(settings),
        host="0.0.0.0",
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # uvicorn takes these signals while it serves, and raises them again when it has ended: that is a clean end.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    log.info("listening on port %d", settings.port)
    uvicorn.Server(config).run()


def app(settings: Settings) -> ASGIApp:
    mcp = server(settings)

    @mcp.custom_route("/health", methods=["GET"])
    async def health(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @mcp.custom_route("/ready", methods=["GET"])
    async def ready(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ready\n")

    # Inside a cluster it has names that it cannot know, so any `Host` is welcome.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    # Any instance answers any request.
    return refuse_browsers(
        mcp.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
    )


def refuse_browsers(inner: ASGIApp) -> ASGIApp:
    """Refuses what a page in a browser sends, which always names its `Origin`: it may be anybody's page."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"]):
            answer: ASGIApp = PlainTextResponse("Forbidden: Origin header is not allowed\n", status_code=403)
        else:
            answer = inner
        await answer(scope, receive, send)

    return guarded
