"""A batch that a program passes to a step by mistake is refused at the door, in words that say what to give."""

import jax
import numpy as np
import pytest

from jaxgan import data, systems
from jaxgan.host.errors import UserError
from jaxgan.systems.batches import check_batch, only_batch

SHAPE = (8, 12, 3)
IMAGES = np.zeros((4, *SHAPE), np.uint8)
LABELS = np.array([0, 1, 1, 0])

MISTAKES = {
    "an array": (IMAGES, 0, r'dictionary, not an array of shape \(4, 8, 12, 3\); give {"image": pictures}'),
    "a tuple": ((IMAGES, LABELS), 0, "dictionary, not a tuple"),
    "another name": ({"images": IMAGES}, 0, """has no "image", but 'images'; give"""),
    "nothing": ({}, 0, "but nothing"),
    "a list": ({"image": IMAGES.tolist()}, 0, "must be an array, not a list"),
    "channels first": ({"image": np.moveaxis(IMAGES, -1, -3)}, 0, r"channels come last: give numpy.moveaxis\("),
    "channels first, batches": ({"image": np.moveaxis(IMAGES, -1, -3)[None]}, 0, "channels come last"),
    "another size": (
        {"image": IMAGES[:, :4]},
        0,
        r"shape \(4, 4, 12, 3\); the networks take pictures of .*\(8, 12, 3\)",
    ),
    "sides exchanged": ({"image": IMAGES.swapaxes(1, 2)}, 0, r"the networks take pictures of .*\(8, 12, 3\)"),
    "one picture": ({"image": IMAGES[0]}, 0, r"one picture alone: give pictures\[None\]"),
    "six axes": ({"image": IMAGES[None, None]}, 0, r"give \(N, 8, 12, 3\)"),
    "flattened": ({"image": IMAGES.reshape(4, -1)}, 0, r"give \(N, 8, 12, 3\)"),
    "no pictures": ({"image": IMAGES[:0]}, 0, "has nothing in it"),
    "integers": ({"image": IMAGES.astype(int)}, 0, r"not int64; give astype\(numpy.uint8\)"),
    "bytes as floats": ({"image": IMAGES + np.float32(255)}, 0, "must be in .-1, 1., and these go to 255; give uint8"),
    "no condition": ({"image": IMAGES}, 2, r'give "condition" too, of shape \(N, 2\)'),
    "labels": ({"image": IMAGES, "condition": LABELS}, 2, r"not \(4, 2\); labels become numpy.eye\(2\)\[labels\]"),
    "other conditions": (
        {"image": IMAGES, "condition": np.eye(3)[LABELS]},
        2,
        r"has the shape \(4, 3\), and must have",
    ),
    "fewer conditions": ({"image": IMAGES, "condition": np.eye(2)}, 2, r"must have \(4, 2\)"),
    "a needless condition": ({"image": IMAGES, "condition": np.eye(2)[LABELS]}, 0, 'take no condition; leave "cond'),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_batch_is_refused_in_words(mistake):
    batch, condition_dim, said = MISTAKES[mistake]
    with pytest.raises(UserError, match=said) as caught:
        check_batch(batch, SHAPE, condition_dim)
    assert str(caught.value).startswith("batch") and str(caught.value).isprintable()


def test_a_grey_picture_without_its_channel_is_refused():
    with pytest.raises(UserError, match=r"give pictures\[..., None\]"):
        check_batch({"image": IMAGES[..., 0]}, (8, 12, 1))


@pytest.mark.parametrize("images", [IMAGES, IMAGES[None], IMAGES / np.float32(255), IMAGES - np.float16(1.5)])
def test_what_a_step_takes_passes(images):
    check_batch({"image": images, "other": None}, SHAPE)
    check_batch({"image": images, "condition": np.zeros((*images.shape[:-3], 2))}, SHAPE, 2)
    jax.eval_shape(lambda images: check_batch({"image": images}, SHAPE), images)  # also while it is traced


@pytest.mark.parametrize(
    ("model", "labels"), [("mlp_b", None), ("cgan_mnist", LABELS), ("vae_mlp", None), ("infogan_mnist", None)]
)
def test_every_step_has_this_door(model, labels):
    system = systems.build(model, data.from_arrays(np.zeros((4, 12, 12, 1), np.uint8), labels), batch_size=2)
    with pytest.raises(UserError, match=r'^batch: has no "image"'):
        system.step(None, {"images": np.zeros((2, 12, 12, 1), np.uint8)})
    with pytest.raises(UserError, match=r"^batch: must be a dictionary"):
        jax.jit(system.step)(None, np.zeros((2, 12, 12, 1), np.uint8))
    with pytest.raises(UserError, match="channels come last"):
        system.step(None, {"image": np.zeros((2, 1, 12, 12), np.uint8)})


def test_the_step_of_pairs_looks_at_both_pictures():
    images = np.zeros((4, 16, 16, 1), np.uint8)
    system = systems.build("pix2pix", data.from_arrays(images, inputs=images), batch_size=2, discriminator_layers=1)
    with pytest.raises(UserError, match=r'^batch: has no "input"'):
        system.step(None, {"image": images})
    with pytest.raises(UserError, match=r'^batch\["input"\]: has the shape .*channels come last'):
        system.step(None, {"image": images, "input": np.moveaxis(images, -1, -3)})


def test_of_several_batches_there_is_no_only_one():
    assert only_batch(IMAGES[None], "a system") is not None and only_batch(IMAGES, "a system") is IMAGES
    with pytest.raises(ValueError, match="a system takes one batch a step, got 4"):
        only_batch(np.zeros((4, 2, *SHAPE)), "a system")
