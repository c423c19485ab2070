"""Training repeats for a seed, can be stopped, and says what is wrong; several processes: test_train_together.py."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from attn_utils.deformable import ObjectQueries
from attn_utils.grid_attention import RelativeAttention
from attn_utils.schedule import parameter_groups, warmup_cosine
from attn_utils.train import evaluate, fit, person_is_watching
from attn_utils.vit import vit_mini


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
    fit(model := small_model(), data, squared_error, steps=np.int64(30), seed=np.int64(5), batch_size=np.int32(64))
    assert_close(results[0], list(model.parameters()), rtol=0, atol=0)
    model = small_model()
    fit(model, data, squared_error, steps=30, seed=6)
    assert (next(model.parameters()) - results[0][0]).abs().max() > 1e-4


def test_no_device_but_the_one_that_trains_is_seeded(monkeypatch):
    """`torch.manual_seed` would seed each accelerator there is, and leave it so."""

    def touched(seed):
        raise AssertionError("the random state of another device was changed")

    model, data = small_model(), problem()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", touched)
    monkeypatch.setattr(torch.mps, "manual_seed", touched)
    assert fit(model, data, squared_error, steps=1).steps == 1


def test_the_default_device_may_be_another_one(monkeypatch):
    """`meta` stands for an accelerator that is PyTorch's default: nothing of ours may land there."""
    # AdamW keeps a counter on the default device and reads it, which meta does not allow.
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, lr: torch.optim.SGD(groups, lr=lr))
    model, data = small_model(), problem()
    with torch.device("meta"):
        history = fit(model, data, lambda m, x, y: (squared_error(m, x, y), {"one": 1.0}), epochs=2)
        scores = evaluate(model, data, lambda m, x, y: {"error": squared_error(m, x, y), "one": 1.0})
    assert history.metrics["one"] == [1.0, 1.0]
    assert scores == {"error": pytest.approx(squared_error(model, *data).item()), "one": 1.0}


def test_bf16_multiplies_in_bfloat16_and_keeps_the_rest():
    data, results = problem(), {}
    for precision in ("full", "bf16"):
        model, products = small_model(), []

        def loss(m, x, y):
            products.append(m(x).dtype)  # noqa: B023
            return squared_error(m, x, y)

        looked = []
        fit(model, data, loss, steps=30, precision=precision, validate=lambda m: looked.append(m(data[0]).dtype) or {})  # noqa: B023
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        results[precision] = set(products), set(looked), [p.detach().clone() for p in model.parameters()]
    assert results["full"][:2] == ({torch.float32}, {torch.float32})
    assert results["bf16"][:2] == ({torch.bfloat16}, {torch.float32})
    assert_close(results["full"][2], results["bf16"][2], rtol=0, atol=0.05)
    assert max((a - b).abs().max() for a, b in zip(results["full"][2], results["bf16"][2])) > 1e-6


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
    assert fit(small_model(), problem(7), squared_error, epochs=np.int64(2), batch_size=64).steps == 2


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
    model, steps = small_model(), []

    def loss(m, x, y):
        steps.append(0)
        return squared_error(m, x, y) * (torch.nan if len(steps) == 3 else 1)

    with pytest.raises(FloatingPointError, match="the loss is nan at step 3 of 10"):
        fit(model, (x, y), loss, steps=10)
    assert not model.training


