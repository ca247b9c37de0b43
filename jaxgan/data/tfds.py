"""Image source that reads TensorFlow Datasets; TensorFlow is needed only for the first use of a data set."""

import contextlib
import hashlib
import itertools
import logging
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.data import cache
from jaxgan.data.decode import EXTENSIONS, fit
from jaxgan.data.examples import Examples
from jaxgan.data.tensorflow import import_tensorflow
from jaxgan.data.workers import Chunk
from jaxgan.host import console
from jaxgan.host.errors import NoSuchSplit, UserError, printable

_NAME = re.compile(r"\w+(/[\w.+-]+)?(:(\d+|\*)(\.(\d+|\*)){2})?", re.ASCII)  # builder, configuration, version


def load(
    name: str,
    image_size: int,
    *,
    data_dir: str | os.PathLike | None = None,
    split: str = "train",
    cache_dir: str | os.PathLike | None = None,
) -> Examples:
    """Opens a data set that has an `image` feature, such as "mnist", downloading and preparing it if necessary.

    Pictures are cut and resized like those of a folder. A `label` feature with classes becomes a one-hot condition.

    Args:
      name: name in TFDS, such as "mnist", "mnist:3.0.1", "cats_vs_dogs", "builder/config".
      image_size: height and width of the pictures, in pixels.
      data_dir: TFDS's directory; None selects $TFDS_DATA_DIR or ~/tensorflow_datasets.
      split: split in TFDS, such as "train", "test", "train[:1000]".
      cache_dir: see `cache.cache_directory`.

    Raises:
      NoSuchSplit: if the data set has no such split.
      UserError: if the data set is unknown, cannot be downloaded, is damaged, has no such pictures or labels without a
        class, or TensorFlow is needed but not installed.
      ValueError: if the size is not positive.
    """
    if image_size < 1:
        raise ValueError(f"image_size must be positive: {image_size}")
    root = Path(os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"))
    prepared = _prepared(root, name)
    if prepared is not None:
        found = cache.find(_kind(name), _settings(prepared, name, split, image_size), cache_dir=cache_dir)
        if found is not None:
            return found
    builder = _builder(name, root, prepared)
    directory = Path(builder.data_dir)
    settings = _settings(directory, name, split, image_size)
    channels, names = _features(builder, name)
    try:
        with _told_if_damaged(name, directory):
            count = builder.info.splits[split].num_examples
    except ValueError:
        splits = ", ".join(builder.info.splits)
        message = f"--dataset={printable(name)} has no split {printable(split)}; it has {splits}"
        raise NoSuchSplit(message) from None
    shape = (image_size, image_size, channels)
    return cache.build(
        _kind(name),
        settings,
        _read(builder, name, split, shape, names, count),
        count,
        shape,
        condition_names=names,
        cache_dir=cache_dir,
        description=f"reading {name}",
    )


def _prepared(root: Path, name: str) -> Path | None:
    """Finds the directory of the newest prepared version without TensorFlow."""
    if not _NAME.fullmatch(name):
        raise UserError(f"--dataset={printable(name)} is not the name of a data set, such as mnist or mnist:3.0.1")
    builder, _, version = name.partition(":")
    versions = [path.parent for path in (root / builder).glob(f"{version or '*'}/dataset_info.json")]
    numbered = [path for path in versions if path.name.replace(".", "").isdecimal()]
    return max(numbered, key=lambda path: [int(part) for part in path.name.split(".")], default=None)


def _kind(name: str) -> str:
    return f"tfds-{name}"


def _settings(prepared: Path, name: str, split: str, image_size: int) -> dict[str, Any]:
    """Returns the settings on which the pictures depend.

    Names, sizes and times of the files stand for their contents.
    """
    stats = {path.name: path.stat() for path in prepared.iterdir() if path.is_file()}
    info = hashlib.sha256((prepared / "dataset_info.json").read_bytes()).hexdigest()
    return {
        "name": name,
        "version": prepared.name,
        "info": info,
        "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in sorted(stats.items())],
        "split": split,
        "image_size": image_size,
        "labels": "checked",
    }


def _builder(name: str, root: Path, prepared: Path | None) -> Any:
    """Returns the TFDS builder of the data set, prepared on disk."""
    tensorflow_datasets = _import_tfds(name)
    try:
        if prepared is not None:
            with _told_if_damaged(name, prepared):
                return tensorflow_datasets.builder_from_directory(str(prepared))
        builder = tensorflow_datasets.builder(name, data_dir=str(root))
    except UserError:
        raise
    except (ValueError, AssertionError) as error:
        if not isinstance(error, tensorflow_datasets.core.DatasetNotFoundError):  # an unknown version or configuration
            raise UserError(f"--dataset={printable(name)}: {_first_line(error)}") from None
        raise UserError(
            f"--dataset={printable(name)} is neither avatars, nor folder, nor a data set of TFDS, "
            f"nor prepared in --data_dir={printable(root)}"
        ) from None
    if _holds_pictures(root):  # a download would be among them
        raise UserError(
            f"--dataset={printable(name)} is not prepared in --data_dir={printable(root)}, which holds pictures: for"
            " these give --dataset=folder; for the data set of TFDS leave out --data_dir, or give another"
        )
    said = (
        f"{printable(name)} is not in {printable(root)}: getting it there (if it is elsewhere: Ctrl-C, and --data_dir)"
    )
    print(said, file=console.err, flush=True)
    try:
        with _few_retries():
            builder.download_and_prepare()
    except Exception as error:  # the network, the disk, a manual download: TFDS raises almost anything
        raise UserError(
            f"--dataset={printable(name)} is not in --data_dir={printable(root)} and cannot be downloaded: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from error
    return builder


def _holds_pictures(root: Path) -> bool:
    """Whether a directory has pictures in it, or in a folder in it; TFDS has its own deeper, or in `downloads`."""
    files = itertools.chain(root.glob("*"), root.glob("*/*"))
    pictures = (path for path in files if path.suffix.lower() in EXTENSIONS and path.is_file())
    return any(path.parent.name != "downloads" for path in pictures)


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().partition("\n")[0])


def _import_tfds(name: str) -> Any:
    import_tensorflow(f"--dataset={printable(name)}: is not in the cache yet, and")
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UserError(f"--dataset: tensorflow-datasets cannot be imported: {error}") from None
    return tensorflow_datasets


def _features(builder: Any, name: str) -> tuple[int, tuple[str, ...]]:
    """Returns the number of channels, 1 or 3, and the names of the classes, () without labels."""
    features = dict(builder.info.features.items()) if hasattr(builder.info.features, "items") else {}
    image = features.get("image")
    if image is None or len(image.shape or ()) != 3 or image.np_dtype != np.uint8:
        raise UserError(f"--dataset={printable(name)} has no feature `image` of 8-bit pictures")
    return 1 if image.shape[-1] == 1 else 3, tuple(getattr(features.get("label"), "names", None) or ())


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    """Has TFDS try a download 3 times, not 11, without a word of each: where there is no network it took minutes."""
    from tensorflow_datasets.core.download import downloader

    logger, former = logging.getLogger("urllib3.connectionpool"), getattr(downloader, "MAX_RETRIES", None)
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        downloader.MAX_RETRIES = 2
        yield
    finally:
        logger.setLevel(level)
        downloader.MAX_RETRIES = former


@contextlib.contextmanager
def _told_if_damaged(name: str, directory: Path) -> Iterator[None]:
    """Turns what TFDS and TensorFlow raise for damaged files, which is almost anything, into a UserError."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(("Unknown split", "Unrecognized instruction")):
            raise  # the split that was asked for, and no damage
        raise _damaged(name, directory, f"{type(error).__name__}: {_first_line(error)}") from error


def _damaged(name: str, directory: Path, reason: str) -> UserError:
    return UserError(
        f"--dataset={printable(name)}: {printable(directory)} cannot be read ({reason}); its files are damaged or"
        " missing: remove this directory, and the next start prepares it again"
    )


def _read(
    builder: Any, name: str, split: str, shape: tuple[int, int, int], names: Sequence[str], count: int
) -> Generator[Chunk, None, None]:
    """Yields the examples of a split; raises a UserError where they are damaged, too few, or of no class."""
    directory = Path(builder.data_dir)
    found = 0
    with contextlib.closing(_decoded(builder, split, shape)) as chunks:
        while True:
            with _told_if_damaged(name, directory):
                images, labels = next(chunks, ([], []))
            if not images:
                break
            for number, label in enumerate(labels, start=found):
                if names and not 0 <= label < len(names):
                    raise UserError(
                        f"--dataset={printable(name)}: example {number} of the split {printable(split)} has the label"
                        f" {label}, and there are {len(names)} classes, from 0; choose another split or data set"
                    )
            found += len(images)
            yield Chunk(np.stack(images), np.eye(len(names), dtype=np.uint8)[labels] if names else None)
    if found != count:
        raise _damaged(name, directory, f"{found} examples instead of {count} in the split {printable(split)}")


def _decoded(
    builder: Any, split: str, shape: tuple[int, int, int]
) -> Generator[tuple[list[np.ndarray], list[int]], None, None]:
    """Yields some pictures at a time, uint8 of the shape, and their labels, 0 without."""
    import tensorflow_datasets

    read_config = tensorflow_datasets.ReadConfig(try_autocache=False, interleave_cycle_length=1)
    dataset = builder.as_dataset(split=split, shuffle_files=False, read_config=read_config)
    images: list[np.ndarray] = []
    labels: list[int] = []
    length = cache.chunk_length(shape)
    for example in tensorflow_datasets.as_numpy(dataset):
        pixels = example["image"]
        images.append(fit(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), shape[0], shape[2]))
        labels.append(int(example.get("label", 0)))
        if len(images) == length:
            yield images, labels
            images, labels = [], []
    if images:
        yield images, labels
