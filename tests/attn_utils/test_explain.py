"""How many keys a query looks at. Rollout: a distribution over the input tokens, of nothing but a stack of self-attention maps."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_utils.explain import effective_keys, rollout
from attn_utils.record import record_attention
from attn_utils.vit import ViT

B, HEADS, N = 2, 3, 5


def random_maps(layers=3, dtype=torch.float64):
    torch.manual_seed(0)
    scores = torch.randn(layers, B, HEADS, N, N, dtype=torch.float64)
    return {f"layer {i}": weights for i, weights in enumerate(scores.softmax(dim=-1).to(dtype))}


def test_solved_by_hand():
    first = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])  # every token looks at the other one
    second = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])  # every token looks at token 0
    # ½(I + A) twice: [[1, 0], [½, ½]] @ [[½, ½], [½, ½]]
    assert_close(rollout({"first": first, "second": second}), torch.tensor([[[0.5, 0.5], [0.5, 0.5]]]))
    assert_close(rollout({"second": second, "first": first}), torch.tensor([[[0.75, 0.25], [0.75, 0.25]]]))
    assert_close(rollout({"first": first}, residual=0.0), first[:, 0])
    assert_close(rollout({"first": first}, residual=1.0), torch.eye(2)[None])


def test_heads_are_averaged():
    heads = torch.tensor(
        [[[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]]
    )  # token 1 looks at 0 in one head, at 1 in the other
    assert_close(rollout({"layer": heads}, residual=0.0), torch.tensor([[[0.0, 1.0], [0.5, 0.5]]]))


@pytest.mark.parametrize("residual", [0.0, 0.3, 0.5, 1.0])
def test_rows_sum_to_one(residual):
    total = rollout(random_maps(), residual=residual)
    assert_close(total.sum(dim=-1), torch.ones(B, N, dtype=torch.float64))
    if residual < 1:
        assert (total.sum(dim=-2) - 1).abs().max() > 1e-3  # over the inputs, not over the outputs


def test_rows_of_a_recorded_model_sum_to_one():
    torch.manual_seed(0)
    model = ViT(image_size=(6, 10), patch=2, classes=7, dim=12, depth=3, heads=3, readout="mean").double().eval()
    with record_attention(model) as maps:
        model(torch.randn(B, 3, 6, 10, dtype=torch.float64))
    total = rollout(maps)
    assert total.shape == (B, 15, 15)
    assert_close(total.sum(dim=-1), torch.ones(B, 15, dtype=torch.float64))


def test_each_layer_is_normalised_row_by_row():
    loose = {name: weights * torch.rand(N, 1, dtype=torch.float64).add(0.5) for name, weights in random_maps(1).items()}
    mixed = 0.5 * torch.eye(N, dtype=torch.float64) + 0.5 * loose["layer 0"].mean(dim=1)
    expected = torch.stack([torch.stack([row / row.sum() for row in sample]) for sample in mixed])
    assert_close(rollout(loose), expected)


def test_a_token_that_may_attend_to_nothing():
    maps = random_maps(2)
    for weights in maps.values():
        weights[:, :, 1] = 0.0
    kept = rollout(maps)
    assert_close(kept.sum(dim=-1), torch.ones(B, N, dtype=torch.float64))
    assert_close(kept[:, 1], torch.eye(N, dtype=torch.float64)[1].expand(B, N))  # it only keeps what it is
    alone = rollout(maps, residual=0.0)
    assert_close(alone[:, 1], torch.zeros(B, N, dtype=torch.float64))  # and without a skip connection it is nothing
    lost = maps["layer 1"].mean(dim=1)[..., 1]  # (B, N): the share that each token takes from it
    expected = torch.where(torch.arange(N) == 1, 0.0, 1 - lost)
    assert_close(alone.sum(dim=-1), expected)


def test_half_precision_is_computed_in_float32():
    exact = rollout(random_maps(12))
    for dtype in (torch.bfloat16, torch.float16):
        total = rollout(random_maps(12, dtype))
        assert total.dtype == torch.float32
        assert_close(total.sum(dim=-1), torch.ones(B, N))
        assert_close(total.double(), exact, rtol=0, atol=2e-3)


def test_maps_are_left_as_they_are():
    maps, before = random_maps(), random_maps()
    rollout(maps)
    for name in maps:
        assert torch.equal(maps[name], before[name])


@pytest.mark.parametrize(
    "shape",
    [(1, 2, 3, 5), (2, 3, 3), (3, 3, 3), (2, 2, 4, 3, 3), (1, 2, 2, 3, 3), (3, 3), (3,), ()],
    ids=["cross", "three axes", "cube", "windows", "one sample in windows", "matrix", "vector", "number"],
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"maps of one size \(B, heads, N, N\), got \([0-9, ]*\) for 'some'"):
        rollout({"some": torch.ones(shape)})


def test_maps_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match=r"got \(1, 2, 4, 4\) for 'b'"):
        rollout({"a": torch.ones(1, 2, 3, 3), "b": torch.ones(1, 2, 4, 4)})
    with pytest.raises(ValueError, match=r"got \(2, 2, 3, 3\) for 'b'"):
        rollout({"a": torch.ones(1, 2, 3, 3), "b": torch.ones(2, 2, 3, 3)})
    assert rollout({"a": torch.ones(1, 2, 3, 3), "b": torch.ones(1, 7, 3, 3)}).shape == (1, 3, 3)  # heads may differ


def test_rejections():
    with pytest.raises(ValueError, match="maps is empty"):
        rollout({})
    for residual in (2, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"residual must be in \[0, 1\], got"):
            rollout({"a": torch.ones(1, 1, 2, 2)}, residual=residual)


def test_effective_keys_solved_by_hand():
    rows = np.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0]])
    expected = np.array([1.0, 4.0, 2**1.5, 0.0])  # the last query may attend to nothing
    np.testing.assert_allclose(effective_keys(rows), expected, rtol=1e-14)
    np.testing.assert_allclose(effective_keys(rows.reshape(2, 2, 4)), expected.reshape(2, 2), rtol=1e-14)
    assert_close(effective_keys(torch.from_numpy(rows)), torch.from_numpy(expected))


def test_effective_keys_give_back_what_they_got():
    weights = torch.rand(2, 3, 5, 7).softmax(dim=-1)
    keys = effective_keys(weights)
    assert isinstance(keys, torch.Tensor) and keys.shape == (2, 3, 5)
    of_array = effective_keys(weights.numpy())
    assert isinstance(of_array, np.ndarray) and of_array.dtype == np.float32
    assert_close(torch.from_numpy(of_array), keys)
    one = effective_keys(np.broadcast_to(np.float64(0.125), 8))  # read-only
    np.testing.assert_allclose(one, 8.0, rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_effective_keys_of_half_precision_are_computed_in_float32(dtype):
    torch.manual_seed(0)
    exact = torch.randn(11, 197, dtype=torch.float64).softmax(dim=-1)
    keys = effective_keys(exact.to(dtype))
    assert keys.dtype == torch.float32
    assert_close(keys.double(), effective_keys(exact), rtol=0.01, atol=0)


@pytest.mark.parametrize("weights", [[[0.5, 0.6]], [[1.5, -0.5]], [[3.0, -2.0]], [[float("nan"), 1.0]], [[0.3, 0.3]]])
def test_scores_have_no_effective_keys(weights):
    with pytest.raises(ValueError, match="must sum to 1 over the last axis, or to 0: are these scores?"):
        effective_keys(np.array(weights))
