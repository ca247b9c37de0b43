"""Makes a run of weights from PyTorch or Keras, which sample, evaluate, demo and --init_from take.

    python -m experiments.import_weights --model=dcgan_anime_a --generator=netG.pt --workdir=W

Weights are a PyTorch state dict (.pt, .pth, .ckpt: PyTorch reads it, arrays alone) or a .npz of arrays in the order of
definition: numpy.savez(FILE, **arrays_by_name), or numpy.savez(FILE, *keras_model.get_weights()).
"""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.cli import command, schema
from experiments.run.recipes import Recipe, resolve
from experiments.run.references import UNKNOWN, load_pictures
from jaxgan import interop, systems
from jaxgan.data.examples import Examples
from jaxgan.data.tags import CONDITION_NAMES
from jaxgan.host import progress
from jaxgan.host.errors import UserError, printable
from jaxgan.models.network import Network
from jaxgan.systems.adversarial_settings import AdversarialSettings
from jaxgan.systems.gan import build_gan
from jaxgan.systems.players import Player
from jaxgan.systems.settings import flag_lines, option
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import has_checkpoints, write_description
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import initial_state

PLAYERS = ("generator", "discriminator")
KERAS_NAME = "arr_0"  # what numpy.savez calls the first array that has no name


@dataclasses.dataclass(frozen=True)
class ImportWeights:
    """The flags of this command."""

    model: str | None = option(None, "System that the weights are of, such as dcgan_anime_a")
    workdir: str | None = option(None, "Directory of the run to make", path=True)
    generator: str | None = option(None, "File of the generator's weights: .pt, .pth, .ckpt or .npz", path=True)
    discriminator: str | None = option(
        None, "File of the discriminator's weights; default: they are initialised", path=True
    )
    generator_key: str | None = option(None, "Where the file holds the generator, such as netG or nets.generator")
    discriminator_key: str | None = option(None, "The same of the discriminator; default: it is the whole file")
    image_size: int | None = option(None, "Height and width of the pictures in pixels; default: the model's own")
    channels: int = option(3, "Channels of the pictures, 1 or 3; those of --data_dir come from the pictures")
    classes: int | None = option(None, "Classes of a conditional model; default: the 23 tags of cgan_anime, else 10")
    latent_dim: int | None = option(None, "Length of the latent z; default: the model's own")
    generator_width: int | None = option(None, "Width of the generator; default: the model's own")
    discriminator_width: int | None = option(None, "Width of the discriminator; default: the model's own")
    dataset: str | None = option(None, "Source of the pictures that they were trained on; default: none is named")
    data_dir: str | None = option(None, "Folder of those pictures, or a .npz or .npy file of them", path=True)
    seed: int = option(0, "Random seed of what is initialised")


def main() -> None:
    """Reads weights and writes the workdir of a run at step 0."""
    command.answer(make(ImportWeights(**schema.given_flags(ImportWeights))))


def make(asked: ImportWeights) -> str:
    """Makes the workdir that the flags ask for, and returns what to say of it.

    Raises:
      UserError: for flags that are missing or wrong, weights that do not fit, or a workdir that holds a run.
    """
    for name in ("model", "workdir", "generator"):
        if getattr(asked, name) is None:
            raise UserError(f"--{name}: is needed; {HOW[name]}")
    recipe = recipe_of(asked)
    pictures = pictures_of(asked, recipe)
    system = recipe.family.build(recipe.settings, pictures)
    gan = build_gan(recipe.settings, pictures.image_shape[-1], pictures.condition_dim)
    with progress.ticking("reading the weights"):  # which may import PyTorch
        state = initial_state(system)
        for name in PLAYERS:
            if getattr(asked, name) is not None:
                variables = read_weights(getattr(gan, name), getattr(asked, name), getattr(asked, f"{name}_key"), name)
                state = state.replace(**{name: with_variables(getattr(state, name), variables)})
    if state.average is not None:
        state = state.replace(average=state.generator.variables)
    write(str(asked.workdir), recipe, pictures, state)
    begun = "" if asked.discriminator else "; its discriminator is initialised"
    return f"Made {asked.workdir} of the weights in {asked.generator}{begun}."


HOW = {
    "model": "name the system that the weights are of, such as --model=dcgan_anime_a",
    "workdir": "name the directory of the run to make",
    "generator": "name the file of the generator's weights",
}


