"""Mistakes of visitors, shown as a note in the corner of the page, without a traceback on the console."""

import functools
import html
from collections.abc import Callable
from typing import Any

import gradio as gr

from jaxgan.host.errors import UserError, one_line


def show_user_errors(function: Callable[..., Any], title: str = "Not drawn") -> Callable[..., Any]:
    """Wraps a function so that the page shows its UserErrors as notes."""

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except UserError as error:
            # The text may quote what was sent, and Gradio shows it as HTML.
            raise gr.Error(html.escape(one_line(error.as_flags)), title=title, print_exception=False) from None

    return wrapped


def empty_on_user_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function so that it gives None, which empties a picture, where it would raise a UserError."""

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except UserError:
            return None

    return wrapped
