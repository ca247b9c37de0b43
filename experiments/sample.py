"""Draws pictures from a trained run.

    python -m experiments.sample --workdir=W --num=64 --out=result.png
    python -m experiments.sample --workdir=W --num=64 --best_of=512 --out=best.png    # those that D scores highest
    python -m experiments.sample --workdir=W --num=25 --condition="blue hair red eyes" --out=blue.png
    python -m experiments.sample --workdir=W --show=interpolation --out=walk.gif      # or one_noise, neighbours, …
    python -m experiments.sample --workdir=W --show=arithmetic --plus=3,17 --minus=0,9 --out=sum.png
    python -m experiments.sample --workdir=W --show=directions --toward="blue hair" --out=blue.png
    python -m experiments.sample --workdir=W --psi=0.7 --out=nearer.png               # of a model with styles
    python -m experiments.sample --workdir=W --show=features --out=features.png       # what the discriminator looks at
    python -m experiments.sample --workdir=W --show=reconstructions --out=pairs.png   # of a run that reconstructs
    python -m experiments.sample --workdir=W --input=drawing.png --out=face.png       # or a folder; needs a translator
    python -m experiments.sample --workdir=W --input=photos --direction=b_to_a --out=paintings    # between two domains
    python -m experiments.sample --workdir=W --input=face.png --condition="blue hair" --out=blue.png
    python -m experiments.sample --workdir=W --project=face.png --out=found.png       # the latent that comes closest
    python -m experiments.sample --workdir=W --project=face.png --space=w+ --out=found.png    # or the styles

A .png holds one grid. A .npz holds `images` (uint8 N,H,W,C, or N,H,W for one channel) and, of a conditional
model, `labels` (the condition of each picture, uint8 N,c). Any other name is a folder, which gets a file per picture,
in the place of those of an earlier call.
"""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.cli import command, schema
from experiments.run import (
    arithmetic,
    directions,
    discriminator_features,
    exhibits,
    given_pictures,
    pretrained,
    projecting,
)
from experiments.run.exhibits import Exhibit
from experiments.run.output import earlier_pictures, write
from experiments.run.restore import STEP_HELP, TrainedRun, load_run
from experiments.run.translation import translated, translations
from jaxgan import sampling
from jaxgan.data import tags
from jaxgan.data.conditions import in_turn
from jaxgan.host import progress
from jaxgan.host.errors import UserError, printable
from jaxgan.sampling.style_projection import SPACES, steps_of
from jaxgan.systems.settings import option
from jaxgan.systems.system import System, check_distinct_seed

LARGEST = 1_000_000
OTHER_PICTURES = (
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".svg",
    ".pdf",
    ".mp4",
    ".webm",
    ".npy",
    ".zip",
)  # refused, because a folder of such a name is a mistake
FARTHEST = 1_000_000  # of a latent: networks compute in float32, and their products must stay finite


