"""How the page tells a visitor of a mistake: a note in a corner, and no traceback on the console."""

import functools
import html
from collections.abc import Callable
from typing import Any

import gradio as gr

from jaxgan.errors import UserError


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its UserErrors made Gradio's."""

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except UserError as error:
            # The text may quote what was sent, and Gradio shows it as HTML.
            raise gr.Error(html.escape(str(error)), title="Not drawn", print_exception=False) from None

    return wrapped
