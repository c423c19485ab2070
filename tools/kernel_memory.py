"""The most memory that a running kernel has held."""

import re
import threading
from pathlib import Path

import psutil

MOST_MB = 2048  # what a chapter promises to stay below, on a CPU


def complaint(peak_mb):
    """What to say of a kernel that has held so much, in words; None when that is within the promise."""
    if peak_mb <= MOST_MB:
        return None
    import torch  # only when it matters: with CUDA its libraries alone take more

    if torch.cuda.is_available():
        return None
    return f"the chapter's kernel has held {peak_mb:.0f} MB; chapters are to stay below {MOST_MB} MB"


class MemoryWatch(threading.Thread):
    """Watches one process until it ends; `peak_mb` is the most resident memory it has held, in MB.

    Linux keeps the peak itself, and so does Windows; elsewhere it is the largest of a look every fifth of a second.
    """

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak_mb = 0.0
        self.start()

    def look(self):
        """Look once; return the peak so far. Raises psutil.Error when the process is gone."""
        memory = self.process.memory_info()
        held = max(memory.rss, getattr(memory, "peak_wset", 0)) / 2**20
        status = Path(f"/proc/{self.process.pid}/status")
        kept = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
        self.peak_mb = max(self.peak_mb, held, int(kept[1]) / 1024 if kept else 0.0)
        return self.peak_mb

    def run(self):
        pause = threading.Event()
        try:
            while not pause.wait(0.2):
                self.look()
        except (psutil.Error, OSError):
            pass
