"""What is left out is what should be: the sums equal their weights written out, and each cheap attention is exact where it leaves nothing out."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attn_utils import contracts
from attn_utils.attention import attention
from attn_utils.efficient import (
    elu_features,
    gaussian_directions,
    linear_attention,
    match_tokens,
    merged_attention,
    pool_tokens,
    pooled_attention,
    projected_attention,
    random_feature_attention,
)

H, W, d, d_v = 4, 6, 8, 5
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def inputs(N=H * W, M=H * W, lead=(2, 3), size=1.0):
    q, k, v = (torch.randn(*lead, tokens, width, dtype=torch.float64) for tokens, width in ((N, d), (M, d), (M, d_v)))
    return size * q, size * k, v


# ---------------------------------------------------------------------------------------------------------- linear


def test_linear_attention_equals_its_weights_written_out():
    q, k, v = inputs(7, 11)
    weights = (F.elu(q) + 1) @ (F.elu(k) + 1).mT
    weights = weights / weights.sum(dim=-1, keepdim=True)
    assert_close(linear_attention(q, k, v), weights @ v, **TIGHT)


def test_linear_attention_by_hand():
    """Features 1 and 3 of the keys, 2 of the query: weights 1/4 and 3/4."""
    q, k, v = (torch.tensor(rows, dtype=torch.float64) for rows in ([[1.0]], [[0.0], [2.0]], [[4.0], [8.0]]))
    assert_close(linear_attention(q, k, v), torch.tensor([[7.0]], dtype=torch.float64), **TIGHT)


@pytest.mark.parametrize(
    "attend", [linear_attention, lambda *a, **o: random_feature_attention(*a, gaussian_directions(16, d), **o)]
)
def test_masked_keys_are_as_if_they_were_not_there(attend):
    q, k, v = inputs(7, 11, lead=(2,))
    seen = torch.tensor([True] * 6 + [False] * 5)
    torch.manual_seed(1)
    masked = attend(q, k, v, key_mask=seen)
    torch.manual_seed(1)
    assert_close(masked, attend(q, k[:, :6], v[:, :6]), **TIGHT)
    assert not attend(q, k, v, key_mask=~seen & seen).any()


def test_features_can_be_chosen():
    q, k, v = inputs(7, 11)
    mean = v.mean(dim=-2, keepdim=True).expand(2, 3, 7, d_v)
    assert_close(linear_attention(q, k, v, features=torch.ones_like), mean, **TIGHT)


def test_elu_features_are_positive():
    assert_close(elu_features(torch.tensor([0.0, 2.0, -50.0])), torch.tensor([1.0, 3.0, 0.0]))
    x = 10 * torch.randn(1000, dtype=torch.float64)
    assert_close(elu_features(x), F.elu(x) + 1, **TIGHT)
    assert (elu_features(10 * torch.randn(1000)) > 0).all()


@pytest.mark.parametrize("attend", [linear_attention, lambda *qkv: random_feature_attention(*qkv, gaussian_directions(16, d))])
def test_gradients_and_contracts_that_need_no_softmax(attend):
    q, k, v = (x.requires_grad_() for x in inputs(5, 7, lead=(2,)))

    def again(*qkv):
        torch.manual_seed(2)
        return attend(*qkv)

    assert torch.autograd.gradcheck(again, (q, k, v))

    def unmasked(q, k, v, mask):
        torch.manual_seed(2)
        return attend(q, k, v) if q.shape[-1] == d else attend(*(F.pad(x, (0, d - x.shape[-1])) for x in (q, k)), v)

    with_masks = {"masked is 0", "nothing to attend to"}
    needs_softmax = {"scale", "gradients"}
    report = contracts.check(unmasked, skip=tuple(with_masks | needs_softmax))
    assert report.passed, str(report)


# --------------------------------------------------------------------------------------------------- random features


def test_directions_are_normal_and_at_right_angles():
    directions = gaussian_directions(5 * d, d, dtype=torch.float64)
    first = F.normalize(directions[:d], dim=1)
    assert_close(first @ first.T, torch.eye(d, dtype=torch.float64), rtol=0, atol=1e-12)
    many = gaussian_directions(8000, d, dtype=torch.float64)
    assert_close(many.T @ many / 8000, torch.eye(d, dtype=torch.float64), rtol=0, atol=0.05)
    assert_close(many.mean(dim=0), torch.zeros(d, dtype=torch.float64), rtol=0, atol=0.05)
    assert gaussian_directions(5, d).shape == (5, d)


def test_directions_follow_their_generator():
    draw = lambda seed, **options: gaussian_directions(9, d, generator=torch.Generator().manual_seed(seed), **options)
    assert_close(draw(3), draw(3), rtol=0, atol=0)
    assert (draw(3) - draw(4)).abs().max() > 0.1
    independent = F.normalize(draw(3, orthogonal=False)[:2], dim=1)
    assert abs(independent[0] @ independent[1]) > 1e-3


def test_random_features_equal_their_weights_written_out():
    q, k, v = inputs(7, 11)
    directions, scale = gaussian_directions(16, d, dtype=torch.float64), 0.3
    phi = lambda x: (scale**0.5 * x @ directions.T - scale * x.square().sum(dim=-1, keepdim=True) / 2).exp()
    weights = phi(q) @ phi(k).mT
    weights = weights / weights.sum(dim=-1, keepdim=True)
    assert_close(random_feature_attention(q, k, v, directions, scale=scale), weights @ v, rtol=1e-10, atol=1e-10)


def test_random_features_tend_to_the_softmax():
    q, k, v = inputs(40, 50, lead=(1,), size=0.5)
    exact, mean = attention(q, k, v)[0], v.mean(dim=-2, keepdim=True)
    rms = lambda x: x.square().mean().sqrt().item()
    error = {R: rms(random_feature_attention(q, k, v, gaussian_directions(R, d)) - exact) / rms(mean - exact) for R in (64, 8192)}
    assert error[8192] < 0.15
    assert error[8192] < 0.3 * error[64]


def test_sharp_scores_overflow_nothing():
    q, k, v = (x.float() for x in inputs(7, 11, size=100.0))
    out = random_feature_attention(q, k, v, gaussian_directions(16, d))
    assert out.isfinite().all()
    assert (out.amax(dim=-2) <= v.amax(dim=-2) + 1e-4).all()


def test_random_features_reject():
    q, k, v = inputs(7, 11)
    with pytest.raises(ValueError, match=r"directions must have shape \(R, 8\), got \(16, 5\)"):
        random_feature_attention(q, k, v, gaussian_directions(16, 5))
    with pytest.raises(ValueError, match="scale must be positive, got -1"):
        random_feature_attention(q, k, v, gaussian_directions(16, d), scale=-1)
    with pytest.raises(TypeError, match="mask must be boolean"):
        linear_attention(q, k, v, key_mask=torch.ones(11))


# ------------------------------------------------------------------------------------------------------ fewer keys


def test_pooling_by_hand():
    x = torch.arange(24.0).reshape(H * W, 1)  # a grid of 4 rows and 6 columns
    assert pool_tokens(x, H, W, 2).flatten().tolist() == [3.5, 5.5, 7.5, 15.5, 17.5, 19.5]
    assert_close(pool_tokens(x, H, W, 1), x)


def test_pooled_attention_is_attention_to_the_means():
    q, k, v = inputs()
    means = pool_tokens(k, H, W, 2), pool_tokens(v, H, W, 2)
    assert means[0].shape == (2, 3, 6, d)
    assert_close(pooled_attention(q, k, v, H, W, 2), attention(q, *means)[0], **TIGHT)
    assert_close(pooled_attention(q, k, v, H, W, 1, scale=0.7), attention(q, k, v, scale=0.7)[0], **TIGHT)


def test_pooling_is_a_projection():
    q, k, v = inputs()
    E = pool_tokens(torch.eye(H * W, dtype=torch.float64), H, W, 2)
    assert_close(projected_attention(q, k, v, E), pooled_attention(q, k, v, H, W, 2), **TIGHT)
    assert_close(projected_attention(q, k, v, torch.eye(H * W).double(), scale=0.7), attention(q, k, v, scale=0.7)[0], **TIGHT)


def test_fewer_keys_reject():
    q, k, v = inputs()
    with pytest.raises(ValueError, match="x must hold 4 × 4 = 16 tokens"):
        pooled_attention(q, k, v, 4, 4, 2)
    with pytest.raises(ValueError, match="side must divide height and width, got side=4 for 4 × 6"):
        pooled_attention(q, k, v, H, W, 4)
    with pytest.raises(ValueError, match=r"E must have shape \(R, 24\), got \(6, 23\)"):
        projected_attention(q, k, v, torch.ones(6, 23))


# ----------------------------------------------------------------------------------------------------------- merging

EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def test_a_match_by_hand():
    """Tokens 0, 2, 4 choose among 1, 3: 0 and 4 point as 1 does, 2 nearly as 3; two may go."""
    x = torch.tensor([EAST, EAST, [0.1, 1.0], NORTH, EAST])
    merge = match_tokens(x, 2)
    assert merge.where.tolist() == [1, 1, 0, 2, 1]
    assert merge.sizes.tolist() == [1, 3, 1]
    values = torch.tensor([[1.0], [2.0], [3.0], [4.0], [6.0]])
    assert merge.mean(values).flatten().tolist() == [3.0, 3.0, 4.0]
    assert merge.back(merge.mean(values)).flatten().tolist() == [3.0, 3.0, 3.0, 4.0, 3.0]


@pytest.mark.parametrize("N", [2, 7, 24])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_every_token_goes_somewhere(N, share):
    x, r = torch.randn(2, 3, N, d), int(share * N)
    merge = match_tokens(x, r)
    assert merge.sizes.shape == (2, 3, N - r)
    assert (merge.sizes.sum(dim=-1) == N).all()
    assert (merge.sizes >= 1).all()
    for where, sizes in zip(merge.where.flatten(0, 1), merge.sizes.flatten(0, 1), strict=True):
        assert_close(where.bincount(minlength=N - r), sizes)


def test_a_match_equals_a_loop():
    x, r = torch.randn(11, d), 3
    unit = F.normalize(x, dim=-1)
    best = {a: max(range(1, 11, 2), key=lambda b: (unit[a] @ unit[b]).item()) for a in range(0, 11, 2)}
    gone = sorted(best, key=lambda a: -(unit[a] @ unit[best[a]]).item())[:r]
    order = [a for a in range(0, 11, 2) if a not in gone] + list(range(1, 11, 2))
    assert match_tokens(x, r).where.tolist() == [order.index(best[n] if n in gone else n) for n in range(11)]


def test_copies_are_merged_without_a_loss():
    """Where each token stands twice, merging half of them changes nothing: a merged one counts twice."""
    q, k, v = (x.repeat_interleave(2, dim=-2) for x in inputs(9, 9))
    assert_close(merged_attention(q, k, v, 9), attention(q, k, v)[0], **TIGHT)
    q, k, v = inputs()
    assert_close(merged_attention(q, k, v, 0, scale=0.7), attention(q, k, v, scale=0.7)[0], **TIGHT)


def test_a_merged_token_counts_as_those_it_holds():
    k = torch.tensor([NORTH, EAST, EAST, EAST], dtype=torch.float64)
    v = torch.tensor([[0.0], [1.0], [1.0], [1.0]], dtype=torch.float64)
    q = torch.zeros(4, 2, dtype=torch.float64)  # all weights alike
    assert_close(merged_attention(q, k, v, 1), torch.full((4, 1), 0.75, dtype=torch.float64), **TIGHT)


def test_merging_is_differentiable():
    q, k, v = (x.requires_grad_() for x in inputs(6, 6, lead=()))
    assert torch.autograd.gradcheck(lambda *qkv: merged_attention(*qkv, 2), (q, k, v))


@pytest.mark.parametrize(
    ("x", "r", "text"),
    [
        (torch.ones(7, d), 5, "r must be at most 4 of 7 tokens, got 5"),
        (torch.ones(7, d), -1, "r must be an integer of at least 0, got -1"),
        (torch.ones(1, d), 0, r"x must hold two tokens or more, got shape \(1, 8\)"),
    ],
)
def test_matching_rejects(x, r, text):
    with pytest.raises(ValueError, match=text):
        match_tokens(x, r)


def test_merging_needs_as_many_queries_as_keys():
    with pytest.raises(ValueError, match="as many queries as keys, got 7 and 11"):
        merged_attention(*inputs(7, 11), 2)
