"""Access to the host: files, console, progress bars and digests."""
