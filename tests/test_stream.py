import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from jaxgan.data import order, stream
from jaxgan.data.examples import Examples
from jaxgan.data.tensorflow import import_tensorflow
from jaxgan.host.errors import UserError

SIZE, SHAPE = 37, (6, 5, 3)


@pytest.fixture(params=["with conditions", "without"])
def pictures(request, tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", random.integers(0, 256, (SIZE, *SHAPE), np.uint8))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    if request.param == "without":
        return Examples({"image": images})
    return Examples({"image": images, "condition": random.integers(0, 2, (SIZE, 4), np.uint8)}, tuple("abcd"))


def numbers_of_steps(first, last, shape=(2, 3, 8)):
    """Example numbers of calls `first` to `last - 1`, each of as many positions as `shape` has elements."""
    length = int(np.prod(shape))
    for step in range(first, last):
        yield order.indices(5, step * length, length, SIZE).reshape(shape)


def assert_equal_batches(batches, expected):
    for batch, other in zip(batches, expected, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            assert batch[name].dtype == other[name].dtype == np.uint8
            np.testing.assert_array_equal(batch[name], other[name], strict=True)


def gathered(pictures, numbers):
    return [stream.gather(pictures.arrays, batch_numbers) for batch_numbers in numbers]


def streamed(pictures, numbers):
    """The batches of one source without a name."""
    batches = stream.stream({"": pictures.arrays}, ({"": batch_numbers} for batch_numbers in numbers))
    with contextlib.closing(batches):
        for batch in batches:
            yield batch[""]


def test_gather_takes_the_examples_of_the_numbers(pictures):
    numbers = np.array([[3, 0], [36, 3]])
    batch = stream.gather(pictures.arrays, numbers)
    assert batch["image"].shape == (2, 2, *SHAPE)
    np.testing.assert_array_equal(batch["image"][1, 0], pictures.images[36])
    np.testing.assert_array_equal(batch["image"][0, 0], batch["image"][1, 1])
    if pictures.conditions is None:
        assert batch.keys() == {"image"}
    else:
        np.testing.assert_array_equal(batch["condition"], pictures.conditions[numbers])
    with pytest.raises(IndexError):
        stream.gather(pictures.arrays, np.array([SIZE]))


def test_the_stream_gives_what_gather_gives_to_the_bit(pictures):
    found = list(streamed(pictures, numbers_of_steps(0, 12)))
    assert len(found) == 12
    assert_equal_batches(found, gathered(pictures, numbers_of_steps(0, 12)))


def test_the_stream_begins_at_any_position(pictures):
    far = 10**12
    expected = gathered(pictures, numbers_of_steps(far, far + 3))
    assert_equal_batches(streamed(pictures, numbers_of_steps(far, far + 3)), expected)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_batches_may_differ_in_shape_and_dtype(pictures, dtype):
    numbers = [np.array([1, 2], dtype), np.array([[3]], dtype), np.zeros((0,), dtype), np.array([36, 0, 4], dtype)]
    assert_equal_batches(streamed(pictures, numbers), gathered(pictures, numbers))


def test_no_more_than_a_few_batches_are_read_ahead(pictures):
    drawn = []

    def numbers():
        for step in range(1000):
            drawn.append(step)
            yield np.array([step % SIZE])

    batches = streamed(pictures, numbers())
    for _ in range(5):
        next(batches)
    batches.close()
    assert 5 <= len(drawn) <= 5 + 2 + 1  # those given, two in flight, and one that is being read


def test_closing_an_endless_stream_ends_its_reading(pictures):
    drawn = []
    stopped = threading.Event()

    def numbers():
        while True:
            assert not stopped.is_set()
            drawn.append(0)
            yield np.array([0])

    for _ in range(5):
        stopped.clear()
        batches = streamed(pictures, numbers())
        next(batches)
        batches.close()
        stopped.set()
        count = len(drawn)
    assert len(drawn) == count
    assert next(streamed(pictures, iter([np.array([1])])))["image"].shape == (1, *SHAPE)


def test_what_the_numbers_raise_is_raised_in_its_turn(pictures):
    def numbers():
        yield np.array([0])
        raise ArithmeticError("no more")

    batches = streamed(pictures, numbers())
    assert len(next(batches)["image"]) == 1
    with pytest.raises(ArithmeticError, match="no more"):
        next(batches)


def test_a_number_out_of_range_is_an_error(pictures):
    batches = streamed(pictures, [np.array([0]), np.array([SIZE])])
    next(batches)
    with pytest.raises(IndexError, match="37"):
        next(batches)


def test_two_streams_at_once_do_not_mix(pictures):
    one, two = (streamed(pictures, numbers_of_steps(first, first + 5)) for first in (0, 100))
    pairs = list(zip(one, two, strict=True))
    assert_equal_batches([pair[0] for pair in pairs], gathered(pictures, numbers_of_steps(0, 5)))
    assert_equal_batches([pair[1] for pair in pairs], gathered(pictures, numbers_of_steps(100, 105)))


def test_sources_of_a_stream_keep_their_lengths_and_types(pictures):
    heights = np.arange(5, dtype=np.float32)[:, None]
    sources = {"b": {"height": heights}, "a": pictures.arrays}
    numbers = [{"a": np.array([step, 36]), "b": np.array([[step % 5]])} for step in range(7)]
    found = list(stream.stream(sources, numbers))
    assert_equal_batches([batch["a"] for batch in found], gathered(pictures, [drawn["a"] for drawn in numbers]))
    for step, batch in enumerate(found):
        assert batch.keys() == sources.keys()
        np.testing.assert_array_equal(batch["b"]["height"], heights[[[step % 5]]], strict=True)


def test_without_tensorflow_the_way_out_is_said(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="pip install tensorflow-cpu"):
        next(streamed(pictures, []))
    assert stream.gather(pictures.arrays, np.array([1]))["image"].shape == (1, *SHAPE)


@pytest.mark.slow
def test_a_program_that_leaves_a_stream_open_ends(tmp_path):
    program = """
import numpy as np
from jaxgan.data import stream

def numbers():
    while True:
        yield {"": np.arange(8)}

batches = stream.stream({"": {"image": np.zeros((8, 64, 64, 3), np.uint8)}}, numbers())
print(next(batches)[""]["image"].shape)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(8, 64, 64, 3)"
    assert "Exception" not in result.stderr


@pytest.mark.parametrize("module", ["jaxgan.data", "jaxgan.data.stream", "jaxgan.data.folder", "jaxgan.data.tfds"])
def test_importing_loads_neither_tensorflow_nor_jax(module):
    program = (
        f"import sys, {module}\n"
        "print([name for name in ('tensorflow', 'tensorflow_datasets', 'jax', 'orbax', 'flax') if name in sys.modules])"
    )
    repository = Path(__file__).resolve().parent.parent
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"


def test_where_tensorflow_is_missing_what_needs_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"mnist needs TensorFlow \(pip install tensorflow-cpu\)") as caught:
        import_tensorflow("--dataset=mnist")
    assert "\n" not in str(caught.value)
