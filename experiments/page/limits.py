"""How large what a visitor sends may be."""

LARGEST_FILE = 8 << 20
"""Bytes of a picture file."""
PIXELS = 1 << 25
"""Pixels of a picture."""
