"""Is this gradient right, and if not, what is wrong with it? Read subject, laws, numerical, check, causes."""

from scratchnet.gradcheck.check import ArrayReport, GradientReport, check_gradients

__all__ = ["ArrayReport", "GradientReport", "check_gradients"]
