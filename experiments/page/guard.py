"""What Gradio's server offers to everyone and this page needs from nobody: it is refused at the door."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# Files from a visitor, files fetched from other machines for a visitor, and functions of components.
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
        """Answers one connection; see the ASGI specification."""
        if scope["type"] != "http" or not is_refused(scope["path"]):
            await self._application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"This page takes numbers and choices only."})


def is_refused(path: str) -> bool:
    """Whether a path, decoded, is one of those that nobody needs."""
    return path.lstrip("/").removeprefix("gradio_api/").startswith(REFUSED)
