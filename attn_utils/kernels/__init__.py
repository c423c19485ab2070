"""Attention kernels written in Triton, which has to be installed for them: `pip install triton` (Linux). Nothing else needs it."""
