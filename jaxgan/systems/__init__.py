"""What trains: the systems, each a state, a pure step, and what can be asked of it."""
