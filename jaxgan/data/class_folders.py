"""Classes of pictures that lie in a folder each, such as `cats/` and `dogs/`."""

from collections.abc import Sequence

import numpy as np


def classes_of(paths: Sequence[str]) -> tuple[dict[str, np.ndarray], tuple[str, ...]] | None:
    """Takes the first folder of each picture's path for its class.

    Args:
      paths: within the whole folder, with "/" between names.

    Returns:
      Path -> condition, uint8 (c,) one-hot, and the c names in alphabetical order; None if a picture lies in no folder,
      or all of them in the same.
    """
    folder_of = {path: path.partition("/")[0] for path in paths}
    names = tuple(sorted(set(folder_of.values())))
    if len(names) < 2 or any("/" not in path for path in paths):
        return None
    conditions = np.eye(len(names), dtype=np.uint8)
    return {path: conditions[names.index(folder)] for path, folder in folder_of.items()}, names
