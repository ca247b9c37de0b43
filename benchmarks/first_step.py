"""The training command up to its first step; started by ``benchmarks.startup``, which wants to know when that was."""

import json
import os
import sys
import time
from typing import Any

import jax

from experiments.run import start
from jaxgan import systems
from jaxgan.training import input_pipeline

IMPORTED = time.monotonic()


def main() -> None:
    """Trains one step, says when it was done, and leaves."""
    step = input_pipeline.InputPipeline.__call__

    def first(feed: input_pipeline.InputPipeline, *arguments: Any) -> Any:
        jax.block_until_ready(step(feed, *arguments))
        print("\n" + json.dumps({"imported": IMPORTED, "first_step": time.monotonic()}), flush=True)
        os._exit(0)

    input_pipeline.InputPipeline.__call__ = first
    [model] = [argument.removeprefix("--model=") for argument in sys.argv if argument.startswith("--model=")]
    start.main(systems.family_of(model).command)


if __name__ == "__main__":
    main()
