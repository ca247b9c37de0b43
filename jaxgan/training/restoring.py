"""Loading of a run in a program: its system and its state, at its newest checkpoint or an earlier one."""

from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import jax
import numpy as np

from jaxgan import systems
from jaxgan.data.examples import Examples
from jaxgan.host import progress
from jaxgan.host.errors import UserError, printable
from jaxgan.systems.settings import SystemSettings, unquote
from jaxgan.systems.system import System
from jaxgan.training.best import BEST, best_step
from jaxgan.training.files import random_settings
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import Description, read_description
from jaxgan.training.files.weights import read_weights
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import state_template


class Run(NamedTuple):
    """A run that was read back.

    Attributes:
      system: what was trained.
      state: its state at `step`: `system.sample(state)` draws from it.
      step: the step of the checkpoint.
      described: the pictures that it was trained on, as their description has them.
    """

    system: System
    state: Any
    step: int
    described: Description


def load(
    workdir: str | Path, *, step: int | str | None = None, system: System | None = None, require_finite: bool = True
) -> Run:
    """Reads a checkpoint of a run, whether a command or a program trained it, or the weights of an exported folder.

    Args:
      workdir: the directory of the run, or a folder that `experiments.export --format=folder` wrote.
      step: the step of the checkpoint; "best": the one that `--keep_best` has kept; None: the newest intact one.
      system: what was trained, where it is none of the library's; None: the workdir says it.
      require_finite: whether to refuse weights that are not finite, which draw nothing.

    Raises:
      UserError: where there is no run, no such intact checkpoint, or its weights are not finite.
    """
    described = read_description(workdir)
    random_settings.check_same(Workdir(workdir).path, described.random)
    system = system or system_of(workdir)
    with progress.ticking("reading the run"):
        found, state = (_exported if Workdir(workdir).weights.is_file() else _restored)(workdir, step, system)
    if require_finite:
        check_finite(workdir, system, state, found)
    return Run(system, state, found, described)


def _restored(workdir: str | Path, step: int | str | None, system: System) -> tuple[int, Any]:
    """Returns the step and the state of a checkpoint."""
    checkpoints = Checkpoints(Workdir(workdir).checkpoints)
    step = _number_of(step, workdir, checkpoints)
    if step is not None and step not in checkpoints.steps():
        raise UserError(f"--step={step}: {_those_of(workdir, checkpoints)}")
    restored = checkpoints.restore_latest(state_template(system), at_most=step)
    if restored is None:
        raise UserError(
            f"--workdir={workdir}: has no intact checkpoint yet; the run writes one every checkpoint_every steps"
        )
    if step is not None and restored[0] != step:
        raise UserError(f"--step={step}: this checkpoint is damaged; {_those_of(workdir, checkpoints)}")
    return restored[0], restored[1]


def _exported(workdir: str | Path, step: int | str | None, system: System) -> tuple[int, Any]:
    """Returns the step and the state of a folder of weights; its key, and its optimisers' states, are zeros."""
    found, state = read_weights(Workdir(workdir).weights, jax.tree.map(_zeros, state_template(system)))
    if step is not None and str(step) != str(found):
        raise UserError(f"--step={printable(step)}: {workdir} holds the weights of step {found} alone; leave it out")
    return found, state


def _zeros(like: jax.Array | jax.ShapeDtypeStruct) -> jax.Array:
    # What jnp.asarray does to an array of NumPy is a program to compile for each shape.
    return like if isinstance(like, jax.Array) else jax.device_put(np.zeros(like.shape, like.dtype))


def system_of(workdir: str | Path) -> System:
    """Builds the system of a run, without its state.

    Raises:
      UserError: where the workdir holds no run of a system of the library.
    """
    described = read_description(workdir)
    examples = Examples.described(described.shape, described.condition_names, described.digest)
    settings = read_settings(Workdir(workdir).flags)
    return systems.family_of(settings.model).build(settings, examples)


def read_settings(path: Path) -> SystemSettings:
    """Reads the settings of a system from the flags of a run; what else these say is left out.

    Raises:
      UserError: where the file cannot be read, or is no such file.
    """
    try:
        lines = [unquote(line) for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the flags of a run cannot be read ({printable(error)})") from error
    given = dict(line.lstrip("-").partition("=")[::2] for line in lines if line.startswith("--"))
    family = systems.family_of(given.get("model", ""))
    hints = get_type_hints(family.settings)
    try:
        values = {name: _value(name, hint, given) for name, hint in hints.items() if {name, f"no{name}"} & given.keys()}
        settings: SystemSettings = family.settings(**{**family.defaults[given["model"]], **values})
    except ValueError as error:
        raise UserError(f"{path}: not the flags of a run ({printable(error)})") from error
    settings.check()
    return settings


def check_finite(workdir: str | Path, system: System, state: Any, step: int) -> None:
    """Raises a UserError if a weight of a state is not finite, as after a training that has diverged."""
    weights = dict(system.networks(state))
    if system.outputs.latent is not None:
        weights["what is sampled from"] = system.outputs.latent.variables(state)
    for name, tree in weights.items():
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)):
            raise UserError(
                f"--workdir={workdir}: at step {step} weights of the {name} are not finite: the training has diverged;"
                " --step names an earlier checkpoint"
            )


def _value(name: str, hint: Any, given: dict[str, str]) -> Any:
    kind = next((kind for kind in get_args(hint) if kind is not type(None)), hint)
    if kind is bool:
        return name in given and given[name] in ("", "true", "True", "1")
    return kind(given[name])


def _number_of(step: int | str | None, workdir: str | Path, checkpoints: Checkpoints) -> int | None:
    """Returns the step that is asked for, also where that is the best."""
    if step != BEST:
        try:
            return None if step is None else int(step)
        except ValueError:
            raise UserError(f"--step={printable(step)}: must be a whole number, or {BEST}") from None
    newest = checkpoints.read_latest()
    found = None if newest is None else best_step(newest.metadata)
    if found is None:
        raise UserError(
            f"--step={BEST}: {workdir} has kept none; a run trained with --evaluate_every and --keep_best keeps one"
        )
    return found


def _those_of(workdir: str | Path, checkpoints: Checkpoints) -> str:
    steps = ", ".join(map(str, checkpoints.steps()[-10:]))
    return f"{workdir} has checkpoints of the steps {steps}" if steps else f"{workdir} has no checkpoint"
