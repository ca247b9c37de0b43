"""Ports for programs that tests start."""

import contextlib
import random
import socket


def free_port():
    """A free port, of those that a system gives to nobody who asks for any: none takes it before the program does."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("", port))
            return port
    raise OSError("no port between 20,000 and 32,000 is free")
