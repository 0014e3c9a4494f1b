"""The precisions that trainings compute in, for tests: bfloat16 only where this processor runs networks in it."""

import pytest

from engine.hardware import processor_computes_bfloat16

needs_bfloat16 = pytest.mark.skipif(
    not processor_computes_bfloat16(), reason="this processor runs no network in bfloat16"
)
PRECISIONS = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]
