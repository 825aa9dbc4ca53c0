// Asks the server in the same container how it is, for images that have no other client.

const TIMEOUT_MILLISECONDS = 2000;

try {
  const port = process.env.PORT || "8080";
  const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
  if (answer.status !== 200) {
    throw new Error(`it answers ${answer.status}`);
  }
} catch (error) {
  // What `fetch` met is behind its "fetch failed".
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  console.error(`error: ${cause instanceof Error ? cause.message : cause}`);
  process.exitCode = 1;
}
