"""Attention kernels for a GPU: `flex` needs PyTorch alone; `flash` and `tiles` need Triton (`pip install triton`, Linux)."""
