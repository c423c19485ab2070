"""The Triton kernels equal attention in float64, forward and backward, touch nothing but their own, and give the same bits again.

With a GPU they run there, elsewhere in Triton's interpreter, which has to be chosen before Triton is first imported.
"""

import importlib.util
import os

import pytest
import torch
from torch.testing import assert_close

from attn_utils import contracts, masks
from attn_utils.attention import attention

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed (pip install triton, on Linux): its kernels are not tested", allow_module_level=True)
CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ["TRITON_INTERPRET"] = "1"

from attn_utils.kernels import flash, tiles  # noqa: E402
from attn_utils.kernels.flash import Tile, flash_attention  # noqa: E402

DEVICE = "cuda" if CUDA else "cpu"
if not CUDA and not flash.INTERPRETED:
    pytest.skip("Triton was imported before its interpreter could be chosen", allow_module_level=True)
DTYPES = [torch.float16, torch.float32, *([torch.bfloat16] if CUDA else [])]  # the interpreter multiplies bfloat16 wrongly
EXACT = torch.float32 if CUDA else torch.float64

CASES = {  # (N, M, d, what flash_attention is told, the same as a mask)
    "a few": (5, 7, 16, {}, None),
    "one": (1, 1, 16, {}, None),
    "whole tiles": (256, 128, 32, {}, None),
    "no whole tiles": (131, 201, 64, {}, None),
    "a narrow head": (67, 41, 4, {}, None),
    "no power of two": (70, 150, 40, {}, None),
    "a wide head": (67, 150, 128, {}, None),
    "scale": (37, 70, 16, {"scale": 0.7}, None),
    "negative scale": (37, 70, 16, {"scale": -0.3}, None),
    "no scale": (37, 70, 16, {"scale": 0.0}, None),
    "causal, a few": (5, 5, 16, {"causal": True}, masks.causal(5)),
    "causal, whole tiles": (256, 256, 64, {"causal": True}, masks.causal(256)),
    "causal": (201, 201, 128, {"causal": True}, masks.causal(201)),
    "causal with a past": (67, 201, 24, {"causal": True}, masks.causal(67, 201)),
    "causal, one query": (1, 201, 16, {"causal": True}, masks.causal(1, 201)),
    "window": (271, 271, 32, {"window": 9}, masks.window_1d(271, 9)),
    "window, itself": (131, 131, 16, {"window": 0}, masks.window_1d(131, 0)),
    "window, all": (67, 67, 16, {"window": 90}, masks.window_1d(67, 90)),
    "window, causal": (201, 201, 64, {"window": 70, "causal": True}, masks.window_1d(201, 70) & masks.causal(201)),
    "square": (272, 272, 64, {"window": (17, 16, 2)}, masks.window_2d(17, 16, 2)),
    "square on wide rows": (201, 201, 16, {"window": (3, 67, 1)}, masks.window_2d(3, 67, 1)),
    "square on narrow rows": (201, 201, 128, {"window": (67, 3, 4)}, masks.window_2d(67, 3, 4)),
    "square, causal": (132, 132, 24, {"window": (11, 12, 3), "causal": True}, masks.window_2d(11, 12, 3) & masks.causal(132)),
}
SOME = ["no whole tiles", "no power of two", "causal with a past", "window", "square"]  # the interpreter is slow


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def cut(monkeypatch):
    """Set how a program is cut."""

    def choose(TILE_N, TILE_M):
        monkeypatch.setattr(flash, "tile_for", lambda *args, **options: Tile(TILE_N, TILE_M, 4, 1))

    return choose


def inputs(N, M, d, dtype, lead=(1,), size=1.0):
    """q, k, v, and the gradient of the output: random, on the device."""
    q, k, v, d_out = (torch.randn(*lead, tokens, d, device=DEVICE) for tokens in (N, M, M, N))
    return [x.to(dtype) for x in (size * q, size * k, v, d_out)]


def with_gradients(function, q, k, v, d_out):
    """{what: tensor} of the output and the three gradients."""
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    out = function(q, k, v)
    gradients = torch.autograd.grad(out, (q, k, v), d_out)
    return dict(zip(("out", "dq", "dk", "dv"), (out.detach(), *gradients)))


def true(q, k, v, d_out, mask=None, scale=None):
    """The same in float64, every step spelt out."""
    q, k, v, d_out = (x.double() for x in (q, k, v, d_out))
    return with_gradients(lambda *qkv: attention(*qkv, mask=mask, scale=scale)[0], q, k, v, d_out)


