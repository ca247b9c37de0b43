"""How sharp pictures are: real ones, reconstructions and samples of an autoencoder, and samples of another system.

    python -m benchmarks.sharpness --vae=W --gan=W [--out=docs/vae-and-gan.png]

Both runs are of one data set. Prints JSON: for each kind of picture the mean absolute Laplacian of its pixels in
[0, 255], with its standard error over the pictures, and its ratio to that of the real ones. Noise is sharp by this
measure, so look at the pictures too.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from experiments.run.references import reference_pictures, reference_split
from experiments.run.restore import load_run
from jaxgan import metrics
from jaxgan.host import images

COLUMNS = 8
SCALE = 2
CAPTION = 108  # pixels


def main() -> None:
    """Measures and prints; draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", required=True, help="workdir of a run that reconstructs and draws samples")
    parser.add_argument("--gan", required=True, help="workdir of a run that draws samples")
    parser.add_argument("--num", type=int, default=1000, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the latents and the choice of real pictures")
    parser.add_argument("--out", help="a .png with eight pictures of each kind")
    asked = parser.parse_args()
    pictures = kinds(asked.vae, asked.gan, asked.num, asked.seed)
    values = {name: metrics.sharpness(shown) for name, shown in pictures.items()}
    real = values["real"].mean()
    found = {
        name: {
            "sharpness": float(value.mean()),
            "standard_error": float(value.std(ddof=1) / len(value) ** 0.5),
            "of_real": float(value.mean() / real),
        }
        for name, value in values.items()
    }
    print(json.dumps({"num": len(values["real"]), "seed": asked.seed, **found}, indent=2))
    if asked.out:
        images.save_png(Path(asked.out), figure({name: shown[:COLUMNS] for name, shown in pictures.items()}))


def kinds(vae: str, gan: str, num: int, seed: int) -> dict[str, np.ndarray]:
    """Returns real pictures that neither run has seen, reconstructions and samples, uint8 (num, H, W, C) each."""
    first, second = load_run(vae), load_run(gan)
    real = reference_pictures(first.recipe, reference_split(first.recipe), num, seed).images
    return {
        "real": real,
        "reconstruction": first.system.outputs.require("reconstruct", first.recipe.model)(first.state, real),
        "VAE sample": first.system.sample(first.state, num, seed),
        "GAN sample": second.system.sample(second.state, num, seed),
    }


def figure(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Draws a row for each kind of picture, with its caption at the left; uint8 (height, width, 1 or 3)."""
    grid = images.grid(np.concatenate(list(rows.values())), COLUMNS)
    grid = grid.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    height = len(grid) // len(rows)
    captions = Image.new("L", (CAPTION, len(grid)), 255)
    for index, name in enumerate(rows):
        ImageDraw.Draw(captions).text((6, (index + 0.5) * height), name, fill=0, anchor="lm")
    left = np.repeat(np.asarray(captions)[..., None], grid.shape[-1], axis=2)
    return np.concatenate([left, grid], axis=1)


if __name__ == "__main__":
    main()
