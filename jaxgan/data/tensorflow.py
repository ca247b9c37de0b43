"""Deferred import of TensorFlow, without access to the accelerators, which JAX uses."""

import contextlib
import os
from typing import Any

from jaxgan.host import progress
from jaxgan.host.errors import UserError


def import_tensorflow(purpose: str) -> Any:
    """Imports TensorFlow and hides the GPUs from it.

    Args:
      purpose: the feature that needs it, for the message.

    Returns:
      The module `tensorflow`.

    Raises:
      UserError: if TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with progress.ticking("loading TensorFlow"):
            import tensorflow
    except ImportError as error:
        raise UserError(f"{purpose} needs TensorFlow (pip install tensorflow-cpu): {error}") from None
    with contextlib.suppress(RuntimeError):  # raised if TensorFlow has already initialised its devices
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow
