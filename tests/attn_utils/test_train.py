"""Training repeats for a seed, can be stopped, and says what is wrong."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from attn_utils.cost import count_parameters
from attn_utils.device import pick_device, seed_everything
from attn_utils.train import evaluate, fit, person_is_watching


def problem(n=97):
    torch.manual_seed(3)
    x = torch.randn(n, 5)
    return x, (x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0], [3.0]]) + 0.7)


def squared_error(model, x, y):
    return F.mse_loss(model(x), y)


def small_model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 1))


# ------------------------------------------------------------------------------------------------------------- fit


def test_fit_learns_and_keeps_history():
    model, data, seen = small_model(), problem(), []
    history = fit(
        model,
        data,
        lambda m, x, y: (squared_error(m, x, y), {"mean": m(x).mean()}),
        epochs=40,
        batch_size=32,
        lr=2e-2,
        on_step=lambda step, m: seen.append((step, m is model)),
        validate=lambda m: {"training": m.training},
    )
    assert history.steps == 40 * (97 // 32) == len(history.loss) == len(history.lr) == len(history.metrics["mean"])
    assert history.loss[-1] < 0.05 * history.loss[0]
    assert seen == [(step, True) for step in range(1, history.steps + 1)]
    assert history.validation == [(3 * epoch, {"training": False}) for epoch in range(1, 41)]
    assert history.seconds > 0
    assert not history.interrupted
    assert not model.training, "the model is left ready for use"


def test_learning_rate_rises_to_lr_and_falls():
    history = fit(small_model(), problem(), squared_error, steps=100, lr=1e-2, warmup=0.2)
    assert_close(max(history.lr), 1e-2, rtol=1e-6, atol=0.0)
    assert history.lr.index(max(history.lr)) in range(18, 22)
    assert history.lr[0] < 1e-3 > history.lr[-1]


def test_same_seed_same_result_and_the_global_random_state_is_left_alone():
    data, results = problem(), []
    for noise in (1, 2):
        model = small_model()
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        fit(model, data, squared_error, steps=30, seed=5)
        assert_close(torch.get_rng_state(), before, rtol=0, atol=0)
        results.append(list(model.parameters()))
    assert_close(results[0], results[1], rtol=0, atol=0)
    model = small_model()
    fit(model, data, squared_error, steps=30, seed=6)
    assert (next(model.parameters()) - results[0][0]).abs().max() > 1e-4


def test_every_sample_of_an_epoch_is_seen_once():
    seen = []
    fit(
        small_model(),
        (torch.arange(12.0).repeat(5, 1).T.clone(), torch.zeros(12, 1)),
        lambda m, x, y: (seen.append(x[:, 0]), squared_error(m, x, y))[1],
        epochs=2,
        batch_size=4,
    )
    for epoch in (torch.cat(seen[:3]), torch.cat(seen[3:])):
        assert_close(epoch.sort().values, torch.arange(12.0))
    assert not torch.equal(torch.cat(seen[:3]), torch.cat(seen[3:]))


def test_a_batch_larger_than_the_data_is_the_data():
    assert fit(small_model(), problem(7), squared_error, epochs=2, batch_size=64).steps == 2


def test_interrupt_keeps_what_was_learned():
    model = small_model()

    def stop(step, _):
        if step == 4:
            raise KeyboardInterrupt

    before = next(model.parameters()).clone()
    history = fit(model, problem(), squared_error, steps=50, on_step=stop)
    assert history.interrupted
    assert history.steps == 4
    assert (next(model.parameters()) - before).abs().max() > 0
    assert not model.training


def test_gradient_is_clipped():
    norms = []

    def loss(m, x, y):
        return 1e4 * squared_error(m, x, y)

    def look(_, m):
        norms.append(torch.cat([p.grad.flatten() for p in m.parameters()]).norm())

    fit(small_model(), problem(), loss, steps=3, clip=0.5, on_step=look)
    assert max(norms) <= 0.5 + 1e-5


def test_frozen_parameters_stay():
    model = small_model()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    fit(model, problem(), squared_error, steps=5)
    assert_close(model[0].weight, before, rtol=0, atol=0)


def test_nan_loss_names_the_step():
    x, y = problem()
    steps = []

    def loss(m, x, y):
        steps.append(0)
        return squared_error(m, x, y) * (torch.nan if len(steps) == 3 else 1)

    with pytest.raises(FloatingPointError, match="the loss is nan at step 3 of 10"):
        fit(small_model(), (x, y), loss, steps=10)


@pytest.mark.parametrize(
    ("data", "kwargs", "text"),
    [
        ((torch.ones(3, 5), torch.ones(4, 1)), {"steps": 1}, r"one length, above 0; got lengths \[3, 4\]"),
        ((torch.ones(0, 5), torch.ones(0, 1)), {"steps": 1}, r"got lengths \[0, 0\]"),
        (torch.ones(3, 5), {"steps": 1}, "data must be a tuple of tensors"),
        (problem(), {}, "either epochs or steps, got epochs=None and steps=None"),
        (problem(), {"epochs": 1, "steps": 1}, "either epochs or steps, got epochs=1 and steps=1"),
        (problem(), {"epochs": 0}, "at least one step, got epochs=0"),
        (problem(), {"steps": 1, "warmup": 1.5}, "warmup must be a share of the steps, between 0 and 1, got 1.5"),
        (problem(), {"steps": 1, "batch_size": 0}, "batch_size must be positive"),
    ],
)
def test_fit_rejects(data, kwargs, text):
    with pytest.raises(ValueError, match=text):
        fit(small_model(), data, squared_error, **kwargs)


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo over a file")
def test_two_processes_learn_what_one_does(tmp_path):
    """Each process takes its half of every batch; parameters agree with those of one process up to rounding."""
    program = """
        import sys
        import torch, torch.distributed as dist
        from torch import nn
        from attn_utils.train import fit

        rank, folder = int(sys.argv[1]), sys.argv[2]
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
        torch.manual_seed(rank)                       # other initial parameters on the other process: fit must not mind
        model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 1))
        data = torch.load(f"{folder}/data.pt")
        history = fit(model, data, lambda m, x, y: (m(x) - y).square().mean(), steps=20, batch_size=16)
        torch.save((model.state_dict(), history.loss), f"{folder}/{rank}.pt")
    """
    torch.save(problem(64), tmp_path / "data.pt")
    command = [sys.executable, "-c", textwrap.dedent(program)]
    jobs = [
        subprocess.Popen([*command, str(rank), tmp_path.as_posix()], env=os.environ | {"OMP_NUM_THREADS": "1"}) for rank in (0, 1)
    ]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 1))
    history = fit(model, problem(64), squared_error, steps=20, batch_size=16)
    assert [job.wait(timeout=240) for job in jobs] == [0, 0]
    first, second = (torch.load(tmp_path / name) for name in ("0.pt", "1.pt"))
    assert_close(first, second, rtol=0, atol=0)
    assert_close(first, (model.state_dict(), history.loss), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------------- progress


def test_no_progress_bar_when_nobody_watches(capfd, monkeypatch):
    monkeypatch.delenv("ATTN_PROGRESS", raising=False)
    fit(small_model(), problem(), squared_error, steps=20)
    assert capfd.readouterr() == ("", "")


def test_progress_bar_on_request(capfd):
    fit(small_model(), problem(), squared_error, steps=20, progress=True)
    assert "20/20" in capfd.readouterr().err


@pytest.mark.parametrize(("wish", "answer"), [("1", True), ("0", False)])
def test_environment_overrules(monkeypatch, wish, answer):
    monkeypatch.setenv("ATTN_PROGRESS", wish)
    assert person_is_watching() is answer


@pytest.mark.parametrize("allow_stdin", [False, True])
def test_a_notebook_knows_whether_someone_runs_it_by_hand(allow_stdin, monkeypatch):
    """Tools that execute notebooks send allow_stdin=False with each cell, front ends with a person send True."""
    manager = pytest.importorskip("jupyter_client.manager")
    monkeypatch.delenv("ATTN_PROGRESS", raising=False)
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    try:
        printed = []
        client.execute_interactive(
            "from attn_utils.train import person_is_watching; print(person_is_watching())",
            allow_stdin=allow_stdin,
            timeout=60,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
        assert "".join(printed).strip() == str(allow_stdin)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


# ------------------------------------------------------------------------------------------- evaluate and the small ones


def test_evaluate_takes_means_over_samples_not_batches():
    model = small_model().train()
    x = torch.arange(7.0).repeat(5, 1).T.clone()
    result = evaluate(model, (x,), lambda m, x: {"value": x[:, 0], "mean": x[:, 0].mean(), "right": x[:, 0] > 4}, batch_size=3)
    assert result == {"value": pytest.approx(3.0), "mean": pytest.approx(3.0), "right": pytest.approx(2 / 7)}
    assert model.training


def test_evaluate_runs_in_eval_mode_without_gradients():
    seen = []
    evaluate(small_model(), problem(), lambda m, x, y: {"a": seen.append((m.training, m(x).requires_grad)) or 0.0})
    assert seen == [(False, False)]


def test_evaluate_rejects():
    with pytest.raises(ValueError, match=r"metric 'wide' must be a scalar or have shape \(97,\), got \(97, 1\)"):
        evaluate(small_model(), problem(), lambda m, x, y: {"wide": m(x)})
    with pytest.raises(ValueError, match="one length"):
        evaluate(small_model(), (torch.ones(2), torch.ones(3)), lambda m, x, y: {})


def test_count_parameters_counts_shared_ones_once_and_frozen_ones_not():
    model = nn.ModuleDict({"a": nn.Linear(3, 5), "b": nn.Linear(3, 5)})
    model["b"].weight = model["a"].weight
    model["b"].bias.requires_grad_(False)
    assert count_parameters(model) == 15 + 5


def test_seed_everything_repeats():
    import random

    import numpy as np

    draws = []
    for _ in range(2):
        seed_everything(11)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws[0] == draws[1]


def test_pick_device():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match='device must be "auto", "cpu", "cuda" or "mps", got \'tpu\''):
        pick_device("tpu")
    missing = [
        name for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())) if not there
    ]
    for name in missing:
        with pytest.raises(ValueError, match=f"'{name}' is not available here"):
            pick_device(name)
