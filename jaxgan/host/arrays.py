"""Named arrays from the bytes of files; nothing is unpickled."""

import io

import numpy as np

from jaxgan.host.errors import printable

LARGEST = 1 << 30
"""Maximum unpacked size of an .npz file in bytes, since a small file can claim any size.

Inception v3 needs a tenth of it, VGG-19 with its classifier half of it.
"""


def parse_arrays(data: bytes) -> dict[str, np.ndarray]:
    """Returns the named arrays of an .npz file's bytes. Pickled objects are refused.

    Raises:
      ValueError: if the bytes are not a complete .npz file of plain arrays.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            size = sum(member.file_size for member in file.zip.infolist())
            if size > LARGEST:
                raise ValueError(f"its arrays take {size} bytes, and more than {LARGEST} are not unpacked")
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and numpy each have their own for a damaged file
        raise ValueError(f"no whole .npz file of plain arrays: {printable(error)}") from error
