"""Sources of pictures, decoded once and cached, and the streams of batches that they give."""
