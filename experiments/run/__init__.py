"""From flags to a run, and from a run's directory back to what it trained."""
