"""Is this derivative right, and if not, what is wrong with it?

Read in this order: subject, numerical, evidence, check, causes.
"""

from scratchnet.gradcheck.check import check_gradients
from scratchnet.gradcheck.report import ArrayReport, GradientReport

__all__ = ["ArrayReport", "GradientReport", "check_gradients"]
