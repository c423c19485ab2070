"""Nothing lost: what `fit` needs to go on after a crash, in a folder, with one process or many.

A checkpoint is a folder `step-00000120` in the format of `torch.distributed.checkpoint`: parameters and buffers, the state of the
optimiser, the random state of each process, the history, and the settings of the run. It is written beside, as
`step-00000120.part`, and then renamed, so that a folder without `.part` is complete. The learning rate and the order of the data
follow from seed and step; the step is all that they need. Load only what you trust: Python objects in it are pickled.
"""

import json
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn

KEPT = 2  # checkpoints: the newest, and the one before


def newest(folder: Path | str) -> Path | None:
    """The newest complete checkpoint in a folder, or None; what is half-written does not count."""
    return max(_complete(Path(folder)), default=None)


class Checkpoints:
    """The checkpoints of one run of training.

    Args:
        folder: where they are; with several processes all must see it.
        settings: what makes the run this run and no other, {name: JSON value}.
        rank, processes: the number of this process, and how many there are.
    """

    def __init__(self, folder: Path | str, settings: dict, rank: int = 0, processes: int = 1):
        self.folder, self.rank, self.processes = Path(folder), rank, processes
        self.settings = json.loads(json.dumps(settings))

    def save(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, history: Any, device: torch.device) -> None:
        """Write the checkpoint of a step: beside first, then in its place. The one before stays, older ones go.

        Raises:
            OSError: it could not be written, on whichever process; the earlier ones are untouched.
        """
        path = self.folder / f"step-{step:08d}"
        beside = path.with_suffix(".part")
        if self.rank == 0:
            self._remove("step-*.part")
        if self.processes > 1:
            dist.barrier()
        state = {
            "model": model.state_dict(),
            "optimizer": {name: optimizer.state[p] for name, p in model.named_parameters() if p in optimizer.state},
            "random": {str(self.rank): random_state(device)},
            "settings": json.dumps(self.settings),
            "step": step,
            "history": history,
        }
        try:
            with _no_warning():
                dcp.save(state, storage_writer=dcp.FileSystemWriter(beside), no_dist=self.processes == 1)
        except (dcp.CheckpointException, OSError) as error:
            if self.rank == 0:
                self._remove("step-*.part")
            last = newest(self.folder)
            raise OSError(
                f"no checkpoint could be written at step {step}: {_why(error)} ({_free(self.folder)}); "
                + (f"the last whole one is {last}" if last else f"{self.folder} holds none before it")
            ) from error
        if self.rank == 0:
            shutil.rmtree(path, ignore_errors=True)  # of the same step, but not complete: `restore` did not take it
            os.replace(beside, path)
            for old in sorted(_complete(self.folder))[:-KEPT]:
                os.replace(old, old.with_suffix(".part"))  # so that it is whole or does not count, whatever happens
            self._remove("step-*.part")

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> tuple[int, Any]:
        """Load the newest complete checkpoint into model, optimiser and random state; the number of processes may be another.

        A process whose random state was not saved, for there were fewer of them or it was on another kind of device, keeps the one
        that it has.

        Returns:
            (steps done, history); (0, None) where there is no checkpoint.

        Raises:
            ValueError: the checkpoint is of another model, or of another run.
            OSError: it cannot be read.
        """
        path = self._newest_of_all()
        if path is None:
            return 0, None
        try:
            there = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
            _check_model(path, {name.removeprefix("model."): there[name] for name in there if name.startswith("model.")}, model)
            self._check_settings(path)
            parameters = dict(model.named_parameters())
            state = {"model": model.state_dict(), "optimizer": _empty_state(there, parameters), "step": 0, "history": None}
            _load(state, path, no_dist=self.processes == 1)
            random = random_state(device)
            saved = all(f"random.{self.rank}.{kind}" in there for kind in random)
            if saved:
                _load({"random": {str(self.rank): random}}, path, no_dist=True)
        except (dcp.CheckpointException, OSError, EOFError) as error:
            raise OSError(f"checkpoint {path} cannot be read ({_why(error)}): remove it to go on from the one before") from error
        for name, fields in state["optimizer"].items():
            optimizer.state[parameters[name]] = fields
        if saved:
            restore_random(random, device)
        return state["step"], state["history"]

    def _newest_of_all(self) -> Path | None:
        """The newest checkpoint, as process 0 sees it."""
        found = [newest(self.folder)]
        if self.processes > 1:
            dist.broadcast_object_list(found, src=0)
        return found[0]

    def _check_settings(self, path: Path) -> None:
        state = {"settings": ""}
        _load(state, path, no_dist=True)
        was = json.loads(state["settings"])
        other = [f"{name} was {was.get(name)} and is {now}" for name, now in self.settings.items() if was.get(name) != now]
        if other:
            raise ValueError(f"checkpoint {path} is of another run: {'; '.join(other)}. Name another folder to begin anew")

    def _remove(self, pattern: str) -> None:
        for path in self.folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """PyTorch's random states that training uses: of the CPU and, where that is another one, of the device."""
    states = {"cpu": torch.get_rng_state()}
    return states if device.type == "cpu" else states | {device.type: torch.get_device_module(device).get_rng_state(device)}


