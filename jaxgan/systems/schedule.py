"""How many batches each step takes: arithmetic, so that any step finds its batches at once."""

import dataclasses

WARM_STEPS, WARM_EVERY, WARM_ROUNDS = 25, 500, 100


@dataclasses.dataclass(frozen=True)
class Rounds:
    """The batches of a step.

    Attributes:
      usual: batches of an ordinary step: the critic's steps where each takes a new batch, else 1.
      warmup: whether the first 25 steps and every 500th take 100, so that the critic is near its optimum when it
        matters.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017: the authors' own program, for ``warmup``.
    """

    usual: int = 1
    warmup: bool = False

    def at(self, step: int) -> int:
        """Batches that a step takes."""
        return WARM_ROUNDS if self.warmup and (step < WARM_STEPS or step % WARM_EVERY == 0) else self.usual

    def before(self, step: int) -> int:
        """Batches that all steps before this one take."""
        total = self.usual * step
        if self.warmup and step:
            warm_steps = min(step, WARM_STEPS) + -(-step // WARM_EVERY) - 1  # step 0 is in both
            total += (WARM_ROUNDS - self.usual) * warm_steps
        return total