@dataclasses.dataclass(frozen=True)
class Sample:
    """The flags of this command."""

    workdir: str | None = option(None, "Directory of the run", path=True)
    pretrained: str | None = option(None, pretrained.HELP)
    step: str | None = option(None, STEP_HELP)
    num: int = option(64, "Number of pictures; for --show, rounded down to whole rows or sets, but at least one")
    best_of: int | None = option(
        None, "Draw this many pictures and keep the --num that the discriminator scores highest"
    )
    show: str = option(
        "samples",
        "Pictures to show; samples; interpolation: between latents, straight and below along the arc (a closed walk if"
        " --out is a .gif); conditions: all of them; one_noise: one latent under every condition; neighbours: samples"
        " beside the nearest training pictures; arithmetic: of --plus and --minus; directions: samples moved toward a"
        " class or tag, --toward, of the run's pictures; features: for the strongest units of"
        " a --layer of the discriminator the pictures that excite them most, above their guided backpropagation;"
        " reconstructions: real pictures above what the system makes of them; translations: inputs, outputs, of two"
        " domains the way back, and the truth; or any other exhibit of it",
    )
    plus: str | None = option(
        None,
        "With --show=arithmetic: terms to add, each a class or tag (several with ; between) or the mean of a few"
        " samples, named by their numbers in the grid of"
        ' the same --seed, from 0 on, row by row: "3,17,40 5,8,21" are two terms',
    )
    minus: str | None = option(None, "With --show=arithmetic: terms to subtract, written as those of --plus")
    toward: str | None = option(
        None,
        'With --show=directions: class or tag to go toward, such as "blue hair"; default: each of the first kind',
    )
    layer: str | None = option(
        None, "With --show=features: layer of the discriminator, such as Conv_1; default: its last convolution"
    )
    project: str | None = option(
        None, "Picture file: find the latent whose picture comes closest to it, and show both", path=True
    )
    space: str = option(
        "z",
        "Where --project looks and --show=interpolation walks; z: among latents; w: among styles; w+: among those with"
        " one for each layer, for --project only",
        ("z", *SPACES),
    )
    perceptual: bool = option(
        True,
        "With --project in w or w+: compare the features of the network of experiments.evaluate beside the pixels; its"
        " first use with a data set trains it, for some minutes",
    )
    input: str | None = option(
        None,
        "Picture file, or folder of pictures, to translate; a .png shows each above its translation, or beside those"
        " into each class of the first kind, a .npz or a folder takes the translations alone",
        path=True,
    )
    direction: str | None = option(None, "Direction of a translation, such as b_to_a; default: the system's first")
    seed: int = option(0, "Random seed of the latents", group="Latents")
    mean: float = option(0.0, "Mean of the latents", group="Latents")
    std: float = option(
        1.0, "Standard deviation of the latents, relative to the model's own; below 1: less variety", group="Latents"
    )
    truncation: float | None = option(
        None, "Truncate the latents at this many standard deviations; default: no truncation", group="Latents"
    )
    psi: float | None = option(
        None,
        "Draw styles to this share of their way from the average one, from 0 (all alike) to 1, of a model with styles;"
        " default: 1",
        group="Latents",
    )
    psi_layers: int | None = option(
        None, "Number of layers whose styles --psi changes, the coarsest first; default: all", group="Latents"
    )
    condition: str | None = option(
        None, 'Condition to draw, or to translate into, such as "blue hair red eyes" or 7; default: all in turn'
    )
    data_dir: str | None = option(
        None, "Directory of the run's pictures if they have moved, for what shows real ones", path=True
    )
    out: str = option(
        "result.png", "Output: a .png grid, a .npz of arrays, a .gif of an interpolation, or a folder", path=True
    )


def main() -> None:
    """Draws the pictures and writes them."""
    asked = Sample(**schema.given_flags(Sample))
    asked = dataclasses.replace(asked, workdir=pretrained.folder_of(asked.workdir, asked.pretrained))
    check(asked)
    earlier_pictures(Path(asked.out))
    run = load_run(asked.workdir, asked.step)
    if asked.data_dir is not None:
        run = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, data_dir=asked.data_dir))
    if asked.psi is not None:
        run = dataclasses.replace(run, system=with_psi(run.system, asked.psi, asked.psi_layers))
    if asked.space != "z":
        check_styles(run, f"--space={asked.space}")
    if asked.input is None:
        check_show(run, asked.show)
    if asked.project is not None:
        exhibit = _projection(run, asked)
    else:
        with progress.ticking("drawing"):
            exhibit = _drawn_as_asked(run, asked)
    write(Path(asked.out), exhibit)
    command.answer(f"{len(exhibit.images)} pictures from step {run.step} of {asked.workdir}: {asked.out}")


def _drawn_as_asked(run: TrainedRun, asked: Sample) -> Exhibit:
    """Returns translations, samples or another exhibit."""
    if asked.input is not None:
        pairs = asked.out.endswith(".png")
        return translated(run, asked.input, direction=asked.direction, condition=asked.condition, pairs=pairs)
    return Exhibit(*draw_samples(run, asked)) if asked.show == "samples" else _exhibit(run, asked)


