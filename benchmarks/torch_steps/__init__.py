"""Training steps in PyTorch of the systems that are no tutorial's, one file a family, and which rows each has.

The two-player systems are all in `benchmarks.torch_side`, the tutorials' and those with settings of later years.

Nothing of PyTorch is imported here: the process that compares has no need of it.
"""

from experiments.run.recipes import Recipe
from jaxgan.host.errors import UserError

STEPS = {
    "pix2pix": "pix2pix",
    "cyclegan": "cyclegan",
    "stargan": "stargan",
    "infogan": "infogan",
    "semi_supervised": "semi_supervised",
    "progan": "progan",
    "stylegan": "stylegan2",
    "vae": "vae",
}
"""The command of a family -> the module of its steps, with a class `Step` (recipe, channels_last, form)."""

FORMS: dict[str, tuple[str, ...]] = {"stylegan": ("grouped", "scaled")}
"""The command of a family -> the ways in which PyTorch may compute the same; without, there is one."""

FULLY_CONNECTED = ("ssgan_mnist", "autoencoder", "vae_mlp")


def has(recipe: Recipe) -> bool:
    """Whether the system of a recipe has its step here, and not in `benchmarks.torch_side`."""
    return recipe.family.command in STEPS


def rows(recipe: Recipe) -> list[tuple[str, str | None]]:
    """Returns (memory format, form or None) of each row of a comparison.

    Raises:
      UserError: for another precision than float32.
    """
    if recipe.precision != "float32":
        raise UserError(f"--precision={recipe.precision}: PyTorch's {recipe.model} is in float32; give --peer=none")
    layouts = ("contiguous",) if recipe.model in FULLY_CONNECTED else ("contiguous", "channels_last")
    forms = FORMS.get(recipe.family.command, (None,))
    return [(layout, form) for form in forms for layout in layouts]


def beyond_the_tutorials(recipe: Recipe) -> bool:
    """Whether a two-player system is none of the tutorials', or has a penalty or spectral normalisation that they lack.

    There is no source then whose work would have to be repeated, and PyTorch does the least that there is.
    """
    later = recipe.model in ("resnet_gan", "sngan_32", "sndcgan")
    return later or recipe.penalty is not None or bool(recipe.spectral_norm)
