"""Images from trained networks: samples, the best of many samples, and projections."""

from jaxgan.models.inference import CHUNK, chunks, draw, fixed_latents, generate, scores
from jaxgan.sampling.generation import best

__all__ = ["CHUNK", "best", "chunks", "draw", "fixed_latents", "generate", "scores"]
