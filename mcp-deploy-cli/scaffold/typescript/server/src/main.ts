// An MCP server over streamable HTTP, with the health checks of a container beside it.

import { untilStopped } from "./serve.js";
import { readSettings, SettingsError } from "./settings.js";

try {
  await untilStopped(readSettings(process.env));
} catch (error) {
  const isExpected = error instanceof SettingsError || (error instanceof Error && "code" in error);
  if (!isExpected) {
    throw error;
  }
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
