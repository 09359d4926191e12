"""The loop of `fit`, and what stands around it: the run, refusals, divergence, checkpoints, files, consoles."""