def restore_random(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Go on from states that `random_state` gave."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type], device)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Inside, Ctrl-C waits: the function that is yielded says whether it was pressed, and a step can be finished and saved first.

    Pressed again, a second later, it interrupts at once. (`torchrun` passes it on to processes that may have had it already.)
    Outside the main thread Python gets no signals, and everything is as it was.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed: list[float] = []

    def note(*_) -> None:
        pressed.append(time.monotonic())
        if pressed[-1] - pressed[0] > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def _complete(folder: Path) -> list[Path]:
    return [path for path in folder.glob("step-*") if not path.suffix and (path / ".metadata").exists()]


def _check_model(path: Path, there: dict, model: nn.Module) -> None:
    here = model.state_dict()
    other = [f"{name!r} is not in it" for name in here.keys() - there.keys()]
    other += [f"{name!r} is not in the model" for name in there.keys() - here.keys()]
    for name in here.keys() & there.keys():
        if isinstance(here[name], torch.Tensor) and here[name].shape != there[name].size:
            other.append(f"{name!r} has shape {tuple(there[name].size)}, in the model {tuple(here[name].shape)}")
    if other:
        more = f", and {len(other) - 3} more" if len(other) > 3 else ""
        raise ValueError(f"checkpoint {path} is of another model: {'; '.join(sorted(other)[:3])}{more}")


def _empty_state(there: dict, parameters: dict[str, nn.Parameter]) -> dict[str, dict[str, torch.Tensor]]:
    """The optimiser's state that a checkpoint holds, with room for its numbers: {parameter: {field: tensor}}.

    Only parameters that had a gradient have one. `step` is a number on the CPU; all else has the parameter's shape, and is sharded like it.
    """
    state: dict[str, dict[str, torch.Tensor]] = {}
    for key, kept in there.items():
        if key.startswith("optimizer."):
            name, _, field = key.removeprefix("optimizer.").rpartition(".")
            number = torch.zeros((), dtype=kept.properties.dtype, device="cpu")
            state.setdefault(name, {})[field] = number if field == "step" else torch.zeros_like(parameters[name]).detach()
    return state


def _load(state: dict, path: Path, *, no_dist: bool) -> None:
    with _no_warning():
        dcp.load(state, storage_reader=dcp.FileSystemReader(path), no_dist=no_dist)


@contextmanager
def _no_warning() -> Iterator[None]:
    """That there is one process is no reason to warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


def _why(error: BaseException) -> str:
    """What went wrong, on whichever process; Ctrl-C stays Ctrl-C."""
    causes = [exception for exception, _ in error.failures.values()] if isinstance(error, dcp.CheckpointException) else [error]
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        raise KeyboardInterrupt from error
    # Where a file could not be written to its end, the error of the file system stands behind one of the writer's.
    causes = [cause.__context__ if isinstance(cause.__context__, OSError) else cause for cause in causes]
    return "; ".join(dict.fromkeys(f"{type(cause).__name__}: {cause}" for cause in causes))


def _free(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free / 1e9:.1f} GB are free" if folder.exists() else "the folder is not there"
