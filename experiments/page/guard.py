"""Refuses what Gradio's server offers and this page does not use.

Requests larger than one that carries a picture are refused too.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from experiments.page.limits import LARGEST_FILE

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# Files from a visitor that go to a disk, files fetched from other machines for a visitor, and functions of components.
LARGEST = LARGEST_FILE * 4 // 3 + (1 << 20)  # bytes of a request
REFUSED = ("upload", "file=http:", "file=https:", "proxy=", "component_server")


class Guard:
    """An ASGI middleware that answers 403 to REFUSED, and hands everything else on.

    Args:
      application: what answers otherwise.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answers one connection; see the ASGI specification.

        Without a transfer encoding, a server passes on no more than `content-length` says.
        """
        if scope["type"] == "http":
            if is_refused(scope["path"]):
                await _refuse(send, 403, b"This page takes numbers and choices only.")
                return
            if scope.get("method") in ("POST", "PUT", "PATCH"):
                headers = dict(scope["headers"])
                length = headers.get(b"content-length", b"")
                if b"transfer-encoding" in headers or not length.isdigit():
                    await _refuse(send, 411, b"Say how long the request is.")
                    return
                if int(length[:20]) > LARGEST:
                    await _refuse(send, 413, b"The request is too large.")
                    return
        await self._application(scope, receive, send)


async def _refuse(send: Callable[[Message], Awaitable[None]], status: int, words: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": words})


def is_refused(path: str) -> bool:
    """Whether a path, decoded, is one of those that nobody needs."""
    return path.lstrip("/").removeprefix("gradio_api/").startswith(REFUSED)
