"""What the scores of a run would be for real pictures that it has not seen, and for spoilt ones."""

import numpy as np

from experiments.run.evaluation import Evaluator
from experiments.run.recipes import Recipe
from experiments.run.references import reference_pictures
from jaxgan.metrics.calibration import Calibration, calibrate
from jaxgan.metrics.scores import make_reference


def calibration_of(recipe: Recipe, evaluator: Evaluator) -> Calibration:
    """Calibrates the scores of an evaluator.

    Where the data set has a test split, its pictures are compared with as many of the training split. Otherwise one
    half of the pictures is compared with the other half, so that no picture is compared with itself.

    Args:
      recipe: of the run.
      evaluator: what measures it.

    Returns:
      See `jaxgan.metrics.calibration.calibrate`; {} if there are fewer pictures than features.
    """
    reference, real = evaluator.reference, evaluator.real.images
    if reference.split != "train":
        others = reference_pictures(recipe, "train", len(evaluator.z), evaluator.seed).images
        few = len(others) < reference.statistics.dimension
        return {} if few else calibrate(reference, others, seed=evaluator.seed)
    order = np.random.Generator(np.random.PCG64(evaluator.seed)).permutation(len(real))
    halves = [real[np.sort(part)] for part in np.array_split(order, 2)]
    if len(halves[1]) < reference.statistics.dimension:
        return {}
    half = make_reference(
        reference.network, halves[0], split=reference.split, resize=reference.resize, seed=evaluator.seed
    )
    return calibrate(half, halves[1], seed=evaluator.seed)
