// The tools. Their arguments are described to clients by the schemas.

import { McpServer } from "@modelcontextprotocol/server";
import type { CallToolResult } from "@modelcontextprotocol/server";
import * as z from "zod";

import { log, type Settings } from "./settings.js";

/** A server with every tool; it keeps nothing between two requests. */
export function server(settings: Settings): McpServer {
  const server = new McpServer({ name: "{{id}}", version: "{{version}}" });

  server.registerTool(
    "say_hello",
    {
      description: "Greets somebody.",
      inputSchema: z.object({ name: z.string().min(1).describe("Who is greeted.") }),
    },
    ({ name }) => say("Hello", name),
  );

  server.registerTool(
    "say_goodbye",
    {
      description: "Takes leave of somebody.",
      inputSchema: z.object({ name: z.string().min(1).describe("Who leaves.") }),
    },
    ({ name }) => say("Goodbye", name),
  );

  function say(word: string, name: string): CallToolResult {
    log(settings, "debug", `${word} to ${name}`);
    return { content: [{ type: "text", text: `${word}, ${name}! From ${settings.helloFrom}.` }] };
  }

  return server;
}