def recipe_of(asked: ImportWeights) -> Recipe:
    """Returns the recipe of the run: that of the model, with the sizes and pictures that were asked for.

    Raises:
      UserError: for a model that is no GAN, or sizes that cannot be.
    """
    sizes = ("image_size", "latent_dim", "generator_width", "discriminator_width")
    names = ("model", "workdir", "dataset", "data_dir", "seed", *sizes)
    given = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    model = str(asked.model)
    gans = [name for name in systems.names() if issubclass(systems.family_of(name).settings, AdversarialSettings)]
    if model not in gans:
        raise UserError(f"--model={printable(model)}: is no GAN of this library; choose one of {', '.join(gans)}")
    if asked.channels not in (1, 3):
        raise UserError(f"--channels={asked.channels}: must be 1 or 3")
    if asked.classes is not None and asked.classes < 2:
        raise UserError(f"--classes={asked.classes}: must be at least 2")
    return resolve(given, systems.names())


def pictures_of(asked: ImportWeights, recipe: Recipe) -> Examples:
    """Returns the pictures that were named, or a description of such as the networks make."""
    if asked.dataset is not None or asked.data_dir is not None:
        return load_pictures(recipe)
    names: tuple[str, ...] = ()
    if recipe.family.conditional:
        tagged = asked.classes is None and recipe.model == "cgan_anime"
        names = CONDITION_NAMES if tagged else tuple(map(str, range(asked.classes or 10)))
    size = recipe.picture_size
    return Examples.described((size, size, asked.channels), names, UNKNOWN)


def read_weights(module: Network, path: str, key: str | None, player: str) -> dict[str, Any]:
    """Reads the variables of a network from a file.

    Args:
      module: the network.
      path: the file.
      key: where the file holds it, keys joined by dots; None: it is the whole file.
      player: "generator" or "discriminator", for the messages.

    Raises:
      UserError: if the file cannot be read, or holds the weights of another network.
    """
    where = f"--{player}={printable(path)}"
    schema.check_readable(player, path)
    suffix = Path(path).suffix.lower()
    found = _arrays(path, where) if suffix == ".npz" else _load_torch(path, where)
    for part in [] if key is None else [key] if isinstance(found, dict) and key in found else key.split("."):
        if not isinstance(found, dict) or part not in found:
            there = ", ".join(map(printable, found)) if isinstance(found, dict) else "no names"
            raise UserError(f"--{player}_key={printable(key)}: the file has no {printable(part)}, but {there}")
        found = found[part]
    try:
        if suffix == ".npz" and KERAS_NAME in found:
            return interop.keras.import_variables(module, list(found.values()))
        return interop.torch.import_variables(module, found)
    except UserError as error:
        hint = f"; name it by --{player}_key" if "take it out first" in str(error) else ""
        raise UserError(f"{where}: {error.as_flags}{hint}") from None


def _arrays(path: str, where: str) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as opened:
            return {name: opened[name] for name in opened.files}
    except Exception as error:  # NumPy, zipfile and zlib raise almost anything for a damaged file
        raise UserError(f"{where}: cannot be read as arrays ({printable(error)})") from error


def _load_torch(path: str, where: str) -> Any:
    try:
        torch = importlib.import_module("torch")  # not a package that this one needs
    except ImportError:
        raise UserError(f"{where}: only PyTorch reads this: pip install torch, or save a .npz by numpy.savez") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any type; with weights_only nothing in the file is run
        reason = str(error).partition("\n")[0]
        raise UserError(f"{where}: cannot be read as weights ({printable(reason)}); save its state_dict()") from error


def with_variables(player: Player, variables: dict[str, Any]) -> Player:
    """Returns a player with the parameters and running statistics of imported variables, in the types of its own."""

    def taken(mine: Any, theirs: Any) -> Any:
        return jax.tree.map(lambda old, new: jax.numpy.asarray(new, old.dtype), mine, theirs)

    return player.replace(
        params=taken(player.params, variables["params"]),
        batch_stats=taken(player.batch_stats, variables["batch_stats"]),
    )


def write(path: str, recipe: Recipe, pictures: Examples, state: Any) -> None:
    """Writes the workdir of a run at step 0.

    Raises:
      UserError: if there is a run already, or the workdir cannot be written to.
    """
    workdir = Workdir(path)
    with workdir:
        if has_checkpoints(workdir):
            raise UserError(f"--workdir={path}: holds a run already; choose another")
        write_description(workdir, str(recipe.dataset), pictures, flag_lines(recipe))
        checkpoints = Checkpoints(workdir.checkpoints)
        checkpoints.save(0, state, {}, confirm=workdir.confirm)
        checkpoints.wait()
        checkpoints.close()


if __name__ == "__main__":
    command.run(main, schema.define_flags(ImportWeights))
