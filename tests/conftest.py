"""What all tests share: how hypothesis searches, and fresh random numbers for each test."""

import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
# Test processes share the cores. NumPy's products stay on one, and a thread that waits for another gives its core away.

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
