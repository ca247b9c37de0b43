"""Batches of pictures by their numbers: at once, or prefetched by tf.data. Both give the same bytes."""

import atexit
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np

from jaxgan.data.examples import Examples
from jaxgan.data.tensorflow import import_tensorflow

Batch = dict[str, np.ndarray]

_BATCHES_IN_FLIGHT = 2


def gather(pictures: Examples, numbers: np.ndarray) -> Batch:
    """The examples of these numbers.

    Args:
        pictures: All pictures.
        numbers: Integers of any shape, in [0, len(pictures)).

    Returns:
        `image`, uint8 (*numbers.shape, height, width, channels), and with conditions `condition`, uint8
        (*numbers.shape, c).

    Raises:
        IndexError: A number is out of range.
    """
    arrays = {"image": pictures.images}
    if pictures.conditions is not None:
        arrays["condition"] = pictures.conditions
    return {name: array.take(numbers, axis=0) for name, array in arrays.items()}


def stream(pictures: Examples, numbers: Iterable[np.ndarray]) -> Generator[Batch, None, None]:
    """Yields `gather(pictures, n)` for each n of `numbers`, read ahead by tf.data while the batch before is in use.

    Two batches are ready or being read, so memory holds no more. The stream begins where `numbers` begins: with
    `order.indices` any beginning costs the same. Close the generator to stop early.

    Args:
        pictures: All pictures.
        numbers: Arrays of example numbers.

    Raises:
        UserError: TensorFlow is not installed.
        IndexError: A number is out of range. What `numbers` raises is raised here too, in its turn.
    """
    tensorflow = import_tensorflow("--placement=stream")
    nothing = gather(pictures, np.arange(0))
    rest = iter(numbers)
    failures: list[Exception] = []

    def read_next() -> list[np.ndarray]:
        try:
            return [np.array(True), *gather(pictures, next(rest)).values()]
        except StopIteration:
            pass
        except Exception as error:  # raised below: tf.data would wrap it into one of its own
            failures.append(error)
        return [np.array(False), *nothing.values()]

    def read(_: Any) -> Any:
        return tensorflow.numpy_function(read_next, [], [tensorflow.bool] + [tensorflow.uint8] * len(nothing))

    # Not Dataset.from_generator, which lowers the C library's M_TRIM_THRESHOLD for the whole process.
    dataset = tensorflow.data.Dataset.range(np.iinfo(np.int64).max).map(read)
    dataset = dataset.take_while(lambda more, *_: more).prefetch(_BATCHES_IN_FLIGHT).with_options(_options(tensorflow))
    batches = [dataset.as_numpy_iterator()]
    end = batches.clear  # ends the thread that reads ahead; once Python itself is ending, that would wait for ever
    atexit.register(end)
    try:
        while (batch := next(batches[0], None)) is not None:
            yield dict(zip(nothing, batch[1:], strict=True))
    finally:
        atexit.unregister(end)
        end()
    if failures:
        raise failures[0]


def _options(tensorflow: Any) -> Any:
    options = tensorflow.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    options.experimental_optimization.inject_prefetch = False
    return options
