"""The most memory that a running kernel has held."""

import re
from pathlib import Path

import psutil


def peak_memory_mb(pid):
    """Peak resident memory of a process in MB; where the system keeps no peak (macOS), what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        peak = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(peak[1]) / 1024 if peak else 0.0
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0.0
    return getattr(memory, "peak_wset", memory.rss) / 2**20
