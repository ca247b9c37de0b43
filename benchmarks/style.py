"""Style transfer with each feature network that needs no download, and a trained network beside the search.

    python -m benchmarks.style --out=docs/style-features.png
    python -m benchmarks.style --workdir=runs/style

Prints JSON. Every search begins with the content picture. "falls" is by how many times the relative distance of Gram
matrices from those of the style falls under a network that the search has not looked at: a VGG-19 and filters, both of
another random seed. Pictures of equal distance may look unlike each other, so look at them too.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.run import restore
from experiments.run.recipes import resolve
from experiments.run.references import reference_pictures, teaching_pictures
from jaxgan.data import avatars, patterns
from jaxgan.host import images
from jaxgan.host.captions import captioned_grid
from jaxgan.metrics import features
from jaxgan.metrics.classifier_maps import classifier_maps
from jaxgan.metrics.classifiers import ClassifierRecipe
from jaxgan.models import feature_maps
from jaxgan.models.feature_maps import FeatureMaps
from jaxgan.ops import pixels
from jaxgan.sampling.stylisation import stylise
from jaxgan.systems import style, style_losses
from jaxgan.systems.feed_forward_style import losses_of
from jaxgan.systems.style_losses import Objective

FACES = (3,)
HELD_OUT_SEED = 100
SCALE = 2  # of the figure
TAUGHT, TESTED, EPOCHS = 3000, 500, 4  # of the classifier: a seventh of what `experiments.evaluate` shows it


def main() -> None:
    """Measures and prints; draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="a .png of the search with each feature network")
    parser.add_argument("--workdir", help="a run of experiments.style, which is compared with the search")
    parser.add_argument("--size", type=int, default=48, help="height and width of the pictures")
    parser.add_argument("--steps", type=int, default=100, help="of each search")
    parser.add_argument("--style_weight", type=float, default=style.StyleSettings().style_weight)
    parser.add_argument("--num", type=int, default=4, help="with --workdir: how many pictures")
    asked = parser.parse_args()
    if asked.out:
        found, picture = compare(asked.size, asked.steps, asked.style_weight)
        images.save_png(asked.out, picture)
        print(json.dumps(found, indent=2))
    if asked.workdir:
        print(json.dumps(beside_the_search(asked.workdir, asked.num, asked.steps), indent=2))


def networks(size: int) -> dict[str, FeatureMaps]:
    """Returns the feature networks that need no download; trains the classifier of avatars if the cache lacks it."""
    shape = (size, size, 3)
    recipe = resolve({"model": "style", "image_size": size}, ("style",))
    train, test = teaching_pictures(recipe)
    train, test = train.part(0, TAUGHT), test.part(0, TESTED)
    arrays, accuracy = features.trained_arrays("avatars", train, test, recipe=ClassifierRecipe(epochs=EPOCHS))
    print(json.dumps({"classifier": accuracy}))
    return {
        "random VGG": feature_maps.build("random_vgg", shape),
        "random filters": feature_maps.build("random_filters", shape),
        "classifier": classifier_maps(arrays),
    }


def compare(size: int, steps: int, style_weight: float) -> tuple[dict[str, Any], np.ndarray]:
    """Searches with each network; returns the numbers and the figure."""
    shown, found = [], {}
    judges = {name: feature_maps.build(name, (size, size, 3), seed=HELD_OUT_SEED) for name in feature_maps.RANDOM}
    settings = style.StyleSettings(style_weight=style_weight)
    known = networks(size)
    for face in FACES:
        content = avatars.draw(0, face, size).image
        for pattern in patterns.NAMES:
            example = patterns.draw(pattern, size, size)
            shown += [content, example]
            for name, network in known.items():
                began = time.perf_counter()
                result = stylise(content, example, network, style.build_objective(settings, network), steps=steps)
                found[f"{name}, {pattern}, face {face}"] = {
                    "seconds": round(time.perf_counter() - began, 1),
                    "style": [result.before["style"], result.after["style"]],
                    "content": result.after["content"],
                    "falls": {
                        judge: distance(judges[judge], content, example)
                        / distance(judges[judge], result.picture, example)
                        for judge in judges
                    },
                }
                shown.append(result.picture)
                print(name, pattern, found[f"{name}, {pattern}, face {face}"], file=sys.stderr, flush=True)
    heads = ("face", "style", *known)
    larger = np.stack(shown).repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    return found, captioned_grid(larger, len(heads), heads=heads, apart=2)


def distance(network: FeatureMaps, picture: np.ndarray, example: np.ndarray) -> float:
    """Computes the relative distance of the Gram matrices of two pictures, a mean over the network's usual layers."""
    objective = Objective(network.content, network.style)
    grams = [
        objective.style_of(network, network.variables(), pixels.normalize(jnp.asarray(one))[None])
        for one in (picture, example)
    ]
    losses = [style_losses.style_loss(grams[0][layer], grams[1][layer], relative=True) for layer in network.style]
    return float(np.mean(losses))


def beside_the_search(workdir: str, num: int, steps: int) -> Mapping[str, Any]:
    """Compares what a trained network makes of pictures that it has not seen with the result of a search for each."""
    run = restore.load_run(workdir)
    rules = style.build_rules(run.recipe.settings, run.system.image_shape[-1])
    pictures = reference_pictures(run.recipe, "test", num, 0).images
    example = rules.style()[0]
    translate = next(iter(run.system.outputs.translate.values()))
    translate(run.state, pictures[:1])  # compiles
    began = time.perf_counter()
    made = [translate(run.state, picture[None])[0] for picture in pictures]
    at_once = (time.perf_counter() - began) / num
    stylise(pictures[0], example, rules.features, rules.objective, steps=1)  # compiles
    began = time.perf_counter()
    searched = [stylise(picture, example, rules.features, rules.objective, steps=steps) for picture in pictures]
    searching = (time.perf_counter() - began) / num
    losses = [_loss(rules, painted, picture) for painted, picture in zip(made, pictures, strict=True)]
    judges = {
        name: feature_maps.build(name, run.system.image_shape, seed=HELD_OUT_SEED) for name in feature_maps.RANDOM
    }
    return {
        "step": run.step,
        "pictures": num,
        "search_steps": steps,
        "loss_of_the_network": float(np.mean(losses)),
        "loss_of_the_search": float(np.mean([result.after["loss"] for result in searched])),
        "loss_of_the_pictures": float(np.mean([_loss(rules, picture, picture) for picture in pictures])),
        "seconds_of_the_network": at_once,
        "seconds_of_the_search": searching,
        "times_as_fast": searching / at_once,
        "falls": {
            judge: float(
                np.mean([distance(judges[judge], picture, example) for picture in pictures])
                / np.mean([distance(judges[judge], picture, example) for picture in made])
            )
            for judge in judges
        },
    }


def _loss(rules: Any, made: np.ndarray, picture: np.ndarray) -> float:
    both = (pixels.normalize(jnp.asarray(one))[None] for one in (made, picture))
    total, _ = jax.jit(lambda *both: losses_of(rules, *both))(*both)
    return float(total)


if __name__ == "__main__":
    main()
