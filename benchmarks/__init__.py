"""Measurements of speed; not installed."""
