"""Pictures from trained networks: samples, the best of many, projections."""

from jaxgan.sampling.generation import CHUNK, best, chunks, draw, fixed_latents, generate, scores

__all__ = ["CHUNK", "best", "chunks", "draw", "fixed_latents", "generate", "scores"]
