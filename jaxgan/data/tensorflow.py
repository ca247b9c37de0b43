"""TensorFlow, loaded when it is needed and kept off the accelerators, which are JAX's."""

import contextlib
import os
from typing import Any

from jaxgan.errors import UserError


def import_tensorflow(purpose: str) -> Any:
    """The module `tensorflow`.

    Args:
      purpose: what needs it, for the message.

    Raises:
      UserError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow
    except ImportError as error:
        raise UserError(f"{purpose} needs TensorFlow (pip install tensorflow-cpu): {error}") from None
    with contextlib.suppress(RuntimeError):  # its devices are in use already
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow
