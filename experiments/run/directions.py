"""Directions toward the classes or tags of a run's pictures: found once a checkpoint, kept beside it, and shown."""

import contextlib
import difflib
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.run.feature_network import feature_network_of
from experiments.run.recipes import Recipe
from experiments.run.restore import TrainedRun
from jaxgan.data.cache import cache_directory
from jaxgan.data.folder import TAG_FILE
from jaxgan.data.heads import Head
from jaxgan.host.arrays import parse_arrays
from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError, printable
from jaxgan.host.files import replace_atomically
from jaxgan.host.progress import bar
from jaxgan.sampling import directions
from jaxgan.sampling.directions import LEAST, Directions
from jaxgan.systems.outputs import Exhibit
from jaxgan.training.files.workdir import Workdir

STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)
LOOKED_AT = 4000  # samples that the classifier names
SEED = 0  # of their latents
LISTED = 40  # classes that a refusal names
_SLAB = 200
_FORMAT = 1  # raised when those that an older version has kept must no longer be used


def labelled(recipe: Recipe, condition_names: tuple[str, ...]) -> bool:
    """Whether the pictures of a run have classes or tags, as far as this is known without reading them."""
    tagged = recipe.dataset == "folder" and (Path(str(recipe.data_dir)) / TAG_FILE).is_file()
    return bool(condition_names) or tagged


def check(run: TrainedRun, toward: str | None = None) -> None:
    """Raises a UserError for a run that has no directions, or, where its classes are known, for none of them."""
    if run.condition_dim:
        asking = '--condition="blue hair"' if "blue hair" in run.condition_names else "--condition"
        raise UserError(
            f"--show=directions: {run.recipe.model} draws what it is asked for, without any direction; use {asking}"
        )
    run.system.outputs.require("latent", run.recipe.model)
    if not labelled(run.recipe, run.condition_names):
        raise UserError(
            "--show=directions: the run's pictures have no classes or tags that a direction could lead to; a folder"
            " has them in a tags.csv"
        )
    if toward is not None and run.condition_names:
        _check_name(toward, run.condition_names)


def directions_of(run: TrainedRun) -> Directions:
    """Returns the directions of a run: those that are kept, or else finds and keeps them, which takes minutes.

    Raises:
      UserError: if the run has none, or its pictures are not at hand.
    """
    check(run)
    found = kept(run)
    if found is None:
        found = find(run)
        _keep(run, found)
    return found


def kept(run: TrainedRun) -> Directions | None:
    """Returns the directions that were found for the same weights; None where there are none, or they are damaged."""
    key = _key(run)
    for path in _places(run, key):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            arrays = parse_arrays(path.read_bytes())
            facts = json.loads(str(arrays["facts"]))
            kinds = tuple(Head(name, tuple(classes), start) for name, classes, start in facts["kinds"])
            classes = sum(len(kind.classes) for kind in kinds)
            steps, counts = arrays["steps"], arrays["counts"]
            right = steps.ndim == 2 and len(steps) == len(counts) == classes and np.isfinite(steps).all()
            if facts["key"] == key and right:
                return Directions(kinds, steps, counts)
    return None


def find(run: TrainedRun) -> Directions:
    """Finds the directions by what the classifier of `experiments.evaluate` says of samples.

    Raises:
      UserError: if the pictures of the run are not at hand, or have no classes.
    """
    network = feature_network_of(run)
    if not network.heads:
        raise UserError("--show=directions: the run's pictures have no classes or tags that a direction could lead to")
    latent: Any = run.latent
    if _has_styles(run):
        latent = latent.with_psi(1.0)  # of all styles, also where those near the average are to be shown
    z = latent.latents(jax.random.key(SEED), LOOKED_AT)
    points, logits = [], []
    with bar(total=LOOKED_AT, what="naming samples", unit="sample") as progress:
        for start in range(0, LOOKED_AT, _SLAB):
            part = z[start : start + _SLAB]
            points.append(np.asarray(latent.single_styles(run.state, part) if _has_styles(run) else part))
            logits.append(np.asarray(network.apply(latent.images(run.state, part)).logits))
            progress.update(len(part))
    return directions.find(np.concatenate(points), np.concatenate(logits), network.heads)


def number_of(found: Directions, name: str) -> int:
    """Returns the number of a class that has a direction.

    Raises:
      UserError: if there is no such class, or too few samples are of it.
    """
    names = [one for kind in found.kinds for one in kind.classes]
    _check_name(name, names)
    number = names.index(name)
    if not found.known[number]:
        raise UserError(
            f"--toward={printable(name)}: {found.counts[number]} of {LOOKED_AT:,} samples look like it, and for a"
            f" direction {LEAST} must, and as many must not; choose another"
        )
    return number


