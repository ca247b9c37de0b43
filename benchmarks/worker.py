"""A process that is one side of a comparison: it does what each line of its standard input says, and waits.

Not started by hand. The first argument describes the side; each line is ``[name, arguments…]``, answered by a line.
"""

import importlib
import json
import os
import sys
from typing import Any

SIDES = {"jaxgan": "benchmarks.jax_side", "plain_flax": "benchmarks.jax_side", "torch": "benchmarks.torch_side"}


QUESTIONS = ("run", "measure", "matmul_rate")


def main() -> None:
    """Builds the side and serves it until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints must not come between the answers

    def answer(value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    description = json.loads(sys.argv[1])
    side = importlib.import_module(SIDES[description["side"]]).build(description)
    answer(side.facts())
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name not in QUESTIONS:
            raise ValueError(f"{name}: not one of {', '.join(QUESTIONS)}")
        answer(getattr(side, name)(*arguments))


if __name__ == "__main__":
    main()
