// HTTP: MCP at `/mcp`, `/health` and `/ready` beside it, until somebody says stop.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler } from "@modelcontextprotocol/server";

import { log, type Settings } from "./settings.js";
import { server } from "./tools.js";

/** How long requests may go on once the server was told to stop. */
const GRACE_MILLISECONDS = 5000;

/** Serves until SIGTERM or Ctrl-C, and lets open requests end. */
export async function untilStopped(settings: Settings): Promise<void> {
  const mcp = createMcpHandler(() => server(settings), {
    onerror: (error) => log(settings, "warning", error.message),
  });
  const answerMcp = toNodeHandler(mcp);
  const http = createServer((request, response) => void answer(request, response, answerMcp));
  http.listen(settings.port, "0.0.0.0");
  await once(http, "listening");
  log(settings, "info", `listening on port ${settings.port}`);

  await askedToStop();
  log(settings, "info", "stopping");
  const closed = once(http, "close");
  http.close();
  http.closeIdleConnections();
  // A client that reads on for ever does not hold it up.
  setTimeout(() => http.closeAllConnections(), GRACE_MILLISECONDS).unref();
  await mcp.close();
  await closed;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

async function answer(request: IncomingMessage, response: ServerResponse, answerMcp: Answer): Promise<void> {
  switch (request.url?.split("?", 1)[0]) {
    case "/health":
      return text(response, 200, "ok\n");
    case "/ready":
      return text(response, 200, "ready\n");
    case "/mcp":
      // Inside a cluster it has names that it cannot know, so any `Host` is welcome; a page in a browser, which
      // may be anybody's, always names its `Origin`.
      if (request.headers.origin !== undefined) {
        return text(response, 403, "Forbidden: Origin header is not allowed\n");
      }
      return answerMcp(request, response);
    default:
      return text(response, 404, "not found\n");
  }
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

/** As the first process of a container it is ended by no signal that it does not ask for. */
function askedToStop(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}