def check(asked: Sample) -> None:
    """Raises a UserError for flags that are out of range or contradict each other."""
    drawn = _drawn(asked)
    for name, value in (("num", asked.num), ("best_of", drawn)):
        if not 1 <= value <= LARGEST:
            raise UserError(f"--{name}={value}: must be from 1 to {LARGEST:,}")
    if drawn < asked.num:
        raise UserError(f"--best_of={drawn}: must be at least --num={asked.num}")
    check_distinct_seed(asked.seed)
    if not -FARTHEST <= asked.mean <= FARTHEST:
        raise UserError(f"--mean={asked.mean}: must be from {-FARTHEST:,} to {FARTHEST:,}")
    if not 0 <= asked.std <= FARTHEST:
        raise UserError(f"--std={asked.std}: must be from 0 to {FARTHEST:,}")
    if asked.truncation is not None and not asked.truncation > 0:
        raise UserError(f"--truncation={asked.truncation}: must be above 0")
    if asked.psi is not None and not -FARTHEST <= asked.psi <= FARTHEST:
        raise UserError(f"--psi={asked.psi}: must be from {-FARTHEST:,} to {FARTHEST:,}")
    if asked.psi_layers is not None and (asked.psi is None or asked.psi_layers < 1):
        raise UserError(f"--psi_layers={asked.psi_layers}: is a number of layers, from 1 on, for --psi; give that too")
    if asked.input is not None and (asked.show != "samples" or asked.project is not None):
        raise UserError("--input: shows translations of pictures; leave out --show and --project")
    if asked.direction is not None and asked.input is None and asked.show != "translations":
        raise UserError("--direction: is that of a translation; give --input too, or --show=translations")
    if asked.show == "arithmetic":
        arithmetic.check(arithmetic.parse("plus", asked.plus), arithmetic.parse("minus", asked.minus))
    elif asked.plus is not None or asked.minus is not None:
        raise UserError("--plus, --minus: are terms of --show=arithmetic; give that too")
    if asked.toward is not None and asked.show != "directions":
        raise UserError(f"--toward={printable(asked.toward)}: is that of --show=directions; give that too")
    if asked.layer is not None and asked.show != "features":
        raise UserError(f"--layer={asked.layer}: is that of --show=features; give that too")
    check_space(asked)
    plain = asked.show == "samples" and asked.project is None and asked.input is None
    if asked.best_of is not None and not plain:
        raise UserError("--best_of: chooses among plain samples; leave out --show and --project")
    if asked.project is not None and asked.show != "samples":
        raise UserError(f"--project: shows one picture and what is nearest to it; leave out --show={asked.show}")
    if asked.condition is not None and asked.show == "translations":
        raise UserError("--condition: --show=translations chooses its own; give --input, or leave it out")
    if asked.condition is not None and asked.show in ("conditions", "one_noise"):
        raise UserError(f"--condition: --show={asked.show} shows every condition; leave one of the two out")
    if Path(asked.out).suffix.lower() in OTHER_PICTURES or asked.out.endswith((".PNG", ".GIF", ".NPZ")):
        raise UserError(f"--out={asked.out}: choose a .png, a .npz or a .gif, spelt so, or a folder")
    if asked.out.endswith(".gif") and asked.show != "interpolation":
        raise UserError(f"--out={asked.out}: only --show=interpolation makes an animation; choose a .png")


def check_space(asked: Sample) -> None:
    """Raises a UserError where --space, or --noperceptual, means nothing."""
    projects = asked.project is not None
    if asked.space != "z" and not projects and asked.show != "interpolation":
        raise UserError(f"--space={asked.space}: is that of --project or of --show=interpolation; give one of them too")
    if asked.space == "w+" and not projects:
        raise UserError("--space=w+: is that of --project; choose w for --show=interpolation")
    if not asked.perceptual and (asked.space == "z" or not projects):
        raise UserError("--noperceptual: is a choice of --project in --space=w or w+; leave it out")
    if asked.psi is not None and projects and asked.space != "z":
        raise UserError(f"--psi: --project in --space={asked.space} looks among all styles; leave it out")


def check_styles(run: TrainedRun, flag: str) -> None:
    """Raises a UserError that begins with a flag, for a run whose pictures are not drawn by way of styles."""
    if not hasattr(run.system.outputs.latent, "single_styles"):
        raise UserError(f"{flag}: {run.recipe.model} has no styles; leave it out")


def with_psi(system: System, psi: float, layers: int | None = None) -> System:
    """Returns a system whose samples have styles nearer to the average one, in some layers or (None) in all.

    Raises:
      UserError: if it draws nothing from styles.
    """
    latent: Any = system.outputs.latent
    if not hasattr(latent, "with_psi"):
        raise UserError(f"--psi: {system.name} has no styles; leave it out")
    return dataclasses.replace(system, outputs=dataclasses.replace(system.outputs, latent=latent.with_psi(psi, layers)))


def shows(run: TrainedRun) -> tuple[str, ...]:
    """Returns the words that `--show` may take for a run."""
    outputs, found = run.system.outputs, []
    if outputs.latent:
        found += ["samples", "interpolation", "neighbours", "arithmetic"]
        if run.condition_dim:
            found += ["conditions", "one_noise"]
        elif directions.labelled(run.recipe, run.condition_names):
            found.append("directions")
    if outputs.score and outputs.score.network.convolutional:
        found.append("features")
    if outputs.reconstruct:
        found.append("reconstructions")
    if outputs.translate or outputs.translate_to:
        found.append("translations")
    return (*found, *outputs.exhibits)


