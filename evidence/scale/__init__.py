"""One model on several processes: programs that `torchrun` starts, and what they measure."""
