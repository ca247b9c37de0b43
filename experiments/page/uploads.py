"""A picture that a visitor gives: checked, decoded in memory, and never written to a file.

The browser sends it as text in a request like any other, because what Gradio calls an upload is written to a disk.
"""

import base64
import binascii
import io
from typing import Any

import numpy as np

from experiments.page.limits import LARGEST_FILE, PIXELS
from experiments.run import given_pictures
from experiments.run.restore import TrainedRun
from jaxgan.host.errors import UserError

TOO_LARGE = "too large"  # what the browser sends in the place of a file of more than LARGEST_FILE bytes


def read(run: TrainedRun, sent: Any) -> np.ndarray:
    """Decodes a picture that was sent, at the size of a run, uint8 (H, W, C).

    Args:
      run: the run that it is for.
      sent: the address of a content that is in the address itself, such as "data:image/png;base64,iVBO…".

    Raises:
      UserError: if it is no picture, or has more than LARGEST_FILE bytes or PIXELS pixels.
    """
    if not isinstance(sent, str) or not sent:
        raise UserError("picture: choose a file first")
    if sent == TOO_LARGE or len(sent) > LARGEST_FILE * 4 // 3 + 200:
        raise UserError(f"picture: the file has more than {LARGEST_FILE >> 20} MB; choose a smaller one")
    head, comma, body = sent.partition(",")
    try:
        if not comma or not head.startswith("data:") or not head.endswith(";base64"):
            raise ValueError("it was not sent as one")
        content = base64.b64decode(body.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise UserError("picture: cannot be read as a picture") from error
    return given_pictures.read_one(run, io.BytesIO(content), "picture", max_pixels=PIXELS)
