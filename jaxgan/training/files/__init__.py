"""What a run writes: checkpoints, metrics, grids, events, one kind of file each."""