@pytest.mark.parametrize(
    ("data", "kwargs", "text"),
    [
        ((torch.ones(3, 5), torch.ones(4, 1)), {"steps": 1}, r"one length, above 0; got lengths \[3, 4\]"),
        ((torch.ones(0, 5), torch.ones(0, 1)), {"steps": 1}, r"got lengths \[0, 0\]"),
        (torch.ones(3, 5), {"steps": 1}, "data must be a tuple of tensors"),
        (problem(), {}, "either epochs or steps, got epochs=None and steps=None"),
        (problem(), {"epochs": 1, "steps": 1}, "either epochs or steps, got epochs=1 and steps=1"),
        (problem(), {"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        (problem(), {"steps": -1}, "steps must be a whole number of at least 1, got -1"),
        (problem(), {"steps": 2.5}, "steps must be a whole number of at least 1, got 2.5"),
        (problem(), {"steps": 1, "warmup": 1.5}, "warmup must be a share of the steps, between 0 and 1, got 1.5"),
        (problem(), {"steps": 1, "warmup": float("nan")}, "warmup must be a share of the steps, between 0 and 1, got nan"),
        (problem(), {"steps": 1, "batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        (problem(), {"steps": 1, "precision": "fp16"}, 'precision must be "full" or "bf16", got \'fp16\''),
        (problem(), {"steps": 1, "batch_size": -1}, "batch_size must be a whole number of at least 1, got -1"),
    ],
)
def test_fit_rejects(data, kwargs, text):
    with pytest.raises(ValueError, match=text):
        fit(small_model(), data, squared_error, **kwargs)


@pytest.mark.parametrize("model", [nn.Flatten(), nn.Linear(5, 1).requires_grad_(False)])
def test_fit_rejects_a_model_with_nothing_to_train(model):
    with pytest.raises(ValueError, match=f"nothing to train: no parameter of this {type(model).__name__} requires a gradient"):
        fit(model, problem(), squared_error, steps=1)


# -------------------------------------------------------------------------------------------------- learning rate


def test_warmup_cosine_by_hand():
    shares = [warmup_cosine(step, 4, 0.5) for step in (1, 2, 3, 4)]  # peak at 2; then at 1/3 and 2/3 of the way down
    assert_close(shares, [0.5, 1.0, 0.75, 0.25], rtol=1e-12, atol=0)


@pytest.mark.parametrize("warmup", [0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 20, 101])
def test_learning_rate_rises_to_lr_and_falls(steps, warmup):
    shares = [warmup_cosine(step, steps, warmup) for step in range(1, steps + 1)]
    peak = shares.index(1.0)  # raises where no step is taken at lr
    assert abs(peak + 1 - warmup * steps) <= 1
    assert shares[: peak + 1] == sorted(set(shares[: peak + 1]))
    assert shares[peak:] == sorted(set(shares[peak:]), reverse=True)
    assert min(shares) > 1e-5, "a step is wasted"


def test_learning_rate_is_close_to_that_of_one_cycle():
    parameter = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.AdamW([parameter])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=800, pct_start=0.15)
    for step in range(1, 801):
        assert abs(schedule.get_last_lr()[0] - warmup_cosine(step, 800, 0.15)) <= 0.041
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (5, 0.2), (20, 0.05), (1, 0.15), (2, 0.6), (3, 0.0), (3, 1.0)])
def test_fit_trains_at_lr_however_few_the_steps(steps, warmup):
    history = fit(small_model(), problem(), squared_error, steps=steps, warmup=warmup, lr=3e-3)
    assert history.lr == [3e-3 * warmup_cosine(step, steps, warmup) for step in range(1, steps + 1)]
    assert max(history.lr) == 3e-3


def test_beta_1_is_left_alone(monkeypatch):
    betas = []

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            betas.extend(group["betas"] for group in self.param_groups)
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    fit(small_model(), problem(), squared_error, steps=10)
    assert betas == [(0.9, 0.999)] * 20


# --------------------------------------------------------------------------------------------------- weight decay


def spared(model):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decaying, rest = parameter_groups(model, 0.3)
    assert (decaying["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    assert len(decaying["params"]) + len(rest["params"]) == sum(p.requires_grad for p in model.parameters())
    return {names[id(parameter)] for parameter in rest["params"]}


def test_what_is_spared_weight_decay():
    model = vit_mini(image_size=8, patch=4, classes=3, depth=1)
    one_axis = {name for name, parameter in model.named_parameters() if parameter.ndim == 1}
    assert {"class_token", "embed.project.bias", "norm.weight", "head.bias"} <= one_axis
    assert spared(model) == one_axis | {"positions"}
    assert spared(vit_mini(image_size=8, patch=4, classes=3, depth=0, positions="sincos", readout="mean")) == {
        "embed.project.bias",
        "norm.weight",
        "norm.bias",
        "head.bias",
    }
    assert "queries" in spared(ObjectQueries(8, heads=2, queries=3))
    assert {"row_table", "column_table"} <= spared(RelativeAttention(8, heads=2, height=3, width=5))
    assert spared(nn.MultiheadAttention(8, 2)) == {"in_proj_bias", "out_proj.bias"}
    assert spared(nn.LayerNorm((3, 5))) == {"weight", "bias"}
    assert spared(nn.Embedding(3, 5)) == {"weight"}
    assert spared(nn.BatchNorm2d(3)) == {"weight", "bias"}
    assert spared(nn.LSTM(3, 5)) == {"bias_ih_l0", "bias_hh_l0"}


def test_a_weight_that_two_layers_share_decays_once():
    model = nn.ModuleDict({"embed": nn.Embedding(7, 5), "head": nn.Linear(5, 7, bias=False)})
    model["embed"].weight = model["head"].weight
    assert spared(model) == set()


def test_only_weights_decay_and_only_those_with_a_gradient():
    model = nn.ModuleDict({"used": nn.Linear(5, 1), "norm": nn.LayerNorm(5), "unused": nn.Linear(5, 1)})
    nn.init.ones_(model["used"].bias)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    still = lambda m, x, y: 0 * m["used"](m["norm"](x)).sum()  # the gradient is 0: whatever moves is weight decay
    fit(model, problem(), still, steps=3, lr=0.1, weight_decay=0.5, warmup=0.0)
    after = dict(model.named_parameters())
    shrunk = np.prod([1 - 0.1 * 0.5 * warmup_cosine(step, 3, 0.0) for step in (1, 2, 3)])
    assert_close(after["used.weight"], shrunk * before["used.weight"])
    for name in before.keys() - {"used.weight"}:
        assert_close(after[name], before[name], rtol=0, atol=0)


# ---------------------------------------------------------------------------------------------- train and eval mode


def with_batch_norm():
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 1))


def modes(model):
    return [module.training for module in model.modules()]


def test_a_frozen_batch_norm_stays_frozen():
    model = with_batch_norm()
    model[1].eval()
    seen = []
    fit(
        model,
        problem(),
        squared_error,
        epochs=2,
        validate=lambda m: {"n": seen.append(modes(m))},
        on_step=lambda _, m: seen.append(modes(m)),
    )
    training, validating = [True, True, False, True, True], [False] * 5
    assert seen == [training, validating] * 2
    assert_close(model[1].running_mean, torch.zeros(8), rtol=0, atol=0)
    assert modes(model) == [False] * 5


def test_a_model_in_eval_mode_is_trained_in_train_mode():
    model, seen = with_batch_norm().eval(), []
    for _ in range(2):
        fit(model, problem(), squared_error, steps=1, on_step=lambda _, m: seen.append(modes(m)))
    assert seen == [[True] * 5] * 2


def test_a_head_alone_may_be_in_train_mode():
    model, seen = with_batch_norm().eval(), []
    model[3].train()
    fit(model, problem(), squared_error, steps=1, on_step=lambda _, m: seen.append(modes(m)))
    assert seen == [[False, False, False, False, True]]


@pytest.mark.parametrize("fails", [False, True])
def test_evaluate_leaves_every_module_in_its_mode(fails):
    model, seen = with_batch_norm(), []
    model[1].eval()

    def metric(m, x, y):
        seen.append(modes(m))
        return {"wide" if fails else "error": m(x) if fails else squared_error(m, x, y)}

    try:
        evaluate(model, problem(), metric)
    except ValueError:
        assert fails
    assert seen == [[False] * 5]
    assert modes(model) == [True, True, False, True, True]


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


@pytest.fixture(scope="module")
def notebook():
    """A client of a kernel."""
    manager = pytest.importorskip("jupyter_client.manager")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ATTN_PROGRESS", raising=False)
        kernel, client = manager.start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    kernel.shutdown_kernel(now=True)


@pytest.mark.parametrize("allow_stdin", [False, True])
def test_a_notebook_knows_whether_someone_runs_it_by_hand(notebook, allow_stdin):
    """Tools that execute notebooks send allow_stdin=False with each cell, front ends with a person send True."""
    printed = []
    notebook.execute_interactive(
        "from attn_utils.train import person_is_watching; print(person_is_watching())",
        allow_stdin=allow_stdin,
        timeout=60,
        output_hook=lambda message: printed.append(message["content"].get("text", "")),
    )
    assert "".join(printed).strip() == str(allow_stdin)


# ------------------------------------------------------------------------------------------------------- evaluate


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
    for batch_size in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"batch_size must be a whole number of at least 1, got {batch_size}"):
            evaluate(small_model(), problem(), lambda m, x, y: {}, batch_size=batch_size)


def test_evaluate_takes_a_model_without_parameters():
    metric = lambda m, x: {"largest": m(x).amax(dim=1)}
    assert evaluate(nn.Identity(), (torch.eye(5),), metric, batch_size=np.int64(2)) == {"largest": 1.0}
    model = nn.Module()
    model.register_buffer("table", torch.ones(3))
    assert evaluate(model, (torch.eye(5),), lambda m, x: {"sum": m.table.sum()}) == {"sum": 3.0}
