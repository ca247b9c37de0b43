"""Event files for TensorBoard, which can be cut off at a step; written with tensorboardX, without TensorFlow.

tensorboardX's own writer queues events in another thread and starts a file per process, so a run that is killed and
resumed would lose some steps and show others twice. Here a run has a single file. Every event is handed to the
operating system as soon as it is added, and opening the file at a step cuts off what lies beyond.
"""

import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from jaxgan.host.files import AppendedFile, replace_atomically

_FILE_NAME = "events.out.tfevents.0000000000.jaxgan"  # TensorBoard only requires "tfevents" in the name.
_HEADER = struct.Struct("<QI")  # the length of the record, and its checksum


class EventLog:
    """The events of one run.

    Args:
      directory: the directory for `tensorboard --logdir`; created if it is missing.
      last_step: the step from which the run continues: later events and an incomplete last one are cut off.
      beginning: what a new file begins with, as events of step 0; see `describe`.
    """

    def __init__(self, directory: str | Path, last_step: int, beginning: Sequence[summary.Summary] = ()) -> None:
        path = Path(directory) / _FILE_NAME
        kept = _size_up_to(path, last_step)
        if not kept:
            now = time.time()
            events = [Event(wall_time=now, file_version="brain.Event:2")]
            events += [Event(wall_time=now, summary=content) for content in beginning]
            whole = b"".join(_frame(event.SerializeToString()) for event in events)
            replace_atomically(path, lambda file: file.write(whole))
        elif path.stat().st_size != kept:
            os.truncate(path, kept)
        self._file = AppendedFile(path)

    def add_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds numbers by name at a step."""
        values = [summary.scalar(name, value).value[0] for name, value in scalars.items()]
        self._add(step, summary.Summary(value=values))

    def add_image(self, step: int, name: str, image: np.ndarray) -> None:
        """Adds a picture at a step.

        Args:
          step: the step.
          name: the name of the series of pictures.
          image: uint8 (height, width, channels).
        """
        self._add(step, summary.image(name, image, dataformats="HWC"))

    def _add(self, step: int, content: Any) -> None:
        event = Event(wall_time=time.time(), step=step, summary=content)
        self._file.append(_frame(event.SerializeToString()))

    def sync(self) -> None:
        """Waits until everything is on disk."""
        self._file.sync()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def describe(flags: str, settings: Mapping[str, Any], metrics: Sequence[str]) -> list[summary.Summary]:
    """Describes a run for the tabs Text and HParams.

    Args:
      flags: the flags of the run, a line each, for the tab Text; "" if there are none.
      settings: the hyperparameters by name; None where one is not set.
      metrics: names of the scalars to compare runs by.
    """
    text = [summary.text("flags", "\n".join(f"    {line}" for line in flags.splitlines()))] if flags else []
    if not settings:
        return text
    plain = {name: value if isinstance(value, bool | int | float) else str(value) for name, value in settings.items()}
    known = {name: value for name, value in plain.items() if settings[name] is not None}
    experiment, session, _ = summary.hparams(known, dict.fromkeys(metrics))
    return [*text, experiment, session]


def read_records(path: str | Path) -> Iterator[bytes]:
    """Yields the complete records of an event file, up to its end or the first damaged one."""
    if not Path(path).is_file():
        return
    with open(path, "rb") as file:
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            if masked_crc32c(header[:8]) != checksum:
                return
            record, footer = file.read(length), file.read(4)
            if len(footer) < 4 or masked_crc32c(record) != struct.unpack("<I", footer)[0]:
                return
            yield record


def _size_up_to(path: Path, last_step: int) -> int:
    """Returns the size in bytes of an event file up to the first record that is incomplete or of a later step.

    The checksums of record contents are not verified: Python takes seconds for a few grids, and everything up to a
    checkpoint was on disk before the checkpoint was.
    """
    size = 0
    if not path.is_file():
        return size
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            next_one = size + _HEADER.size + length + 4
            if masked_crc32c(header[:8]) != checksum or next_one > end or not _is_up_to(file.read(length), last_step):
                break
            size = file.seek(next_one)
    return size


def _is_up_to(record: bytes, last_step: int) -> bool:
    try:
        return Event.FromString(record).step <= last_step
    except Exception:  # protobuf's DecodeError; not named, because only tensorboardX depends on protobuf
        return False


def _frame(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)), record, struct.pack("<I", masked_crc32c(record)))
    )
