"""One short script per family of networks, and the commands that look at what they trained."""
