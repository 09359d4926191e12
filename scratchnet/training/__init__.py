"""The loop of `fit`, and what belongs to it: the run, refusals, divergence, checkpoints, files, consoles."""
