"""Where the example's servers listen."""

import socket


def free_port(wanted: int) -> int:
    """Return a port of 127.0.0.1 that is free: the one that is wanted, or else any."""
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", wanted))
        except OSError:
            one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
