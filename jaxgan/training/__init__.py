"""Training of any system: the loop, its watch, its input pipeline, and the files of a run."""