def first_kind(found: Directions) -> list[int]:
    """Lists the numbers of the classes of the first kind that have a direction.

    Raises:
      UserError: if none has.
    """
    kind = found.kinds[0]
    numbers = [kind.start + index for index in range(len(kind.classes)) if found.known[kind.start + index]]
    if not numbers:
        raise UserError(
            f"--show=directions: of no {kind.name} are there {LEAST} among {LOOKED_AT:,} samples, and {LEAST} of"
            " others; name one of another kind by --toward"
        )
    return numbers


def edited(run: TrainedRun, z: jax.Array, offsets: np.ndarray) -> np.ndarray:
    """Draws each latent with each offset added to its style, or where there are no styles to the latent.

    Args:
      run: a run that draws from latents.
      z: (n, latent_dim).
      offsets: (m, d); see `jaxgan.sampling.directions.offset`.

    Returns:
      uint8 (n · m, H, W, C), all of the first latent first.
    """
    latent: Any = run.latent
    if _has_styles(run):
        ws = np.asarray(latent.for_layers(run.state, latent.single_styles(run.state, z)))
        ways = directions.moved(ws[:, None], offsets[:, None, :], keep_length=False)
        return latent.images_of_styles(run.state, ways.reshape(-1, *ws.shape[1:]))
    points = directions.moved(np.asarray(z)[:, None], offsets, keep_length=latent.normal)
    return latent.images(run.state, points.reshape(-1, z.shape[1]))


def show(run: TrainedRun, z: jax.Array, found: Directions, toward: str | None) -> Exhibit:
    """Shows samples at strengths from left to right.

    Args:
      run: the run that the directions are of.
      z: latents of the samples, (n, latent_dim).
      found: its directions.
      toward: a class, and a row is a sample; None: a set of rows for each sample, one for each class of the first kind.
    """
    if toward is None:
        kind, numbers = found.kinds[0], first_kind(found)
        rows = tuple(kind.classes[number - kind.start] for number in numbers)
    else:
        numbers, rows = [number_of(found, toward)], ()
    offsets = np.stack([directions.offset(found, {number: strength}) for number in numbers for strength in STRENGTHS])
    pictures = edited(run, z, offsets)
    return Exhibit(
        pictures,
        np.zeros((len(pictures), 0), np.uint8),
        columns=len(STRENGTHS),
        together=len(rows),
        rows=rows,
        heads=tuple(f"{strength:+d}" if strength else "0" for strength in STRENGTHS),
    )


def _has_styles(run: TrainedRun) -> bool:
    return hasattr(run.latent, "single_styles")


def _check_name(name: str, names: list[str] | tuple[str, ...]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        listed = [*near, *(one for one in names if one not in near)][:LISTED]
        others = " and others" * (len(names) > LISTED)
        raise UserError(
            f"--toward={printable(name)}: no class or tag of these pictures, which have {', '.join(listed)}{others}"
        )


def _key(run: TrainedRun) -> str:
    """Returns what decides the directions, digested: the step, the weights, the pictures, and how they are found."""
    weights = digest(run.latent.variables(run.state))
    facts = [_FORMAT, run.step, weights, run.pictures_digest, LOOKED_AT, SEED]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _places(run: TrainedRun, key: str) -> tuple[Path, ...]:
    """Returns where directions are looked for and kept: in the workdir, or where it cannot be written to, the cache.

    The models that come with the package, and other folders of weights, are left as they are.
    """
    workdir = Workdir(str(run.recipe.workdir))
    elsewhere = cache_directory() / "directions" / f"{key[:32]}.npz"
    return (elsewhere,) if workdir.weights.is_file() else (workdir.directions_of(run.step), elsewhere)


def _keep(run: TrainedRun, found: Directions) -> None:
    """Writes directions to the first place that takes them; where none does, they are found again the next time."""
    key = _key(run)
    facts = {"key": key, "step": run.step, "kinds": [[kind.name, kind.classes, kind.start] for kind in found.kinds]}
    buffer = io.BytesIO()
    np.savez(buffer, steps=found.steps, counts=found.counts, facts=np.array(json.dumps(facts)))
    for path in _places(run, key):
        with contextlib.suppress(OSError):
            replace_atomically(path, lambda file: file.write(buffer.getvalue()))
            return
