"""The bare scripts: the statements of a lane and nothing else."""
