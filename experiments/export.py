"""Writes a trained run for others: its weights, a network as a program, or a small folder that jaxgan reads like a run.

    python -m experiments.export --workdir=W --out=faces.safetensors                        # every network's weights
    python -m experiments.export --workdir=W --format=stablehlo --out=faces.stablehlo       # the generator
    python -m experiments.export --workdir=W --format=stablehlo --network=discriminator --out=judge.stablehlo
    python -m experiments.export --workdir=W --format=onnx --out=faces.onnx                 # the generator, for others
    python -m experiments.export --workdir=W --format=onnx --network=translator             # of a run that translates
    python -m experiments.export --workdir=W --format=folder --half --out=faces             # to be passed on

A .safetensors holds arrays with names such as `generator.params.Dense_0.kernel`, and the run's facts as metadata. A
.stablehlo holds a network with its weights, for any number of pictures, on CPU, CUDA and TPU;
`jax.export.deserialize(content).call(latents)` runs it, with JAX alone. A .onnx holds the same for onnxruntime and
whatever else reads that format; writing it needs `pip install 'jaxgan[onnx]'`. A folder holds weights, flags and a
description of the pictures: sample, evaluate and demo take it for a --workdir, and training for --init_from. Beside
the file, or in the folder, a model card (.md) says what it is and how to use it. The generator is what
`experiments.sample` draws with: its moving average, if the run keeps one.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax

from experiments.cli import command, schema
from experiments.run import pretrained
from experiments.run.model_card import model_card
from experiments.run.restore import TrainedRun, load_run
from jaxgan.host import progress
from jaxgan.host.errors import UserError, named
from jaxgan.host.files import replace_atomically, write_text
from jaxgan.interop import onnx, programs, safetensors, stablehlo
from jaxgan.systems.players import Player
from jaxgan.systems.settings import flag_lines, option
from jaxgan.training.files.description import description_text, read_description
from jaxgan.training.files.weights import write_weights
from jaxgan.training.files.workdir import Workdir

FILES = ("safetensors", "stablehlo", "onnx")
"""The formats that are files, and the ends of their names."""

OTHERS = ("pt", "pth", "npz", "npy", "pkl", "h5", "keras", "pb", "tflite", "ckpt")
"""The ends of names whose readers would not understand what is written here."""


@dataclasses.dataclass(frozen=True)
class Export:
    """The flags of this command."""

    workdir: str | None = option(None, "Directory of the run", path=True)
    pretrained: str | None = option(None, pretrained.HELP)
    step: int | None = option(None, "Step of the checkpoint to read; default: the newest intact one")
    format: str | None = option(
        None, "What to write; default: what --out ends in, or else safetensors", (*FILES, "folder")
    )
    half: bool = option(False, "Round the weights of a folder to half precision: half the bytes")
    network: str = option(
        "generator",
        "Network to write as a program; a .safetensors holds all of them",
        ("generator", "discriminator", "translator"),
    )
    direction: str | None = option(
        None, "With --network=translator: which way, such as b_to_a; default: the system's first"
    )
    pixels: str = option(
        "float", "How the program has pictures; float: in [−1, 1]; bytes: from 0 to 255", ("float", "bytes")
    )
    out: str | None = option(None, "File or folder to write; default: MODEL.FORMAT in the current folder", path=True)


def main() -> None:
    """Reads a checkpoint and writes the file and its card."""
    asked = Export(**schema.given_flags(Export))
    asked = dataclasses.replace(asked, workdir=pretrained.folder_of(asked.workdir, asked.pretrained))
    if asked.out == "":
        raise UserError("--out: name a file")
    asked = dataclasses.replace(asked, format=chosen_format(asked))
    run = load_run(asked.workdir, asked.step)
    path = Path(asked.out or f"{run.recipe.model}.{asked.format}")
    if asked.half and asked.format != "folder":
        raise UserError("--half: is of --format=folder; leave it out")
    try:
        as_folder = asked.format == "folder"
        written = write_folder(run, path, half=asked.half) if as_folder else write_file(run, path, asked)
    except OSError as error:
        raise UserError(f"--out={path}: cannot be written ({named(error)})") from error
    command.answer(f"{asked.format} of step {run.step} of {asked.workdir}, {written}")


def chosen_format(asked: Export) -> str:
    """Returns the format that is asked for, by its name or by that of the file.

    Raises:
      UserError: if the two say different things, or the name says what is not written here.
    """
    end = Path(asked.out or "").suffix.lower().removeprefix(".")
    if end in OTHERS and asked.format != "folder":
        raise UserError(
            f"--out={asked.out}: no .{end} is written here; choose .{', .'.join(FILES)}, or --format=folder"
        )
    by_name = end if end in FILES else None
    if asked.format is not None and by_name not in (None, asked.format):
        raise UserError(f"--out={asked.out}: ends in .{end}, but --format is {asked.format}; change one of the two")
    return asked.format or by_name or "safetensors"


def write_file(run: TrainedRun, path: Path, asked: Export) -> str:
    """Writes a file and its card; returns what to say of them."""
    if asked.format == "safetensors":
        kind, content = "safetensors", safetensors.pack(weights(run), facts(run))
    else:
        pack = {"stablehlo": stablehlo.pack, "onnx": onnx.pack}[str(asked.format)]
        wanted = program(run, asked.network, asked.pixels, asked.direction)
        with progress.ticking("writing the program"):
            kind, content = f"{asked.format}_{asked.network}", pack(wanted)
    card = path.with_name(path.name + ".md")  # of its own: other formats may have the same stem
    replace_atomically(path, lambda file: file.write(content))
    write_text(card, model_card(run, path.name, kind, asked.pixels))
    return f"{len(content):,} bytes: {path}, and {card}"


def write_folder(run: TrainedRun, path: Path, *, half: bool) -> str:
    """Writes a folder that is read like a run; returns what to say of it.

    Raises:
      UserError: if it exists and is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"--out={path}: is there already; name a new folder")
    folder = Workdir(path)
    described = read_description(str(run.recipe.workdir))
    shared = run.recipe.values_to_share
    private: dict[str, Any] = {field.name: None for field in dataclasses.fields(run.recipe) if field.name not in shared}
    write_weights(folder.weights, run.state, run.step, half=half)
    write_text(folder.path / "README.md", model_card(run, path.name, "folder"))
    write_text(folder.dataset, description_text(described))
    write_text(folder.flags, flag_lines(dataclasses.replace(run.recipe, **private)))
    return f"{folder.weights.stat().st_size:,} bytes of weights: {path}"


