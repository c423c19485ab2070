"""One training loop on one process or many: who takes part, what each of them holds, and how they agree.

`attn_utils.train.fit` is written once, against `Alone`; `Replicated` (DistributedDataParallel) and `Sharded` (FSDP2) do the
same for several processes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint


def here() -> tuple[int, int]:
    """(The number of this process, how many train together); (0, 1) where no process group was initialised."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def join(device: torch.device | str = "cpu") -> tuple[int, int]:
    """Meet the other processes that `torchrun` has started, if it has and nobody met them yet: gloo on CPUs, NCCL on GPUs.

    With CUDA this process gets the GPU of its number on this machine (`LOCAL_RANK`) as the current one.

    Args:
        device: where there will be computed; its kind matters alone.

    Returns:
        What `here` says then.
    """
    if dist.is_available() and dist.is_torchelastic_launched() and not dist.is_initialized():
        told, store = os.environ, None
        cuda = torch.device(device).type == "cuda"
        if cuda:
            torch.cuda.set_device(int(told["LOCAL_RANK"]))
        if told["GROUP_WORLD_SIZE"] == "1" and told["TORCHELASTIC_USE_AGENT_STORE"] == "True":
            # On one machine torchrun keeps one store over all restarts. Each gets names of its own in it: otherwise a process may
            # find the address of one that was killed, and wait for it (pytorch #135712).
            store = dist.TCPStore(told["MASTER_ADDR"], int(told["MASTER_PORT"]), is_master=False)
            store = dist.PrefixStore(f"life {told['TORCHELASTIC_RESTART_COUNT']}", store)
        rank, processes = int(told["RANK"]), int(told["WORLD_SIZE"])
        dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=processes)
    return here()


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers that a model is a stack of: the outermost members of any `nn.ModuleList` in it that have parameters, each once.

    FSDP2 gathers and frees the weights of one of them at a time, and activation checkpointing keeps the input of each alone.

    >>> from attn_utils.vit import vit_mini
    >>> [type(block).__name__ for block in blocks(vit_mini(image_size=8, patch=4, classes=3))]
    ['Block', 'Block', 'Block']
    """
    found: dict[nn.Module, None] = {}
    for child in model.children():
        callable_ = type(child).forward is not nn.Module.forward  # a ModuleList or ModuleDict is not
        if isinstance(model, nn.ModuleList) and callable_ and next(child.parameters(), None) is not None:
            found[child] = None
        else:
            found |= dict.fromkeys(blocks(child))
    return list(found)


@contextmanager
def recomputed(model: nn.Module) -> Iterator[None]:
    """Activation checkpointing: inside, a block keeps its input alone, and backward computes it a second time.

    The gradients are the same, dropout included. Hooks within a block run twice, in the forward pass and in backward, but for those
    on its last layers: backward computes no more than it needs. `attn_utils.record.record_attention` keeps the first run; it has to
    stay open until backward is done.

    Raises:
        ValueError: the model has no `blocks`.
    """
    members = blocks(model)
    if not members:
        raise ValueError(f"{type(model).__name__} has no nn.ModuleList of blocks, so there is nothing to compute again")
    for member in members:
        member.forward = partial(checkpoint, member.forward, use_reentrant=False)
    try:
        yield
    finally:
        for member in members:
            del member.forward


class Alone:
    """One process: the loss as one module, and nothing to agree about.

    Args:
        model: what is trained, in place.
        loss: called as loss(model, *batch), as in `fit`.
        device: where the model is.
    """

    def __init__(self, model: nn.Module, loss: Callable, device: torch.device):
        self.model, self.compute = model, _Loss(model, loss)

    def part(self, last: bool) -> AbstractContextManager:
        """Around forward and backward of one part of a batch: in the last, gradients become means over the processes."""
        return nullcontext()

    def whole(self) -> AbstractContextManager:
        """Inside, the model has all its weights, as if there were one process."""
        return nullcontext()

    def finish(self) -> None:
        """Leave on every process the model that one process would have."""


class Replicated(Alone):
    """`DistributedDataParallel`: each process holds all; after backward it has the mean of the gradients."""

    def __init__(self, model: nn.Module, loss: Callable, device: torch.device):
        super().__init__(model, loss, device)
        self.compute = DistributedDataParallel(self.compute, find_unused_parameters=True)

    def part(self, last: bool) -> AbstractContextManager:
        return nullcontext() if last else self.compute.no_sync()


class Sharded(Alone):
    """FSDP2 (`fully_shard`): each process holds its share of weights, gradients and optimiser state.

    The weights of a block (`blocks`) are gathered when it runs and freed after it, forward and backward; those outside of blocks
    stay from the forward pass to the end of backward. `finish` makes an ordinary model of it again, of the same parameters.
    """

    def __init__(self, model: nn.Module, loss: Callable, device: torch.device):
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        super().__init__(model, loss, device)
        for tensor in [*model.parameters(), *model.buffers()]:
            dist.broadcast(tensor.detach(), src=0)
        self._before = [(module, module.__class__, _attributes(module)) for module in model.modules()]
        self._parameters = [
            (module, name, parameter)
            for module in model.modules()
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
        ]
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        self._units = [fully_shard(block, mesh=mesh) for block in blocks(model)]
        self._units.append(fully_shard(self.compute, mesh=mesh))
        for _, _, parameter in self._parameters:
            parameter.data = parameter.new_empty(0)  # each process has its shard now

    def part(self, last: bool) -> AbstractContextManager:
        share_buffers(self.model)  # as DistributedDataParallel does
        self.compute.set_requires_gradient_sync(last)
        return nullcontext()

    @contextmanager
    def whole(self) -> Iterator[None]:
        for unit in self._units:
            unit.unshard()
        try:
            yield
        finally:
            for unit in self._units:
                unit.reshard()

    def finish(self) -> None:
        full = {}  # shared ones once
        for module, name, parameter in self._parameters:
            if id(parameter) not in full:
                full[id(parameter)] = getattr(module, name).full_tensor().detach()
        from torch.distributed import _composable_state

        for module, kind, attributes in self._before:  # there is no public way back
            module.__class__ = kind
            _composable_state._module_state_mapping.pop(module, None)  # or it could not be sharded again
            for name in vars(module).keys() - attributes.keys():
                delattr(module, name)
            vars(module).update({name: value for name, value in attributes.items() if "hooks" in name})
        for module, name, parameter in self._parameters:
            parameter.data = full[id(parameter)]
            module.register_parameter(name, parameter)


WAYS = {"replicate": Replicated, "shard": Sharded}


def mean_over_processes(numbers: list[float], processes: int, device: torch.device) -> list[float]:
    """Means of numbers, the same on every process."""
    if processes == 1:
        return numbers
    total = torch.tensor(numbers, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return (total / processes).tolist()


def share_buffers(model: nn.Module) -> None:
    """Running statistics of process 0 for all, so that every process holds the same model."""
    for buffer in model.buffers():
        dist.broadcast(buffer, src=0)


class _Loss(nn.Module):
    """The whole loss as one module: what is wrapped around it sees one forward pass, whatever `loss` does."""

    def __init__(self, model: nn.Module, loss: Callable):
        super().__init__()
        self.model = model
        self.compute = partial(loss, model)  # not `loss` itself, which may be a module: its parameters are not to be trained

    def forward(self, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        result = self.compute(*batch)
        value, numbers = result if isinstance(result, tuple) else (result, {})
        return value, {name: n.item() if isinstance(n, Tensor) else float(n) for name, n in numbers.items()}


def _attributes(module: nn.Module) -> dict:
    """What stands in a module, its hooks as they are now."""
    return {name: value.copy() if "hooks" in name and value is not None else value for name, value in vars(module).items()}
