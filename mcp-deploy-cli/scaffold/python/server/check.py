"""Asks the server in the same container how it is, for images that have no other client."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 2


def main() -> int:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get("PORT") or "8080"), timeout=TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if status != 200:
        print(f"error: it answers {status}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
