"""Training with several processes: common decisions, a heartbeat, and messages for those that crash."""
