"""What each system is trained with, as its source has it, and the flags by which every number can be changed."""

import dataclasses
from typing import Any

from experiments.cli.schema import option
from jaxgan import models
from jaxgan.errors import UserError

DATASET_HELP = "avatars (drawn by the library), folder (pictures in --data_dir), or a TFDS name such as mnist"
FEATURES = ("trained", "thumbnails")
FEATURES_HELP = "what scores see of a picture: a small network trained on the data set, or thumbnails of 8×8"
MOST_STEPS = 2**31 - 1  # the state counts them in 32 bits
LONGEST_CALL = 10_000  # steps of either player
LOSSES = ("nonsaturating", "minimax", "wasserstein", "least_squares", "hinge")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run. Each field is a flag of the same name; None means that the program chooses, as the help says."""

    model: str = option("", "the system to train; its recipe gives every other flag its default", group="Model")
    dataset: str | None = option(
        None, f"{DATASET_HELP}; default: folder if --data_dir is given, else avatars", group="Data"
    )
    data_dir: str | None = option(
        None, "the folder of pictures (any nesting, any names), or the directory of TFDS", path=True, group="Data"
    )
    workdir: str | None = option(
        None,
        "everything that the run writes; one that is there is continued; default: runs/MODEL-DATASET",
        path=True,
        group="Run",
    )
    steps: int | None = option(None, "the TOTAL number of generator steps to reach", group="Run")
    epochs: float | None = option(
        None, "the TOTAL number of passes over the pictures to reach, instead of --steps", group="Run"
    )
    batch_size: int = option(64, "pictures in a batch, over all devices together", group="Run")
    seed: int = option(0, "decides everything that is random", group="Run")
    num_examples: int = option(30_000, "how many avatars are drawn", group="Data")

    image_size: int | None = option(None, "height and width of the pictures; default: the model's own", group="Model")
    latent_dim: int | None = option(None, "numbers in the noise z; default: the model's own", group="Model")
    generator_width: int | None = option(
        None, "the smallest number of channels in the generator; default: the model's", group="Model"
    )
    discriminator_width: int | None = option(
        None, "the smallest number of channels in the discriminator; default: the model's", group="Model"
    )
    dropout_rate: float | None = option(
        None, "of the discriminator, where the model has dropout; default: the model's", group="Model"
    )
    initial_std: float | None = option(
        None, "standard deviation of the initial weights; default: the model's own", group="Model"
    )
    precision: str = option("float32", "the type to compute in", ("float32", "bfloat16"), group="Devices")

    loss: str = option("nonsaturating", "the pair of losses", LOSSES, group="Loss")
    label_smoothing: float = option(
        0.0, "real examples count as 1 minus this (minimax and nonsaturating losses)", group="Loss"
    )
    matching_aware: bool = option(False, "show the discriminator wrong conditions and wrong pictures too", group="Loss")
    wrong_in_one: bool = option(
        False, "with --matching_aware: a wrong condition is wrong in hair or eyes, not in both", group="Loss"
    )
    joint_batch: bool = option(
        False, "real and generated examples pass the discriminator as one batch", group="Training step"
    )
    sync_batch_norm: bool = option(
        True, "batch statistics of the global batch; else each device takes its own share's", group="Training step"
    )
    reuse_noise: bool = option(
        False, "the discriminator's noise serves the generator's step too", group="Training step"
    )
    critic_steps: int = option(1, "discriminator steps to one generator step", group="Training step")
    new_batch_each_critic_step: bool = option(
        False, "each discriminator step sees pictures and noise of its own", group="Training step"
    )
    critic_warmup: bool = option(
        False, "100 critic steps in each of the first 25 generator steps and every 500th", group="Training step"
    )
    clip: float | None = option(
        None, "bound of every discriminator parameter, after each step; default: no bound", group="Training step"
    )
    clip_normalization: bool = option(
        True, "bound the scales and biases of batch normalisation too", group="Training step"
    )

    optimizer: str = option("adam", "of both players", ("adam", "rmsprop", "sgd"), group="Optimiser")
    generator_learning_rate: float = option(2e-4, "the generator's learning rate", group="Optimiser")
    discriminator_learning_rate: float = option(2e-4, "the discriminator's learning rate", group="Optimiser")
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")
    beta2: float = option(0.999, "Adam's decay of the gradient's square; RMSprop's is 0.9", group="Optimiser")
    epsilon_in_root: bool = option(
        True, "RMSprop divides by √(v + 1e-7), as Keras 3; else by √v + 1e-7, as Keras 2", group="Optimiser"
    )
    decay_every: int | None = option(
        None, "steps after which both learning rates are multiplied by --decay_rate", group="Optimiser"
    )
    decay_rate: float = option(0.5, "the factor of --decay_every", group="Optimiser")
    average_decay: float | None = option(
        None, "sample from a moving average of the generator with this decay", group="Optimiser"
    )
    flip: bool = option(False, "mirror real pictures left and right at random", group="Data")
    rotation: float = option(0.0, "turn real pictures by up to this many degrees at random", group="Data")

    log_every: int = option(100, "steps to a line in metrics.jsonl", group="Schedule of the run")
    sample_every: int = option(1000, "steps to a grid of samples", group="Schedule of the run")
    checkpoint_every: int = option(1000, "steps to a checkpoint", group="Schedule of the run")
    evaluate_every: int | None = option(
        None, "steps to a few scores in metrics.jsonl, such as FID; default: none", group="Schedule of the run"
    )
    evaluate_num: int = option(2000, "pictures that those scores are taken from", group="Schedule of the run")
    evaluate_features: str = option("trained", FEATURES_HELP, FEATURES, group="Schedule of the run")
    keep_checkpoints: int = option(3, "how many of the newest checkpoints are kept", group="Schedule of the run")
    keep_checkpoints_every: int | None = option(
        None, "keep those at multiples of this step for ever; default: none", group="Schedule of the run"
    )
    on_collapse: str = option(
        "warn", "what happens when training goes wrong", ("warn", "stop", "rollback"), group="Run"
    )
    conditions: str | None = option(
        None,
        "a file with a condition a line, for the grid of a conditional model",
        path=True,
        group="Schedule of the run",
    )
    steps_per_call: int | None = option(
        None, "steps that run on the device without a break; default: by model, device", group="Devices"
    )
    parallel: str | None = option(
        None, "jit (one device), pmap or shard_map; default: by the number of devices", group="Devices"
    )
    placement: str | None = option(
        None, "keep all pictures on the device, or stream them; default: device if they fit", group="Devices"
    )


_GAN: dict[str, Any] = {"reuse_noise": True, "beta1": 0.9, "batch_size": 64}
_MNIST_A: dict[str, Any] = {**_GAN, "generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-5}
_KERAS: dict[str, Any] = {
    "optimizer": "rmsprop",
    "generator_learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
    "joint_batch": True,
    "batch_size": 32,
    "epochs": 50,
}

_SETTINGS: dict[str, dict[str, Any]] = {
    "mlp_a": {**_GAN, "generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4, "epochs": 200},
    "mlp_b": {"beta1": 0.9, "batch_size": 100, "epochs": 200, "log_every": 200},
    "mlp_keras": _KERAS,
    "dcgan_mnist_a": {**_MNIST_A, "epochs": 40},
    "dcgan_mnist_keras": _KERAS,
    "dcgan_anime_a": {
        "reuse_noise": True,
        "generator_learning_rate": 1e-4,
        "discriminator_learning_rate": 1e-4,
        "epochs": 500,
    },
    "dcgan_anime_b": {"batch_size": 256, "epochs": 200},
    "dcgan_64": {"batch_size": 128, "epochs": 25},
    "wgan_anime": {
        "loss": "wasserstein",
        "optimizer": "rmsprop",
        "epsilon_in_root": False,
        "generator_learning_rate": 5e-5,
        "discriminator_learning_rate": 5e-5,
        "critic_steps": 5,
        "new_batch_each_critic_step": True,
        "clip": 0.01,
        "rotation": 20.0,
        "steps": 100_000,
    },
    "cgan_anime": {
        "reuse_noise": True,
        "matching_aware": True,
        "critic_steps": 2,
        "beta1": 0.9,
        "generator_learning_rate": 1e-4,
        "discriminator_learning_rate": 1e-4,
        "epochs": 100,
        "sample_every": 5000,
        "checkpoint_every": 5000,
    },
    "cgan_mnist": {**_MNIST_A, "epochs": 100},
}

RECIPES = {name: Recipe(model=name, **settings) for name, settings in _SETTINGS.items()}


def resolve(given: dict[str, Any], family: tuple[str, ...]) -> Recipe:
    """The recipe of ``given["model"]`` with everything else that was given put in its place.

    Args:
      given: flags that were set, by name.
      family: the models that the command trains; the first is the default.

    Raises:
      UserError: for a model of another family, or values that cannot be.
    """
    model = given.get("model") or family[0]
    if model not in family:
        raise UserError(f"--model={model}: this command trains {', '.join(family)}{_where_trained(model)}")
    if given.get("steps") is not None and given.get("epochs") is not None:
        raise UserError("--steps and --epochs: give one of the two")
    recipe = RECIPES[model]
    if given.get("steps") is not None or given.get("epochs") is not None:
        recipe = dataclasses.replace(recipe, steps=None, epochs=None)
    recipe = dataclasses.replace(recipe, **{**given, "model": model})
    if recipe.dataset is None:
        recipe = dataclasses.replace(recipe, dataset="folder" if recipe.data_dir else "avatars")
    if recipe.workdir is None:
        recipe = dataclasses.replace(recipe, workdir=f"runs/{recipe.model}-{recipe.dataset}")
    _check(recipe)
    return recipe


def _where_trained(model: str) -> str:
    """The end of a sentence: which command trains a model that this one does not; nothing for a name that is none."""
    begins = model.partition("_")[0]
    command = {"mlp": "gan"}.get(begins, begins)
    return f"; {model} is trained by experiments.{command}" if model in models.names() else ""


def _check(recipe: Recipe) -> None:
    """Raises a UserError for a number out of range."""
    for name in ("steps", "epochs", "image_size", "decay_every", "clip", "evaluate_every"):
        value = getattr(recipe, name)
        if value is not None and not 0 < value <= MOST_STEPS:
            raise UserError(f"--{name}={value}: must be above 0, and at most {MOST_STEPS:,}")
    positive = ("batch_size", "num_examples", "log_every", "sample_every", "checkpoint_every")
    for name in (*positive, "keep_checkpoints"):
        if getattr(recipe, name) < 1:
            raise UserError(f"--{name}={getattr(recipe, name)}: must be at least 1")
    if recipe.keep_checkpoints_every is not None and recipe.keep_checkpoints_every < 1:
        raise UserError(f"--keep_checkpoints_every={recipe.keep_checkpoints_every}: must be at least 1")
    for name in ("steps_per_call", "critic_steps"):
        value = getattr(recipe, name)
        if value is not None and not 1 <= value <= LONGEST_CALL:
            raise UserError(f"--{name}={value}: must be from 1 to {LONGEST_CALL:,}")
    check_seed(recipe.seed)
    for name in ("generator_learning_rate", "discriminator_learning_rate", "rotation"):
        if not 0 <= getattr(recipe, name) < float("inf"):
            raise UserError(f"--{name}={getattr(recipe, name)}: must be 0 or more")
    if recipe.initial_std is not None and not 0 < recipe.initial_std < float("inf"):
        raise UserError(f"--initial_std={recipe.initial_std}: must be above 0")
    if not 0 < recipe.decay_rate < float("inf"):
        raise UserError(f"--decay_rate={recipe.decay_rate}: must be above 0")
    for name in ("beta1", "beta2", "label_smoothing", "average_decay", "dropout_rate"):
        value = getattr(recipe, name)
        if value is not None and not 0 <= value < 1:
            raise UserError(f"--{name}={value}: must be at least 0 and below 1")
    if recipe.matching_aware and not recipe.model.startswith("cgan"):
        raise UserError(f"--matching_aware: {recipe.model} has no condition; use a model of experiments.cgan")
    if recipe.conditions is not None and not recipe.model.startswith("cgan"):
        raise UserError(f"--conditions: {recipe.model} has no condition; use a model of experiments.cgan")
    if recipe.wrong_in_one and not recipe.matching_aware:
        raise UserError("--wrong_in_one: says how a condition is wrong; give --matching_aware too")
    for name in ("matching_aware", "joint_batch"):
        if getattr(recipe, name) and recipe.loss not in ("nonsaturating", "minimax"):
            raise UserError(f"--loss={recipe.loss}: --{name} has a loss of its own; give --no{name} too")
        if getattr(recipe, name) and recipe.label_smoothing:
            raise UserError(f"--label_smoothing: --{name} has a loss without it; give --no{name} too")
    if recipe.reuse_noise and recipe.new_batch_each_critic_step:
        raise UserError("--new_batch_each_critic_step: its noise is new too; give --noreuse_noise")
    if recipe.critic_warmup and not recipe.new_batch_each_critic_step:
        raise UserError("--critic_warmup: each of its steps takes a new batch; give --new_batch_each_critic_step too")
    if recipe.critic_warmup and recipe.decay_every is not None:
        raise UserError("--decay_every: counts steps with as many critic steps each; leave out --critic_warmup")
    if recipe.dataset == "folder" and not recipe.data_dir:
        raise UserError("--dataset=folder: name the folder with --data_dir")


def check_seed(seed: int) -> None:
    """Raises a UserError for a seed that JAX or NumPy does not take."""
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed={seed}: must be from 0 to 2^63 - 1")


def family(prefix: str) -> tuple[str, ...]:
    """The models whose id begins with a prefix."""
    return tuple(name for name in models.names() if name.startswith(prefix))
