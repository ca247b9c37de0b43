"""The machine that a run lives on: files, the console, progress bars, digests."""
