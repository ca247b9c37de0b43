"""Count of the pictures of which the middle square is a small part, or has to be enlarged a lot."""

import sys
from collections.abc import Sequence

from jaxgan.host.errors import printable

LARGEST_SCALE = 2
_NAMED = 3

CROPPED, ENLARGED = "cropped", "enlarged"
SAID = {
    CROPPED: "lose more than a third of their area, because their middle square is taken",
    ENLARGED: "are enlarged more than twice",
}


def faults(width: int, height: int, image_size: int) -> tuple[str, ...]:
    """Returns what is done to a picture of this size that its maker may not want: CROPPED, ENLARGED, both or neither.

    Args:
      width: of the whole picture, in pixels.
      height: likewise.
      image_size: height and width of the square that is made of its middle.
    """
    side = min(width, height)
    cropped = 3 * side < 2 * max(width, height)  # a third of the area is lost at 3:2, as most cameras have it
    return (CROPPED,) * cropped + (ENLARGED,) * (image_size > LARGEST_SCALE * side)


def tell(where: str, found: Sequence[tuple[str, str]], total: int) -> None:
    """Prints a line that counts the pictures with faults, if there are any.

    Args:
      where: the source of the pictures.
      found: a fault and the name of its picture, each.
      total: number of pictures.
    """
    said = []
    for fault, meaning in SAID.items():
        names = [name for kind, name in found if kind == fault]
        if names:
            different = list(dict.fromkeys(names))
            few = ", ".join(map(printable, different[:_NAMED])) + ", ..." * (len(different) > _NAMED)
            said.append(f"{len(names)} of {total} pictures {meaning} ({few})")
    if said:
        print(f"{where}: {'; '.join(said)}", file=sys.stderr)
