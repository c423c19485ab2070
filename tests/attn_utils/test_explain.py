"""How many keys a query looks at; rollout, a distribution over the input tokens; relevance, rule by rule as its paper has it."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_utils.explain import cross_relevance, effective_keys, gradient_times_attention, relevance, rollout
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


def test_gradient_times_attention_solved_by_hand():
    A = torch.tensor([[[[0.25, 0.75]], [[0.5, 0.5]]]])  # two heads
    gradient = torch.tensor([[[[4.0, -1.0]], [[2.0, 6.0]]]])
    assert_close(gradient_times_attention({"l": A}, {"l": gradient})["l"], torch.tensor([[[1.0, 1.5]]]))  # (1 + 1)/2, (0 + 3)/2
    apart = gradient_times_attention({"l": A}, {"l": gradient}, per_head=True)["l"]
    assert_close(apart, torch.tensor([[[[1.0, 0.0]], [[1.0, 3.0]]]]))


def test_relevance_solved_by_hand():
    """Layer 1: token 1 looks at token 0 with ½. Layer 2: token 1 looks at itself with ¼."""
    first = torch.tensor([[[[0.0, 0.0], [0.5, 0.0]]]])
    second = torch.tensor([[[[0.0, 0.0], [0.0, 0.25]]]])
    ones = dict.fromkeys("ab", torch.ones(1, 1, 2, 2))
    # I, then [[1, 0], [½, 1]], then plus ¼ of its row 1 in row 1
    assert_close(relevance({"a": first, "b": second}, ones), torch.tensor([[[1.0, 0.0], [0.625, 1.25]]]))
    assert_close(relevance({"b": second, "a": first}, ones), torch.tensor([[[1.0, 0.0], [0.5, 1.25]]]))


def test_cross_relevance_solved_by_hand():
    """One query asks two places, of which the second has looked at the first."""
    image = torch.tensor([[[[0.0, 0.0], [0.5, 0.0]]]])  # (1, 1, 2, 2)
    asks = torch.tensor([[[[0.2, 0.8]]]])  # (1, 1, 1, 2)
    R = cross_relevance(
        {"encoder": image, "cross": asks},
        {"encoder": torch.ones_like(image), "cross": torch.ones_like(asks)},
        {"encoder": ("image", "image"), "cross": ("query", "image")},
    )
    # R - I of the picture is [[0, 0], [½, 0]], its rows normalised [[0, 0], [1, 0]]: (0.2, 0.8) [[1, 0], [1, 1]]
    assert_close(R["query", "image"], torch.tensor([[[1.0, 0.8]]]))
    assert_close(R["image", "image"], torch.tensor([[[1.0, 0.0], [0.5, 1.0]]]))
    assert_close(R["query", "query"], torch.ones(1, 1, 1))
    assert_close(R["image", "query"], torch.zeros(1, 2, 1))


def test_cross_relevance_follows_the_rules_of_the_paper_one_by_one():
    """Two streams that ask each other and themselves; the paper's equations 5 to 11 in NumPy, a picture at a time."""
    torch.manual_seed(0)
    sizes, order = {"a": 3, "b": 5}, [("a", "a"), ("b", "b"), ("a", "b"), ("b", "a"), ("a", "a"), ("a", "b")]
    maps = {str(i): torch.rand(B, HEADS, sizes[s], sizes[t], dtype=torch.float64) for i, (s, t) in enumerate(order)}
    gradients = {name: torch.randn_like(weights) for name, weights in maps.items()}
    R = cross_relevance(maps, gradients, dict(zip(maps, order)))

    def bar(R):
        hat = R - np.eye(len(R))
        return np.divide(hat, hat.sum(1, keepdims=True), where=hat.sum(1, keepdims=True) > 0, out=np.zeros_like(hat)) + np.eye(
            len(R)
        )

    for sample in range(B):
        own = {(s, t): np.eye(sizes[s]) if s == t else np.zeros((sizes[s], sizes[t])) for s in sizes for t in sizes}
        for name, (s, t) in zip(maps, order):
            A = np.maximum(0, (maps[name] * gradients[name])[sample].numpy()).mean(0)  # equation 5
            if s == t:
                other = "b" if s == "a" else "a"
                own[s, s], own[s, other] = own[s, s] + A @ own[s, s], own[s, other] + A @ own[s, other]  # 6, 7
            else:
                added = bar(own[s, s]).T @ A @ bar(own[t, t])  # 8 to 10
                own[s, s], own[s, t] = own[s, s] + A @ own[t, s], own[s, t] + added  # 11
        for pair, expected in own.items():
            np.testing.assert_allclose(R[pair][sample].numpy(), expected, rtol=1e-12)


def test_one_stream_is_plain_relevance_and_nothing_is_changed():
    maps = random_maps()
    gradients = {name: torch.randn_like(weights) for name, weights in maps.items()}
    before = {name: weights.clone() for name, weights in maps.items()}
    R = torch.eye(N, dtype=torch.float64).expand(B, N, N)
    for name in maps:
        R = R + gradient_times_attention(maps, gradients)[name] @ R
    assert_close(relevance(maps, gradients), R)
    assert all(torch.equal(maps[name], before[name]) for name in maps)


def test_relevance_rejections():
    A = torch.ones(1, 2, 3, 4)
    with pytest.raises(ValueError, match="maps is empty"):
        gradient_times_attention({}, {})
    with pytest.raises(ValueError, match=r"gradients must be of the same layers as maps, got \['b'\] for \['a'\]"):
        gradient_times_attention({"a": A}, {"b": A})
    with pytest.raises(ValueError, match=r"got \(1, 2, 3, 4\) and \(1, 2, 3, 3\) for 'a'"):
        gradient_times_attention({"a": A}, {"a": A[..., :3]})
    with pytest.raises(ValueError, match="'tokens' cannot have 3 tokens and 4 in 'a'"):
        relevance({"a": A}, {"a": A})
    with pytest.raises(ValueError, match="streams does not say who attends to whom in 'a'"):
        cross_relevance({"a": A}, {"a": A}, {})
