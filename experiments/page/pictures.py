"""Pictures as HTML, each with words for who cannot see it. They are part of the page itself: no file is written."""

import base64
import html
import io
import json
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgan.host import images
from jaxgan.systems.outputs import Exhibit

ENLARGED = 1024  # pixels that an enlarged download has at most, where the picture itself has fewer


def text(words: object) -> str:
    """Returns words as HTML that shows them, and that Gradio's templates take for nothing of theirs."""
    return html.escape(str(words)).replace("{", "&#123;").replace("$", "&#36;")


def png(image: np.ndarray) -> bytes:
    """Encodes uint8 (height, width, channels)."""
    file = io.BytesIO()
    images.to_pillow(image).save(file, "PNG")
    return file.getvalue()


def address(content: bytes, kind: str = "image/png") -> str:
    """Returns the address of a content that is in the address itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def one(image: np.ndarray, words: str) -> str:
    """Shows a picture, uint8 (height, width, channels); the words say what it is."""
    return f'<img alt="{text(words)}" src="{address(png(image))}">'


def figure(image: np.ndarray, caption: str) -> str:
    """Shows a picture above its caption."""
    return f"<figure>{one(image, caption)}<figcaption>{text(caption)}</figcaption></figure>"


def grid(cells: Sequence[str], columns: int, heads: Sequence[str] = ()) -> str:
    """Arranges pieces of HTML in rows, with a heading above each column."""
    above = "".join(f'<span class="head">{text(head)}</span>' for head in heads)
    return f'<div class="pictures" style="--columns: {columns}">{above}{"".join(cells)}</div>'


def exhibit(shown: Exhibit) -> str:
    """Shows an exhibit whose columns have heads."""
    columns = len(shown.heads)
    words = (f"{shown.heads[index % columns]}, row {index // columns + 1}" for index in range(len(shown.images)))
    return grid([one(image, said) for image, said in zip(shown.images, words, strict=True)], columns, shown.heads)


def pickable(pictures: np.ndarray, names: Sequence[str], picks: Sequence[Any], columns: int) -> str:
    """Shows pictures as buttons, with a name below each that has one.

    Args:
      pictures: uint8 (N, H, W, C).
      names: one each, or "".
      picks: what a button says when it is pressed, as JSON in `data-pick`.
      columns: pictures in a row.
    """
    cells = []
    for place, (picture, name, pick) in enumerate(zip(pictures, names, picks, strict=True), 1):
        said = f"Picture {place}" + (f", {name}" if name else "")
        below = f"<span>{text(name)}</span>" if name else ""
        what = f'data-pick="{text(json.dumps(pick))}" title="Take it to Explore"'
        cells.append(f'<button type="button" class="pick" {what}>{one(picture, said)}{below}</button>')
    return grid(cells, columns)


TELL_PICK = """
element.addEventListener('click', event => {
  const picked = event.target.closest('.pick');
  if (picked) trigger('click', JSON.parse(picked.dataset.pick));
});
"""
"""JavaScript of an element with such buttons: a click on one triggers the event "click"."""


def comparison(before: np.ndarray, after: np.ndarray) -> str:
    """Shows two pictures of one size over one another, and a slider that says how much of each is seen."""
    slider = '<input type="range" min="0" max="100" value="50" aria-label="How much is seen of the picture before">'
    return (
        '<div class="comparison"><div class="frames">'
        f'<div class="under">{one(after, "after")}</div><div class="over">{one(before, "before")}</div>'
        f'</div><div class="ends"><span>before</span>{slider}<span>after</span></div></div>'
    )


FOLLOW_SLIDER = """
element.addEventListener('input', event => {
  const box = event.target.closest('.comparison');
  if (box) box.style.setProperty('--share', `${event.target.value}%`);
});
"""
"""JavaScript of an element that shows a comparison."""


def enlarged(image: np.ndarray) -> np.ndarray:
    """Enlarges a picture, (height, width, channels), by the largest whole factor that keeps it within ENLARGED."""
    return images.enlarged(image, max(1, ENLARGED // max(image.shape[:2])))


def download(content: bytes, kind: str, file: str, words: str) -> str:
    """Returns a link that saves a content under the name of a file."""
    return f'<a class="download" download="{text(file)}" href="{address(content, kind)}">{text(words)}</a>'


def downloads(image: np.ndarray, name: str, *others: str) -> str:
    """Returns links that save a picture as it is and enlarged, under a name, and other links."""
    return (
        '<p class="downloads">'
        + download(png(image), "image/png", f"{name}.png", "Download PNG")
        + download(png(enlarged(image)), "image/png", f"{name}-enlarged.png", "Download enlarged")
        + "".join(others)
        + "</p>"
    )


def command(line: str) -> str:
    """Shows a command; a line is broken between its flags, never within one."""
    words = " ".join(f'<span class="word">{text(word)}</span>' for word in map(shlex.quote, shlex.split(line)))
    return f'<p class="command"><code>{words}</code></p>'


def note(words: str) -> str:
    """Returns a line that stands where a picture would."""
    return f'<p class="note" role="status">{text(words)}</p>'
