"""The page that goes with an exported model: what it is, how it came about, how to use it."""

from experiments.run.restore import TrainedRun
from jaxgan.data import ARRAYS, DRAWN, FOLDERS
from jaxgan.training.files.metrics_log import read
from jaxgan.training.files.workdir import Workdir

LOADING = {
    "folder": """import jax

from jaxgan import training

run = training.load("{file}")  # or: python -m experiments.sample --workdir={file} --{shows} --out=result.png
networks = run.system.networks(run.state)""",
    "safetensors": """from safetensors.numpy import load_file

arrays = load_file("{file}")  # names such as generator.params.Dense_0.kernel""",
    "stablehlo_generator": """from pathlib import Path

import jax

generator = jax.export.deserialize(Path("{file}").read_bytes())
z = {std} * jax.random.normal(jax.random.key(0), (64, {latent_dim})){condition}
images = generator.call(z{given})  # {pixels}""",
    "stablehlo_discriminator": """from pathlib import Path

import jax

discriminator = jax.export.deserialize(Path("{file}").read_bytes())
logits = discriminator.call(images{given})  # of images (n, {shape}), {pixels}""",
    "stablehlo_translator": """from pathlib import Path

import jax

translator = jax.export.deserialize(Path("{file}").read_bytes())
translated = translator.call(images{given})  # both (n, {shape}), {pixels}""",
    "onnx_translator": """import onnxruntime

translator = onnxruntime.InferenceSession("{file}")
(translated,) = translator.run(None, {{"images": images{named}}})  # both (n, {shape}), {pixels}""",
    "onnx_generator": """import numpy as np
import onnxruntime

generator = onnxruntime.InferenceSession("{file}")
z = {std} * np.random.default_rng(0).standard_normal((64, {latent_dim}), np.float32){numpy_condition}
(images,) = generator.run(None, {{"latents": z{named}}})  # {pixels}""",
    "onnx_discriminator": """import onnxruntime

discriminator = onnxruntime.InferenceSession("{file}")
(logits,) = discriminator.run(None, {{"images": images{named}}})  # of images (n, {shape}), {pixels}""",
}
OWN = "The pictures were drawn by jaxgan itself, and carry no rights of others."
LICENCES = {
    "mnist": "The pictures are MNIST's: copyright Yann LeCun and Corinna Cortes, CC BY-SA 3.0.",
    "fashion_mnist": "The pictures are Fashion-MNIST's: copyright Zalando SE, MIT licence.",
    **dict.fromkeys(DRAWN, OWN),
}
OTHERS = "What may be done with the weights depends on the rights in the pictures: write it here before you share them."
PIXELS = {"float": "in [−1, 1], float32", "bytes": "from 0 to 255, uint8"}


def model_card(run: TrainedRun, file: str, kind: str, pixel_type: str = "float") -> str:
    """Returns the card of an exported file or folder, in Markdown.

    Args:
      run: the run that was exported.
      file: the name of the file.
      kind: what it holds; one of `LOADING`.
      pixel_type: how a program has pictures; float or bytes.
    """
    height, width, channels = run.system.image_shape
    parts = [
        f"# {run.recipe.model}, step {run.step:,}",
        f"Trained by jaxgan on {run.recipe.dataset} (pictures {height}×{width}×{channels}, digest"
        f" `{run.pictures_digest[:16]}`).",
    ]
    names = condition_names(run, kind)
    if names:
        listed = ", ".join(f"{name} ({index})" for index, name in enumerate(names))
        parts.append(f"A condition is float32 (n, {len(names)}), 1 for what is asked: {listed}.")
    parts += ["## Use", f"```python\n{_loading(run, file, kind, pixel_type)}\n```"]
    flags = "\n".join(f"--{name}={value}" for name, value in run.recipe.values_to_share.items())
    given = " and the pictures as `--data_dir`" if run.recipe.dataset in (*FOLDERS, ARRAYS) else ""
    repeats = (
        f"`python -m experiments.{run.recipe.family.command}` with these flags, in a file,{given} repeats the run."
    )
    parts += ["## Training", repeats, f"```\n{flags}\n```"]
    scores = _scores(run)
    if scores:
        rows = [f"| {name} | {value:.4g} |" for name, value in scores.items()]
        parts += ["## Scores", "The last line of the run's log that has any.", "\n".join(["| | |", "|---|---|", *rows])]
    parts += ["## Licence", LICENCES.get(str(run.recipe.dataset), OTHERS)]
    return "\n\n".join(parts) + "\n"


def condition_names(run: TrainedRun, kind: str) -> tuple[str, ...]:
    """Returns what the columns of a program's conditions stand for; a translator knows some of the run's."""
    translators = tuple(run.system.outputs.translators.values())
    if translators and kind.endswith("translator"):
        return translators[0].conditions
    return tuple(run.condition_names) if run.condition_dim else ()  # pictures may have some that no network takes


def _loading(run: TrainedRun, file: str, kind: str, pixel_type: str) -> str:
    latent, condition_dim = run.system.outputs.latent, len(condition_names(run, kind))
    return LOADING[kind].format(
        file=file,
        std=latent.network.latent_std if latent else 1,
        latent_dim=latent.network.latent_dim if latent else 0,
        condition=f"\ncondition = jax.nn.one_hot(jax.numpy.zeros(64), {condition_dim})" if condition_dim else "",
        numpy_condition=f"\ncondition = np.eye({condition_dim}, dtype=np.float32)[np.zeros(64, int)]"
        if condition_dim
        else "",
        named=', "condition": condition' if condition_dim else "",
        given=", condition" if condition_dim else "",
        shape=", ".join(map(str, run.system.image_shape)),
        pixels=PIXELS[pixel_type],
        shows="num=64" if latent else "show=translations",
    )


def _scores(run: TrainedRun) -> dict[str, float]:
    known = {*run.system.report.metrics, "step", "images_per_sec", "data_wait"}
    for line in reversed(read(Workdir(str(run.recipe.workdir)).metrics)):
        scores = {name: value for name, value in line.items() if name not in known}
        if scores:
            return scores
    return {}
