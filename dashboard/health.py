"""Whether a dashboard answers. `is_healthy` needs only the standard library: a container asks every half minute."""

import http.client

HEALTHY = b'"ok"'
"""Body of the health check."""


def is_healthy(host: str, port: int, prefix: str = "") -> bool:
    """Whether a dashboard answers there: by the body, since any address is answered with 200 and a page."""
    way = f"/{prefix.strip('/')}/healthz" if prefix.strip("/") else "/healthz"
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", way)
        return connection.getresponse().read() == HEALTHY
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