def weights(run: TrainedRun) -> dict[str, Any]:
    """Returns name of a network -> its variables, all collections; "generator" is what samples are drawn with."""
    leaves = jax.tree_util.tree_leaves_with_path(run.state, is_leaf=lambda part: isinstance(part, Player))
    networks: dict[str, Any] = {
        jax.tree_util.keystr(path, simple=True, separator="."): part.variables
        for path, part in leaves
        if isinstance(part, Player)
    }
    latent = run.system.outputs.latent
    return networks if latent is None else networks | {"generator": latent.variables(run.state)}


def facts(run: TrainedRun) -> dict[str, Any]:
    """Returns what a reader needs to know of the arrays, of JSON's types."""
    return {
        "producer": "jaxgan",
        "model": run.recipe.model,
        "step": run.step,
        "image_shape": list(run.system.image_shape),
        "latent_dim": run.system.outputs.latent.network.latent_dim if run.system.outputs.latent else 0,
        "condition_names": list(run.condition_names),
        "flags": run.recipe.values_to_share,
    }


def program(run: TrainedRun, network: str, pixel_type: str, direction: str | None = None) -> programs.Program:
    """Returns the generator, the discriminator or the translator of a run as a program.

    Raises:
      UserError: if the system has no such network, or the translator no such direction.
    """
    if direction is not None and network != "translator":
        raise UserError("--direction: is of --network=translator; leave it out")
    if network == "translator":
        return translator_program(run, pixel_type, direction)
    if network == "generator":
        if run.system.outputs.translators:
            raise UserError(f"--network=generator: {run.recipe.model} translates pictures; take --network=translator")
        latent = run.latent
        return programs.generator(latent.network, latent.variables(run.state), pixel_type=pixel_type)
    score = run.system.outputs.require("score", run.recipe.model)
    return programs.discriminator(score.network, score.variables(run.state), pixel_type=pixel_type)


def translator_program(run: TrainedRun, pixel_type: str, direction: str | None) -> programs.Program:
    """Returns a translation as a program; None is the system's first direction.

    Raises:
      UserError: if the system does not translate, or has no such direction.
    """
    translators = run.system.outputs.require("translators", run.recipe.model)
    chosen = next(iter(translators)) if direction is None else direction
    if chosen not in translators:
        raise UserError(f"--direction={chosen}: choose of {', '.join(translators)}")
    found = translators[chosen]
    return programs.translator(
        functools.partial(found.translate, run.state),
        run.system.image_shape,
        len(found.conditions),
        pixel_type=pixel_type,
    )


if __name__ == "__main__":
    command.run(main, schema.define_flags(Export))
