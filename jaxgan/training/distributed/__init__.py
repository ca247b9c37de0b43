"""Several processes that train together, and the end of one as the end of all."""