def terms(q, k, v, d_out, mask=None):
    """How large what is summed is, and how much a score's own rounding moves it: for huge scores errors are to be held against that.

    Scores are computed once more in the backward pass, where another order of their sums may round them otherwise.
    """
    q, k, v, d_out = (x.double() for x in (q, k, v, d_out))
    out, weights = attention(q, k, v, mask=mask)
    d_scores = weights * ((d_out @ v.mT).abs() + (out * d_out).sum(dim=-1, keepdim=True).abs()) * q.shape[-1] ** -0.5
    sizes = {"out": weights @ v.abs(), "dq": d_scores @ k.abs(), "dk": d_scores.mT @ q.abs(), "dv": weights.mT @ d_out.abs()}
    largest_score = (q @ k.mT).abs().max() * q.shape[-1] ** -0.5
    return {name: (1 + largest_score) * size for name, size in sizes.items()}


def assert_as_good_as_torch(q, k, v, d_out, allowed, cancelling=False, **told):
    """No more than twice as far from float64 as PyTorch is in the same precision, the output and each gradient."""
    scale = told.get("scale")
    exact = true(q, k, v, d_out, allowed, scale)
    ours = with_gradients(lambda *qkv: flash_attention(*qkv, **told), q, k, v, d_out)
    torchs = with_gradients(lambda *qkv: attention(*qkv, mask=allowed, scale=scale)[0], q, k, v, d_out)
    rounding = max(torch.finfo(q.dtype).eps / 4, 2**-22)  # where PyTorch happens to be exact; a GPU's exp2 is right to 22 bits
    sizes = terms(q, k, v, d_out, allowed) if cancelling else exact
    for name in exact:
        assert ours[name].dtype == q.dtype
        assert ours[name].isfinite().all(), name
        off, torch_off = ((x[name].double() - exact[name]).norm() for x in (ours, torchs))
        assert off <= 2 * torch_off + rounding * sizes[name].norm(), f"{name}: {off:.2g}, PyTorch {torch_off:.2g}"


# -------------------------------------------------------------------------------------------------------- what they compute


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES if CUDA else SOME)
def test_error_is_at_most_twice_that_of_torch(case, dtype):
    N, M, d, told, mask = CASES[case]
    alone = case in ("one", "window, itself")  # with one key to see, gradients are 0 but for rounding
    assert_as_good_as_torch(*inputs(N, M, d, dtype, lead=(5,) if CUDA else (1,)), mask, cancelling=alone, **told)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.skipif(CUDA, reason="float64 is for the interpreter")
