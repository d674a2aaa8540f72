import platform
from pathlib import Path

import pytest
import torch

from training.precision import mixed, product_type


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors name their instructions otherwise")
def test_a_processor_multiplies_in_bfloat16_where_it_has_the_instructions():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    known = {"avx512bw", "avx512dq", "avx512vl"} <= flags
    assert product_type("cpu", True) == (torch.bfloat16 if known else torch.float32)
    left, right = torch.eye(2), torch.tensor([[1.0, 1.0 + 2**-12]] * 2)  # which bfloat16 rounds to 1
    with mixed("cpu", True):
        assert (left @ right)[0, 1].item() == (1.0 if known else 1.0 + 2**-12)


def test_what_nobody_wants():
    assert product_type("cpu", False) == product_type("cuda", False) == torch.float32
    assert product_type("cuda", True) == torch.bfloat16
    with mixed("cpu", False):
        assert (torch.eye(2) @ torch.eye(2)).dtype == torch.float32