def check_show(run: TrainedRun, show: str) -> None:
    """Raises a UserError for what a run cannot show."""
    if show == "directions" and run.system.outputs.latent:
        directions.check(run)
    if show not in shows(run):
        mine = show == "samples" and "translations" in shows(run)
        way_out = "; give --show=translations, or --input=PICTURES for yours" if mine else ""
        raise UserError(
            f"--show={show}: this run of {run.recipe.model} has {', '.join(shows(run)) or 'nothing to show'}{way_out}"
        )


def _latents(run: TrainedRun, asked: Sample, count: int) -> jax.Array:
    key = jax.random.key(asked.seed)
    return run.latent.latents(key, count, mean=asked.mean, std=asked.std, truncation=asked.truncation)


def draw_samples(run: TrainedRun, asked: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Draws plain samples, or the best of many, and their conditions; see `draw_chosen`."""
    return draw_chosen(run, asked)[:2]


def draw_chosen(run: TrainedRun, asked: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws plain samples, or the best of many: a pure function of a run and of flags.

    Args:
      run: the run to draw from; `asked.workdir` is not looked at.
      asked: flags that `check` lets pass.

    Returns:
      Pictures, uint8 (num, H, W, C); the condition of each, uint8 (num, c); c = 0 without conditions; and the index
      of each among all that were drawn, (num,).

    Raises:
      UserError: if the run cannot take the condition.
    """
    drawn = _drawn(asked)
    labels = conditions(run, asked.condition, drawn)
    pictures = run.latent.images(run.state, _latents(run, asked, drawn), labels)
    order = np.arange(drawn)
    if asked.best_of is not None:
        judge = run.system.outputs.require("score", run.recipe.model)
        order = sampling.best(judge.scores(run.state, pictures, labels), asked.num)
        pictures, labels = pictures[order], None if labels is None else labels[order]
    return pictures, np.zeros((len(pictures), 0), np.uint8) if labels is None else labels, order


def _exhibit(run: TrainedRun, asked: Sample) -> Exhibit:
    """Returns the exhibit that --show asks for, of about --num pictures."""
    own = run.system.outputs.exhibits
    if asked.show in own or asked.show == "features":
        for name in ("mean", "std", "truncation", "psi", "condition"):
            if getattr(asked, name) != getattr(Sample, name):
                raise UserError(f"--{name}: --show={asked.show} draws its own; leave it out")
    if asked.show == "features":
        return discriminator_features.features(run, asked.num, asked.seed, asked.layer)
    if asked.show in own:
        return own[asked.show](run.state, asked.num, asked.seed)
    if asked.show == "arithmetic":
        return _arithmetic(run, asked)
    if asked.show == "directions":
        return _directions(run, asked)
    if asked.show == "reconstructions":
        return exhibits.reconstructions(run, asked.num, asked.seed)
    if asked.show == "translations":
        return translations(run, asked.num, asked.seed, asked.direction)
    if asked.show == "neighbours":
        fewer = dataclasses.replace(asked, num=max(1, asked.num // (1 + exhibits.NEAREST)))
        return exhibits.neighbours(run, *draw_samples(run, fewer))
    if asked.show == "interpolation":
        walks = asked.out.endswith(".gif")
        count = max(3, asked.num // exhibits.STATION) if walks else 2 * max(1, asked.num // (2 * exhibits.STEPS))
        z, labels = _latents(run, asked, count), conditions(run, asked.condition, count)
        if asked.space == "w":
            ways = exhibits.interpolation_of_styles
            return exhibits.walk_of_styles(run, z, labels, asked.num) if walks else ways(run, z, labels)
        return exhibits.walk(run, z, labels, asked.num) if walks else exhibits.interpolation(run, z, labels)
    every = len(exhibits.conditions_of(run))
    z = _latents(run, asked, max(1, asked.num // every) * every)
    return exhibits.all_conditions(run, z, one_noise=asked.show == "one_noise")


def _arithmetic(run: TrainedRun, asked: Sample) -> Exhibit:
    """Returns what the terms of --plus and --minus add up to."""
    if run.condition_dim and asked.condition is None:
        raise UserError("--condition: name the one that --show=arithmetic draws all pictures under")
    plus, minus = arithmetic.parse("plus", asked.plus), arithmetic.parse("minus", asked.minus)
    named = any(isinstance(term, str) for term in (*plus, *minus))
    numbers = [number for term in (*plus, *minus) if not isinstance(term, str) for number in term]
    count = max(1 + max(numbers, default=0), arithmetic.LOOKED_AT if named else 1)
    z, labels = _latents(run, asked, count), conditions(run, asked.condition, count)
    heads, logits = arithmetic.tell(run, z, labels) if named else ((), np.empty((0, 0), np.float32))
    added = arithmetic.chosen("plus", plus, heads, logits)
    taken = arithmetic.chosen("minus", minus, heads, logits)
    return arithmetic.show(run, z, labels, added, taken, asked.seed)


def _directions(run: TrainedRun, asked: Sample) -> Exhibit:
    """Returns samples at strengths of the directions, which are found where they are not kept."""
    conditions(run, asked.condition, 1)  # refuses one
    directions.check(run, asked.toward)
    found = directions.directions_of(run)
    rows = 1 if asked.toward is not None else len(directions.first_kind(found))
    samples = max(1, asked.num // (rows * len(directions.STRENGTHS)))
    return directions.show(run, _latents(run, asked, samples), found, asked.toward)


def _projection(run: TrainedRun, asked: Sample) -> Exhibit:
    """Returns the picture that was given, and the closest one that the generator makes."""
    target = given_pictures.read_one(run, str(asked.project), f"--project={printable(asked.project)}")
    given_pictures.tell_cut("--project", [str(asked.project)])
    if asked.space != "z":
        return _projection_into_styles(run, asked, target)
    with progress.bar(what="descending", total=projecting.DESCENT) as bar:
        found = projecting.project(run, target, *candidates(run, asked), bar.update)
    command.answer(f"Nearest: {found.words}")
    both = np.zeros((2, 0), np.uint8) if found.condition is None else np.repeat(found.condition[None], 2, axis=0)
    shown = np.stack([target, found.projection.picture])
    return Exhibit(shown, both, columns=2, apart=1, heads=("given", "found"))


def _projection_into_styles(run: TrainedRun, asked: Sample, target: np.ndarray) -> Exhibit:
    """Returns the picture that was given, and the closest one that the generator makes of styles."""
    with progress.bar(what="descending", total=steps_of(asked.space, projecting.DESCENT)) as bar:
        found, words = projecting.project_styles(
            run,
            target,
            *candidates(run, asked),
            space=asked.space,
            perceptual=asked.perceptual,
            seed=asked.seed,
            report=bar.update,
        )
    command.answer(f"Nearest: {words}")
    shown = np.stack([target, found.picture])
    return Exhibit(shown, np.zeros((2, 0), np.uint8), columns=2, apart=1, heads=("given", f"found in {asked.space}"))


def candidates(run: TrainedRun, asked: Sample) -> tuple[jax.Array, np.ndarray | None]:
    """Draws what a projection begins with: latents, (N, latent_dim), and their conditions, uint8 (N, c) or None."""
    labels = conditions(run, asked.condition, projecting.CANDIDATES)
    return _latents(run, asked, projecting.CANDIDATES), labels


def command_line(asked: Sample) -> str:
    """Returns the shell command that draws the same; flags at their defaults are left out."""
    given = {
        field.name: getattr(asked, field.name)
        for field in dataclasses.fields(asked)
        if getattr(asked, field.name) != field.default
    }
    flags = (shlex.quote(f"--{name}={value}") for name, value in given.items())
    return " ".join(("python -m experiments.sample", *flags))


def _drawn(asked: Sample) -> int:
    """Returns the number of pictures to draw, of which `num` are kept."""
    return asked.num if asked.best_of is None else asked.best_of


def conditions(run: TrainedRun, text: str | None, count: int) -> np.ndarray | None:
    """Returns a condition for each picture, uint8 (count, c), or None if the networks take none.

    Args:
      run: the run.
      text: the condition of all pictures; None: every condition in turn.
      count: the number of pictures.

    Raises:
      UserError: if the run cannot take the condition.
    """
    if not run.condition_dim:
        if text is not None:
            raise UserError(f"--condition: {run.recipe.model} takes no condition; train a model of experiments.cgan")
        return None
    if text is not None:
        try:
            return np.repeat(tags.parse_condition(text, run.condition_names)[None], count, axis=0)
        except UserError as error:
            raise UserError(f"--condition: {error.as_flags}") from None
    return in_turn(run.condition_names, run.condition_dim, count)


if __name__ == "__main__":
    command.run(main, schema.define_flags(Sample))
