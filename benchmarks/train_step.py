r"""Images a second of a training step, here and in what a user would run instead.

    python -m benchmarks.train_step --model=dcgan_anime_a --batch_size=64 --peer=torch

Prints one JSON object; benchmarks/README.md says how to read it.
"""

import json
from collections.abc import Mapping
from typing import Any

from absl import flags

from benchmarks import torch_steps, workload
from benchmarks.comparison import ROUNDS, TURN_SECONDS, compare
from experiments.cli import command, schema
from experiments.run.recipes import Recipe, all_options, resolve
from jaxgan import models, systems
from jaxgan.host.errors import UserError

PEERS = ("torch", "torch_compile", "plain_flax", "none")

_PEER = flags.DEFINE_enum("peer", "torch", PEERS, "what jaxgan is compared with")


def main() -> None:
    """Runs the command."""
    given = workload.grown_flags(schema.given_flags(all_options()))
    recipe = resolve(given, systems.names())
    sides = {"jaxgan": {"side": "jaxgan", "flags": given}, **peers(recipe, given, _PEER.value)}
    result = compare(sides, rounds=ROUNDS.value, turn_seconds=TURN_SECONDS.value)
    result = {**against_the_fastest(result["sides"], sides, recipe.precision), **result}
    settings = {"model": recipe.model, "batch_size": recipe.batch_size, "precision": recipe.precision}
    print(json.dumps({"benchmark": "train_step", **settings, **result}, indent=1))


def peers(recipe: Recipe, given: dict[str, Any], peer: str) -> dict[str, dict[str, Any]]:
    """Returns the sides that jaxgan is compared with, by name."""
    if peer == "none":
        return {}
    if peer == "plain_flax":
        return {"plain Flax": {"side": "plain_flax", "flags": given}}
    if torch_steps.has(recipe):
        return peers_beside_the_tutorials(recipe, given, peer)
    compiled = peer == "torch_compile"
    name = "torch.compile" if compiled else "PyTorch eager"
    layouts = (
        ("contiguous",) if not models.build(recipe.model).generator.convolutional else ("contiguous", "channels_last")
    )
    beyond = torch_steps.beyond_the_tutorials(recipe)
    if compiled and recipe.penalty is not None:  # torch.compile has no derivative of a derivative
        raise UserError(f"--penalty={recipe.penalty}: is measured in eager mode; give --peer=torch")
    precisions = (recipe.precision,) if compiled or beyond else ("float32", "bfloat16")

    def side(layout: str, precision: str, **more: Any) -> dict[str, Any]:
        torch_flags = {**given, "precision": precision}
        how = {"channels_last": layout == "channels_last", "compiled": compiled}
        return {"side": "torch", "flags": torch_flags, **how, **more}

    rows = {f"{name}, {layout}, {kind}": side(layout, kind) for kind in precisions for layout in layouts}
    shareable = recipe.reuse_noise and recipe.model in ("dcgan_anime_a", "cgan_anime")
    if shareable and not compiled and not beyond:
        best = layouts[-1]
        rows[f"{name}, {best}, {recipe.precision}, work shared as here"] = side(
            best, recipe.precision, shares_work=True
        )
    return rows


def peers_beside_the_tutorials(recipe: Recipe, given: dict[str, Any], peer: str) -> dict[str, dict[str, Any]]:
    """Returns PyTorch's rows of a system that is no tutorial's, in eager mode and float32.

    Raises:
      UserError: for what is not there.
    """
    if peer != "torch":
        raise UserError(f"--peer={peer}: {recipe.model} is measured in eager mode; give --peer=torch")

    def side(layout: str, form: str | None) -> dict[str, Any]:
        return {"side": "torch", "flags": given, "channels_last": layout == "channels_last", "form": form}

    rows = torch_steps.rows(recipe)
    names = [", ".join(filter(None, ("PyTorch eager", layout, "float32", form))) for layout, form in rows]
    return {name: side(*row) for name, row in zip(names, rows, strict=True)}


def against_the_fastest(
    rows: Mapping[str, dict[str, Any]], sides: Mapping[str, dict[str, Any]], precision: str
) -> dict[str, Any]:
    """Computes the ratio to the fastest peer of the same precision that does what the tutorial does."""

    def is_like(description: dict[str, Any]) -> bool:
        same = description["flags"].get("precision", precision) == precision
        return same and description["side"] != "jaxgan" and not description.get("shares_work")

    alike = [name for name, description in sides.items() if is_like(description)]
    if not alike:
        return {}
    fastest = max(alike, key=lambda name: rows[name]["images_per_second"])
    return {"peer": fastest, "ratio": rows[fastest]["ratio"], "ratio_range": rows[fastest]["ratio_range"]}


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