def test_in_float64_it_is_attention(case):
    N, M, d, told, mask = CASES[case]
    given = inputs(N, M, d, torch.float64, lead=())
    assert_close(
        with_gradients(lambda *qkv: flash_attention(*qkv, **told), *given),
        true(*given, mask, told.get("scale")),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("TILE_N, TILE_M", [(32, 128), (128, 32)])
@pytest.mark.parametrize("case", ["no whole tiles", "causal with a past", "window, causal", "square", "square on narrow rows"])
def test_any_cut_gives_the_same(case, TILE_N, TILE_M, cut):
    N, M, d, told, mask = CASES[case]
    given = inputs(N, M, min(d, 32), EXACT, lead=())
    cut(TILE_N, TILE_M)
    tolerance = 1e-5 if CUDA else 1e-12
    assert_close(
        {name: x.double() for name, x in with_gradients(lambda *qkv: flash_attention(*qkv, **told), *given).items()},
        true(*given, mask),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("told, mask", [({}, None), ({"causal": True}, masks.causal(131))], ids=["full", "causal"])
def test_huge_scores(dtype, told, mask):
    """Scores near 10,000: every exponential would overflow without the shift by the largest."""
    assert_as_good_as_torch(*inputs(131, 131, 64, dtype, size=100.0), mask, cancelling=True, **told)


def test_one_large_score_that_comes_last():
    """What was added before has to shrink: a later tile holds a larger score."""
    q, k, v, d_out = inputs(67, 201, 16, torch.float32, size=0.1)
    k[:, 200] = 100 * q.mean(dim=1)
    assert_as_good_as_torch(q, k, v, d_out, None)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_mask_is_read(dtype):
    mask = torch.rand(2, 1, 37, 70, device=DEVICE) < 0.3
    assert_as_good_as_torch(*inputs(37, 70, 32, dtype, lead=(2, 3)), mask, mask=mask)


@pytest.mark.parametrize("shape", [(41,), (37, 1), (37, 41), (2, 1, 37, 41)])
def test_a_mask_broadcasts(shape):
    given = inputs(37, 41, 16, torch.float32, lead=(2, 3))
    mask = torch.rand(shape, device=DEVICE) < 0.6
    assert_as_good_as_torch(*given, mask, mask=mask)
    assert_close(flash_attention(*given[:3], mask=mask.cpu().numpy()), flash_attention(*given[:3], mask=mask))


def test_mask_window_and_causal_allow_what_all_of_them_allow():
    mask = torch.rand(132, 132, device=DEVICE) < 0.6
    all_three = mask & torch.from_numpy(masks.window_2d(11, 12, 3) & masks.causal(132)).to(DEVICE)
    given = inputs(132, 132, 16, torch.float32)
    assert_as_good_as_torch(*given, all_three, mask=mask, window=(11, 12, 3), causal=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_query_that_sees_nothing_gets_nothing_and_disturbs_nobody(dtype):
    q, k, v, d_out = inputs(131, 70, 32, dtype)
    mask = torch.rand(131, 70, device=DEVICE) < 0.3
    mask[[0, 66, 130]] = False
    got = with_gradients(lambda *qkv: flash_attention(*qkv, mask=mask), q, k, v, d_out)
    for name in ("out", "dq"):
        assert_close(got[name][:, [0, 66, 130]], torch.zeros_like(got[name][:, :3]), rtol=0, atol=0)
    assert_as_good_as_torch(q, k, v, d_out, mask, mask=mask)
    nothing = with_gradients(lambda *qkv: flash_attention(*qkv, mask=mask & False), q, k, v, d_out)
    assert_close(nothing, {name: torch.zeros_like(x) for name, x in nothing.items()}, rtol=0, atol=0)


@pytest.mark.parametrize("told", [{"window": 9}, {"window": (16, 25, 1)}, {"causal": True}], ids=str)
def test_tiles_that_nobody_sees_are_not_read(told, cut):
    """NaN in a key or a value spreads to whoever reads it, even with weight 0."""
    cut(32, 32)
    q, k, v, d_out = inputs(400, 400, 16, torch.float32, lead=())
    k[200:], v[200:] = torch.nan, torch.nan
    got = with_gradients(lambda *qkv: flash_attention(*qkv, **told), q, k, v, d_out)
    assert got["out"][:128].isfinite().all()
    assert got["dq"][:128].isfinite().all()
    q[:200], k, v = torch.nan, *inputs(400, 400, 16, torch.float32, lead=())[1:3]
    got = with_gradients(lambda *qkv: flash_attention(*qkv, **told), q, k, v, d_out)
    assert got["dk"][320:].isfinite().all()
    assert got["dv"][320:].isfinite().all()


@pytest.mark.skipif(CUDA, reason="the contracts want float64, which is for the interpreter")
@pytest.mark.parametrize("heads", [1, 2])
def test_it_keeps_the_contracts(heads, cut, monkeypatch):
    cut(4, 4)  # so that few tokens, which the interpreter is quick with, are more than a tile holds
    monkeypatch.setitem(contracts._Subject.cases.__kwdefaults__, "sizes", ((5, 7), (7, 7)) if heads == 1 else ((5, 7),))
    monkeypatch.setattr(contracts, "SIZES", ((7, 7),))  # of the one contract that asks for squares first
    attend = flash_attention if heads == 1 else contracts.with_heads(flash_attention, heads)
    contracts.require(lambda q, k, v, mask: attend(q, k, v, mask=mask), heads=heads)


def test_the_contracts_find_a_wrong_scale(monkeypatch):
    monkeypatch.setitem(contracts._Subject.cases.__kwdefaults__, "sizes", ((5, 7),))
    wrong = lambda q, k, v, mask: flash_attention(*(x.to(DEVICE, EXACT) for x in (q, k, v)), mask=mask, scale=1.0).to(q)
    assert "no scale at all" in contracts.check(wrong, skip=tuple(contracts.CONTRACTS.keys() - {"scale"})).broken["scale"]


# ------------------------------------------------------------------------------------------------------ how they behave


@pytest.mark.parametrize("case", ["no whole tiles", "causal with a past", "square"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_same_bits_again(case, dtype):
    N, M, d, told, _ = CASES[case]
    given = inputs(N, M, d, dtype, lead=(1, 2))
    first, second = (with_gradients(lambda *qkv: flash_attention(*qkv, **told), *given) for _ in range(2))
    assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("case", ["no power of two", "causal with a past", "square"])
def test_nothing_is_written_beside_and_nothing_left_out(case, monkeypatch):
    """Canaries around everything that the kernels write into, and NaN within."""
    N, M, d, told, mask = CASES[case]
    given = inputs(N, M, d, torch.float32)
    exact = true(*given, mask)
    buffers = []

    def guarded(shape, dtype, device):
        size = torch.Size(shape).numel()
        buffer = torch.full((size + 2 * 512,), 7.5, dtype=dtype, device=device)
        buffers.append(buffer)
        buffer[512:-512] = torch.nan
        return buffer[512:-512].view(shape)

    monkeypatch.setattr(flash.torch, "empty_like", lambda x: guarded(x.shape, x.dtype, x.device))
    monkeypatch.setattr(flash.torch, "empty", guarded)
    got = with_gradients(lambda *qkv: flash_attention(*qkv, **told), *given)
    monkeypatch.undo()
    assert len(buffers) == 6  # out, the normaliser, three gradients, delta
    for buffer in buffers:
        assert_close(buffer[:512], torch.full_like(buffer[:512], 7.5), rtol=0, atol=0)
        assert_close(buffer[-512:], torch.full_like(buffer[-512:], 7.5), rtol=0, atol=0)
        assert buffer.isfinite().all()
    assert_close({name: x.double() for name, x in got.items()}, exact, rtol=1e-4, atol=1e-5)


def test_nothing_is_read_beside():
    """The inputs lie in a sea of NaN."""
    given = inputs(67, 101, 24, torch.float32)
    sea = [torch.full((1, len(x[0]) + 9, 40), torch.nan, device=DEVICE) for x in given]
    views = [wide[:, 5 : 5 + x.shape[1], 8:32].copy_(x) for wide, x in zip(sea, given)]
    assert all(wide[:, 5 : 5 + x.shape[1], 8:32].data_ptr() == view.data_ptr() for wide, x, view in zip(sea, given, views))
    for attend in (flash_attention, lambda *qkv: flash_attention(*qkv, causal=True)):
        assert_close(with_gradients(attend, *views), with_gradients(attend, *given), rtol=0, atol=0)


def test_inputs_in_any_layout():
    given = inputs(5, 7, 16, torch.float32, lead=(2, 3))
    straight = with_gradients(flash_attention, *given)
    by_token = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in given]  # as a layer's projection leaves them
    by_column = [x.mT.contiguous().mT for x in given]
    assert not by_token[0].is_contiguous()
    assert by_column[0].stride(-1) != 1
    for layout in (by_token, by_column):
        before = [x.clone() for x in layout]
        assert_close(with_gradients(flash_attention, *layout), straight, rtol=0, atol=0)
        assert_close(before, layout, rtol=0, atol=0)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
def test_any_number_of_leading_axes(lead):
    given = inputs(5, 7, 16, torch.float32, lead=lead)
    got = with_gradients(flash_attention, *given)
    assert got["out"].shape == (*lead, 5, 16)
    assert_close({name: x.double() for name, x in got.items()}, true(*given), rtol=1e-4, atol=1e-5)


def test_leading_axes_broadcast():
    q, k, v, d_out = inputs(5, 7, 16, torch.float32, lead=(2, 3))
    given = q, k[0], v[:1, :1], d_out
    got = {name: x.double() for name, x in with_gradients(flash_attention, *given).items()}
    assert_close(got, true(*given), rtol=1e-4, atol=1e-5)


def test_a_gradient_that_is_one_number_everywhere():
    q, k, v, d_out = inputs(37, 67, 16, torch.float32)
    q.requires_grad_()
    flash_attention(q, k, v).sum().backward()
    assert_close(q.grad.double(), true(q, k, v, torch.ones_like(d_out))["dq"], rtol=1e-4, atol=1e-5)


def test_no_queries_and_no_samples():
    for lead, N in (((2,), 0), ((0,), 5)):
        got = with_gradients(flash_attention, *inputs(N, 7, 16, torch.float32, lead=lead))
        assert got["out"].shape == (*lead, N, 16)
        assert_close(got["dk"], torch.zeros(*lead, 7, 16, device=DEVICE), rtol=0, atol=0)


@pytest.mark.skipif(not CUDA, reason="memory is counted on a GPU")
def test_memory_grows_with_the_tokens_not_with_their_square():
    def peak(N):
        given = inputs(N, N, 64, torch.bfloat16, lead=(1, 2))
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        with_gradients(flash_attention, *given)
        return torch.cuda.max_memory_allocated() - before

    assert peak(16384) <= 4.5 * peak(4096)


# -------------------------------------------------------------------------------------------------------- what they refuse


@pytest.mark.parametrize(
    "change, told, words",
    [
        (lambda q, k, v: (q, k.half(), v), {}, "q, k and v must have one dtype, got torch.float32 for q and torch.float16 for k"),
        (lambda q, k, v: (q.int(), k.int(), v.int()), {}, "q must be floating point, got torch.int32"),
        (lambda q, k, v: (q, k, v), {"mask": torch.ones(5, 7)}, "mask must be boolean with True = may attend"),
    ],
)
def test_wrong_dtypes_are_refused(change, told, words):
    with pytest.raises(TypeError, match=words):
        flash_attention(*change(*inputs(5, 7, 16, torch.float32)[:3]), **told)


@pytest.mark.skipif(CUDA, reason="a GPU multiplies bfloat16")
def test_the_interpreter_refuses_what_it_would_get_wrong():
    with pytest.raises(TypeError, match="q must be float16, float32 or float64 in Triton's interpreter, got torch.bfloat16"):
        flash_attention(*inputs(5, 7, 16, torch.bfloat16)[:3])


@pytest.mark.skipif(not CUDA, reason="the interpreter computes in float64")
def test_a_gpu_refuses_float64():
    with pytest.raises(TypeError, match="q must be float16, float32 or bfloat16, got torch.float64"):
        flash_attention(*inputs(5, 7, 16, torch.float64)[:3])


def test_a_cpu_without_the_interpreter_is_refused(monkeypatch):
    monkeypatch.setattr(flash, "INTERPRETED", False)
    with pytest.raises(ValueError, match="q must be on a CUDA device, got cpu; elsewhere .* set TRITON_INTERPRET=1 before"):
        flash_attention(*(x.cpu() for x in inputs(5, 7, 16, torch.float32)[:3]))


@pytest.mark.parametrize(
    "N, M, d, told, words",
    [
        (5, 7, 129, {}, "d must be at most 128, got 129"),
        (5, 0, 16, {}, "the set of keys is empty: k has no tokens"),
        (7, 5, 16, {"causal": True}, "M must be an integer of at least 7, got 5"),
        (5, 7, 16, {"window": 1}, "a window needs as many queries as keys, got 5 and 7"),
        (6, 6, 16, {"window": -1}, "window must be an integer of at least 0, got -1"),
        (6, 6, 16, {"window": 1.5}, "window must be an integer of at least 0, got 1.5"),
        (6, 6, 16, {"window": (2, 3)}, r"window must be a radius or \(H, W, radius\), got \(2, 3\)"),
        (6, 6, 16, {"window": (2, 4, 1)}, "window has 2 × 4 = 8 places, got 6 tokens"),
        (6, 6, 16, {"window": (2, 3, -1)}, "radius must be an integer of at least 0, got -1"),
        (5, 7, 16, {"mask": torch.ones(6, 7, dtype=torch.bool)}, r"mask of shape \(6, 7\) does not broadcast to \(1, 5, 7\)"),
    ],
)
def test_wrong_sizes_are_refused(N, M, d, told, words):
    with pytest.raises(ValueError, match=words):
        flash_attention(*inputs(N, M, d, torch.float32)[:3], **told)


def test_values_of_another_width_are_refused():
    q, k, v, _ = inputs(5, 7, 16, torch.float32)
    with pytest.raises(ValueError, match="v must have the width of q and k, got 8 and 16"):
        flash_attention(q, k, v[..., :8])


def test_a_second_derivative_is_refused():
    q, k, v, _ = inputs(5, 7, 16, torch.float32)
    q.requires_grad_()
    (d_q,) = torch.autograd.grad(flash_attention(q, k, v).square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        d_q.sum().backward()


@pytest.mark.parametrize("kernel", ["attend", "query_gradient", "key_value_gradients"])
@pytest.mark.parametrize("d", [16, 64, 128])
@pytest.mark.parametrize("bytes_each", [2, 4])
def test_every_kernel_has_a_cut(kernel, d, bytes_each):
    assert hasattr(tiles, kernel)
    for border in (False, True):
        cut = flash.tile_for(kernel, d, bytes_each, border=border)
        assert all(side & (side - 1) == 0 for side in cut[:2])
