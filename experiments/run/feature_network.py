"""The feature network of a run's pictures, the one that `experiments.evaluate` uses."""

from experiments.run.references import teaching_pictures, training_pictures
from experiments.run.restore import TrainedRun
from jaxgan.metrics import features
from jaxgan.metrics.features import FeatureNetwork


def feature_network_of(run: TrainedRun) -> FeatureNetwork:
    """Opens the network, and trains it where it is not in the cache.

    Raises:
      UserError: if the pictures of the run are not there, or others, or too few.
    """
    training_pictures(run.recipe, run.pictures_digest)  # another folder's would stand for them
    return features.load(str(run.recipe.dataset), *teaching_pictures(run.recipe))
