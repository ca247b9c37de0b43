"""Batches of examples by their numbers, gathered directly or prefetched by tf.data with the same bytes."""

import atexit
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import numpy as np

from jaxgan.data.tensorflow import import_tensorflow

Arrays = Mapping[str, np.ndarray]
Batch = dict[str, np.ndarray]

_BATCHES_IN_FLIGHT = 2


def gather(arrays: Arrays, numbers: np.ndarray) -> Batch:
    """Gathers examples by their numbers.

    Args:
      arrays: name -> (N, …).
      numbers: integers of any shape, in [0, N).

    Returns:
      name -> (*numbers.shape, …).

    Raises:
      IndexError: if a number is out of range.
    """
    # `take` is faster, but copies all of an array that is a part of another.
    return {
        name: array.take(numbers, axis=0) if array.flags.c_contiguous else array[numbers]
        for name, array in arrays.items()
    }


def stream(
    sources: Mapping[str, Arrays], numbers: Iterable[Mapping[str, np.ndarray]]
) -> Generator[dict[str, Batch], None, None]:
    """Yields a batch of each source for each item of `numbers`, prefetched by tf.data.

    At most two batches are read ahead, which bounds the memory. The stream begins where `numbers` begins; with
    `order.indices`, any position costs the same. Close the generator to stop early.

    Args:
      sources: source -> its arrays, by name.
      numbers: for each batch, source -> the numbers of its examples.

    Yields:
      source -> its examples, see `gather`.

    Raises:
      UserError: if TensorFlow is not installed.
      IndexError: if a number is out of range. Exceptions of `numbers` are raised here when their batch is due.
    """
    tensorflow = import_tensorflow("--placement=stream")
    names = [(source, name) for source, arrays in sources.items() for name in arrays]
    nothing = [sources[source][name][:0] for source, name in names]
    types = [tensorflow.bool, *(tensorflow.as_dtype(array.dtype) for array in nothing)]
    rest = iter(numbers)
    failures: list[Exception] = []

    def read_next() -> list[np.ndarray]:
        try:
            drawn = next(rest)
            taken = {source: gather(arrays, drawn[source]) for source, arrays in sources.items()}
            return [np.array(True), *(taken[source][name] for source, name in names)]
        except StopIteration:
            pass
        except Exception as error:  # raised below, because tf.data would replace it with an exception of its own
            failures.append(error)
        return [np.array(False), *nothing]

    # Not Dataset.from_generator, which lowers the C library's M_TRIM_THRESHOLD for the whole process.
    dataset = tensorflow.data.Dataset.range(np.iinfo(np.int64).max)
    dataset = dataset.map(lambda _: tensorflow.numpy_function(read_next, [], types))
    dataset = dataset.take_while(lambda more, *_: more).prefetch(_BATCHES_IN_FLIGHT).with_options(_options(tensorflow))
    batches = [dataset.as_numpy_iterator()]
    end = batches.clear  # ends the prefetching thread, which would block forever if Python were already shutting down
    atexit.register(end)
    try:
        while (read := next(batches[0], None)) is not None:
            batch: dict[str, Batch] = {source: {} for source in sources}
            for (source, name), array in zip(names, read[1:], strict=True):
                batch[source][name] = array
            yield batch
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
