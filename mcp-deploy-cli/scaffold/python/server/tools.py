"""The tools. Their arguments are described to clients by the annotations."""

import logging
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from settings import Settings

log = logging.getLogger(__name__)


def server(settings: Settings) -> MCPServer:
    """A server with every tool; it keeps nothing between two requests."""
    server = MCPServer("{{id}}", version="{{version}}")

    @server.tool(structured_output=False)
    def say_hello(name: Annotated[str, Field(description="Who is greeted.", min_length=1)]) -> str:
        """Greets somebody."""
        return say("Hello", name)

    @server.tool(structured_output=False)
    def say_goodbye(name: Annotated[str, Field(description="Who leaves.", min_length=1)]) -> str:
        """Takes leave of somebody."""
        return say("Goodbye", name)

    def say(word: str, name: str) -> str:
        log.debug("%s to %s", word, name)
        return f"{word}, {name}! From {settings.hello_from}."

    return server
