"""Sets of examples: as arrays by name, from arrays in memory, and known by a description alone."""

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import cache
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
LABELS = np.array([2, 0, 1, 1, 0, 1])


def example(index):
    return IMAGES[index], np.eye(3, dtype=np.uint8)[LABELS[index]]


def test_images_alone_are_a_set_without_conditions():
    examples = data.from_arrays(IMAGES)
    assert (len(examples), examples.image_shape, examples.condition_dim) == (6, (4, 5, 3), 0)
    assert examples.conditions is None and examples.arrays.keys() == {"image"}
    np.testing.assert_array_equal(examples.images, IMAGES, strict=True)
    assert np.shares_memory(examples.images, IMAGES)
    assert not examples.images.flags.writeable and IMAGES.flags.writeable


def test_images_of_two_dimensions_have_one_channel():
    assert data.from_arrays(IMAGES[..., 0]).image_shape == (4, 5, 1)
    np.testing.assert_array_equal(data.from_arrays(jnp.asarray(IMAGES[..., 0])).images[..., 0], IMAGES[..., 0])


def test_classes_become_one_hot_conditions():
    examples = data.from_arrays(IMAGES, LABELS)
    assert examples.condition_names == ("0", "1", "2")
    np.testing.assert_array_equal(examples.conditions, np.eye(3, dtype=np.uint8)[LABELS], strict=True)
    named = data.from_arrays(IMAGES, LABELS.tolist(), condition_names=["red", "green", "blue", "grey"])
    assert named.condition_names == ("red", "green", "blue", "grey")
    np.testing.assert_array_equal(named.conditions, np.eye(4, dtype=np.uint8)[LABELS], strict=True)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64])
def test_several_labels_at_once_are_conditions_as_they_are(dtype):
    labels = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]])
    examples = data.from_arrays(IMAGES, labels.astype(dtype), condition_names=("hat", "beard", "smile"))
    assert examples.condition_names == ("hat", "beard", "smile")
    np.testing.assert_array_equal(examples.conditions, labels.astype(np.uint8), strict=True)
    assert data.from_arrays(IMAGES, labels).condition_names == ("0", "1", "2")


def test_the_digest_is_of_the_pixels_and_conditions():
    examples = data.from_arrays(IMAGES, LABELS)
    assert examples.digest == data.from_arrays(IMAGES.copy(), LABELS.astype(np.uint8)).digest
    assert examples.digest == data.from_arrays(np.asfortranarray(IMAGES), LABELS).digest
    changed = IMAGES.copy()
    changed[5, 3, 4, 2] ^= 1
    others = [
        data.from_arrays(IMAGES),
        data.from_arrays(changed, LABELS),
        data.from_arrays(IMAGES, LABELS[::-1]),
        data.from_arrays(IMAGES.reshape(6, 5, 4, 3), LABELS),
    ]
    assert len({examples.digest, *(other.digest for other in others)}) == 5
    assert examples.digest == "623123886c787397d1878caee78c6fdd2162d1c33941ebee50cc32f2387a9833"


def test_arrays_have_the_digest_that_they_have_in_the_cache(tmp_path):
    kept = cache.load_or_build(
        "six",
        {},
        6,
        IMAGES.shape[1:],
        example,
        condition_names=("0", "1", "2"),
        cache_dir=tmp_path,
        description="drawing",
    )
    assert (
        kept.digest == data.from_arrays(kept.images, kept.conditions).digest == data.from_arrays(IMAGES, LABELS).digest
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (IMAGES / 255,),
            r"images: must be uint8, not float64; bring floats to the range 0 to 255, then images\.round",
        ),
        ((IMAGES.astype(np.int32),), r"images: must be uint8, not int32; give images\.astype"),
        ((IMAGES[0, 0],), r"images: must be \(N, height, width\) or .*, not \(5, 3\)"),
        ((IMAGES[:0],), r"images: .* not \(0, 4, 5, 3\)"),
        ((IMAGES, LABELS[:5]), r"labels: must be \(6,\) or \(6, classes\), one for each image, not \(5,\)"),
        ((IMAGES, np.zeros((6, 0), int)), r"labels: .* not \(6, 0\)"),
        ((IMAGES, LABELS.astype(np.float32)), "labels: must be integers, not float32"),
        ((IMAGES, list("abcdef")), "labels: must be integers, not <U1; number the classes from 0"),
        ((IMAGES, LABELS - 1), "labels: must count the classes from 0, not -1 to 1"),
        ((IMAGES, LABELS + 10**9), "labels: 1000000003 classes are too many"),
        ((IMAGES, np.full((6, 2), 2)), r"labels: of shape \(6, 2\) must be 0 or 1, not 2 to 2"),
        (
            (IMAGES, LABELS, ("a", "b")),
            "labels: must count the classes from 0 to 1, as condition_names has 2, not 0 to 2",
        ),
        ((IMAGES, np.eye(6, dtype=int), ("a", "b")), "condition_names: has 2 names, and labels 6 classes"),
        ((IMAGES, LABELS, ("a", "b", "a")), "condition_names: has the same name twice"),
        ((IMAGES, LABELS, "abc"), "condition_names: must be a sequence of strings, not abc"),
        ((IMAGES, LABELS, (0, 1, 2)), "condition_names: must be a sequence of strings"),
        ((IMAGES, None, ("a", "b")), "condition_names: name the classes of labels"),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused_by_the_name_of_the_argument(arguments, message):
    images, labels, names = (*arguments, None, None)[:3]
    with pytest.raises(UserError, match=f"^{message}") as raised:
        data.from_arrays(images, labels, condition_names=names)
    assert "--" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_described_set_is_known_without_its_examples():
    whole = data.from_arrays(IMAGES, LABELS)
    examples = Examples.described(list(whole.image_shape), list(whole.condition_names), whole.digest)
    for name in ("image_shape", "condition_names", "condition_dim", "digest"):
        assert getattr(examples, name) == getattr(whole, name)
    assert len(examples) == 0 and examples.conditions.shape == (0, 3)
    assert Examples.described((8, 8, 1), (), "0").conditions is None


def test_a_part_has_all_arrays_and_a_digest_of_its_own():
    heights = np.arange(6.0)
    whole = Examples({"image": IMAGES, "height": heights}, (), "d")
    part = whole.part(2, 5)
    np.testing.assert_array_equal(part.images, IMAGES[2:5])
    np.testing.assert_array_equal(part.arrays["height"], heights[2:5])
    assert part.digest == hashlib.sha256(b"d 2 5").hexdigest()


@pytest.mark.parametrize("arrays", [{}, {"target": IMAGES}, {"image": IMAGES, "condition": np.zeros((5, 2), np.uint8)}])
def test_arrays_of_different_lengths_are_no_examples(arrays):
    with pytest.raises(ValueError, match="an image each, and arrays of one length"):
        Examples(arrays)
