"""Attention on grids: windows, axes and relative positions against masks, loops and each other."""

import itertools
import warnings

import pytest
import torch
from torch.testing import assert_close

from attn_utils import grid_attention, masks
from attn_utils.attention import MultiHeadAttention, attention
from attn_utils.cost import count_parameters
from attn_utils.positions import relative_index
from attn_utils.record import record_attention


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def grids(B=2, heads=3, H=5, W=7, d=11):
    return normal(3, B, heads, H, W, d).unbind()


def flat(*tensors):
    return [t.flatten(2, 3) for t in tensors]


LAYERS = {
    "global": lambda: grid_attention.GridAttention(6, heads=2),
    "window": lambda: grid_attention.WindowAttention(6, heads=2, window=2),
    "shifted": lambda: grid_attention.WindowAttention(6, heads=2, window=2, shift=1),
    "relative": lambda: grid_attention.RelativeAttention(6, heads=2, height=4, width=6),
    "width": lambda: grid_attention.AxisAttention(6, heads=2, axis="width"),
    "height": lambda: grid_attention.AxisAttention(6, heads=2, axis="height"),
    "axial": lambda: grid_attention.AxialAttention(6, heads=2),
}
EVERY_LAYER = pytest.mark.parametrize("name", list(LAYERS))


# ----------------------------------------------------------------------------------------------- by hand


def test_window_by_hand():
    """Equal keys: every pixel gets the average of its window."""
    v = torch.tensor([[0.0, 2.0, 10.0, 20.0], [4.0, 6.0, 30.0, 40.0]])[None, None, ..., None]
    out, weights = grid_attention.windowed_attention(torch.zeros_like(v), torch.zeros_like(v), v, 2)
    assert_close(out[0, 0, ..., 0], torch.tensor([[3.0, 3.0, 25.0, 25.0], [3.0, 3.0, 25.0, 25.0]]))
    assert_close(weights, torch.full((1, 1, 2, 4, 4), 0.25))


def test_shifted_window_by_hand():
    """Moved down and right by one, windows of 2 cut a 2 × 4 grid after row 0 and after columns 0 and 2."""
    v = torch.tensor([[0.0, 2.0, 10.0, 20.0], [4.0, 6.0, 30.0, 40.0]])[None, None, ..., None]
    out, _ = grid_attention.windowed_attention(torch.zeros_like(v), torch.zeros_like(v), v, 2, shift=1)
    assert_close(out[0, 0, ..., 0], torch.tensor([[0.0, 6.0, 6.0, 20.0], [4.0, 18.0, 18.0, 40.0]]))


def test_axis_by_hand():
    v = torch.tensor([[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]])[None, None, ..., None]
    zero = torch.zeros_like(v)
    along, _ = grid_attention.axis_attention(zero, zero, v, axis="width")
    down, _ = grid_attention.axis_attention(zero, zero, v, axis="height")
    assert_close(along[0, 0, ..., 0], torch.tensor([[2.0, 2.0, 2.0], [8.0, 8.0, 8.0]]))
    assert_close(down[0, 0, ..., 0], torch.tensor([[3.0, 5.0, 7.0], [3.0, 5.0, 7.0]]))


def test_relative_by_hand():
    """Content says nothing; the key right of the query scores ln 4, all others 0."""
    q = torch.ones(1, 1, 1, 3, 1)
    v = torch.tensor([0.0, 5.0, 10.0])[None, None, None, :, None]
    rows = torch.zeros(1, 1)
    columns = torch.tensor([1.0, 1.0, 1.0, 4.0, 1.0]).log()[:, None]  # offsets -2 … 2
    _, weights = grid_attention.relative_attention(q, torch.zeros_like(q), v, rows, columns)
    expected = torch.tensor([[1 / 6, 4 / 6, 1 / 6], [1 / 6, 1 / 6, 4 / 6], [1 / 3, 1 / 3, 1 / 3]])
    assert_close(weights[0, 0], expected)


# -------------------------------------------------------------------------------- against the brute force


def test_global_attention_is_attention():
    q, k, v = grids()
    out, weights = grid_attention.global_attention(q, k, v)
    expected, expected_weights = attention(*flat(q, k, v))
    assert_close(out.flatten(2, 3), expected)
    assert_close(weights, expected_weights)


@pytest.mark.parametrize("window, shift", [(w, s) for w in (1, 3, 5) for s in range(w)])
def test_windows_equal_the_brute_force_mask(window, shift):
    H, W = 15, 30
    q, k, v = grids(B=1, heads=2, H=H, W=W, d=3)
    out, _ = grid_attention.windowed_attention(q, k, v, window, shift=shift)
    mask = torch.as_tensor(masks.shifted_window(H, W, window, shift))
    expected, _ = attention(*flat(q, k, v), mask=mask)
    assert_close(out.flatten(2, 3), expected)


@pytest.mark.parametrize("shift", range(4))
def test_one_window_as_large_as_the_picture_may_still_be_shifted(shift):
    q, k, v = grids(H=4, W=4)
    out, _ = grid_attention.windowed_attention(q, k, v, 4, shift=shift)
    expected, _ = attention(*flat(q, k, v), mask=torch.as_tensor(masks.shifted_window(4, 4, 4, shift)))
    assert_close(out.flatten(2, 3), expected)


def test_window_bias_goes_by_the_offset():
    """Scores of all pairs, each with the bias of its offset, then the mask."""
    heads, P, H, W, d, shift = 3, 3, 6, 9, 5, 2
    q, k, v = grids(heads=heads, H=H, W=W, d=d)
    table = normal((2 * P - 1) ** 2, heads)
    bias = table[torch.as_tensor(relative_index(P, P))].permute(2, 0, 1)
    out, _ = grid_attention.windowed_attention(q, k, v, P, shift=shift, bias=bias)

    mask = torch.as_tensor(masks.shifted_window(H, W, P, shift))
    full = torch.full((heads, H * W, H * W), -torch.inf, dtype=torch.float64)
    for n, m in mask.nonzero().tolist():
        down, right = n // W - m // W, n % W - m % W
        full[:, n, m] = table[(down + P - 1) * (2 * P - 1) + right + P - 1]
    expected = torch.nn.functional.scaled_dot_product_attention(*flat(q, k, v), attn_mask=full)
    assert_close(out.flatten(2, 3), expected)


def test_axes_equal_their_masks():
    H, W = 5, 7
    q, k, v = grids(H=H, W=W)
    rows, columns = torch.arange(H * W) // W, torch.arange(H * W) % W
    for axis, line in (("width", rows), ("height", columns)):
        out, _ = grid_attention.axis_attention(q, k, v, axis=axis)
        expected, _ = attention(*flat(q, k, v), mask=line[:, None] == line[None, :])
        assert_close(out.flatten(2, 3), expected)


def test_relative_attention_equals_loops():
    H, W, d = 2, 3, 5
    q, k, v = grids(B=1, heads=2, H=H, W=W, d=d)
    row_table, column_table = normal(2 * H - 1, d), normal(2 * W - 1, d)
    out, weights = grid_attention.relative_attention(q, k, v, row_table, column_table)
    places = list(itertools.product(range(H), range(W)))
    for h in range(2):
        for n, (r, c) in enumerate(places):
            scores = torch.stack(
                [
                    q[0, h, r, c] @ (k[0, h, y, x] + row_table[y - r + H - 1] + column_table[x - c + W - 1]) / d**0.5
                    for y, x in places
                ]
            )
            assert_close(weights[0, h, n], scores.softmax(0))
            assert_close(out[0, h, r, c], scores.softmax(0) @ v[0, h].flatten(0, 1))


def test_relative_attention_with_empty_tables_is_global():
    q, k, v = grids()
    zero = grid_attention.relative_attention(q, k, v, torch.zeros(9, 11).double(), torch.zeros(13, 11).double())
    assert_close(zero, grid_attention.global_attention(q, k, v))


def test_flex_attention_agrees():
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    H, W, P, shift = 4, 6, 2, 1
    q, k, v = grids(H=H, W=W, d=8)

    block_mask = flex.create_block_mask(masks.shifted_window_mod(H, W, P, shift), None, None, H * W, H * W, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eager FlexAttention says that compiling would be faster
        out = flex.flex_attention(*flat(q, k, v), block_mask=block_mask)
    assert_close(out, grid_attention.windowed_attention(q, k, v, P, shift=shift)[0].flatten(2, 3))


# -------------------------------------------------------------------------------------------- the layers


def test_grid_layer_loads_multi_head_attention():
    ours, theirs = grid_attention.GridAttention(6, heads=2).double(), MultiHeadAttention(6, heads=2).double()
    ours.load_state_dict(theirs.state_dict())
    x = normal(2, 5, 7, 6)
    assert_close(ours(x).flatten(1, 2), theirs(x.flatten(1, 2)))


def test_a_window_as_large_as_the_picture_is_global_attention():
    ours, theirs = grid_attention.WindowAttention(6, heads=2, window=5).double(), MultiHeadAttention(6, heads=2).double()
    ours.load_state_dict(theirs.state_dict(), strict=False)
    torch.nn.init.zeros_(ours.bias_table)
    x = normal(2, 5, 5, 6)
    assert_close(ours(x).flatten(1, 2), theirs(x.flatten(1, 2)))


@EVERY_LAYER
def test_layer_is_batch_independent_and_leaves_its_input(name):
    layer, x = LAYERS[name]().double(), normal(3, 4, 6, 6)
    before = x.clone()
    out = layer(x)
    assert_close(out.shape, x.shape)
    assert_close(x, before, rtol=0, atol=0)
    assert_close(out, torch.cat([layer(x[b : b + 1]) for b in range(3)]))


@EVERY_LAYER
def test_recording_changes_nothing_and_rows_sum_to_one(name):
    layer, x = LAYERS[name]().double(), normal(2, 4, 6, 6)
    with record_attention(layer) as maps:
        out = layer(x)
    assert_close(out, layer(x), rtol=0, atol=0)
    for weights in maps.values():
        assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


@EVERY_LAYER
def test_gradients(name):
    layer = LAYERS[name]().double()
    names = [n for n, _ in layer.named_parameters()]
    values = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (normal(1, 4, 6, 6).requires_grad_(), *values), fast_mode=True)


@pytest.mark.parametrize(
    "name, reach",
    [
        ("global", masks.window_2d(4, 6, 6)),
        ("window", masks.shifted_window(4, 6, 2)),
        ("shifted", masks.shifted_window(4, 6, 2, 1)),
        ("relative", masks.window_2d(4, 6, 6)),
        ("axial", masks.window_2d(4, 6, 6)),
    ],
)
def test_gradient_reaches_exactly_the_pixels_of_the_mask(name, reach):
    layer, x = LAYERS[name]().double(), normal(1, 4, 6, 6).requires_grad_()
    out = layer(x).flatten(1, 2)
    for n in range(24):
        (grad,) = torch.autograd.grad(out[0, n].sum(), x, retain_graph=True)
        touched = grad.abs().sum(-1).flatten() > 0
        assert_close(touched, torch.as_tensor(reach[n]))


def test_a_bias_that_only_relative_positions_see():
    """Without tables the layer cannot tell a shuffled picture; with them it can."""
    x, order = normal(1, 4, 6, 6), torch.randperm(24)

    def shuffle(t):
        return t.flatten(1, 2)[:, order].unflatten(1, (4, 6))

    plain, relative = LAYERS["global"]().double(), LAYERS["relative"]().double()
    assert_close(plain(shuffle(x)), shuffle(plain(x)))
    assert (relative(shuffle(x)) - shuffle(relative(x))).abs().max() > 1e-3


def test_the_bias_of_a_window_layer_is_that_of_the_offset():
    layer, x = LAYERS["shifted"]().double(), normal(2, 4, 6, 6)
    bias = layer.bias_table[torch.as_tensor(relative_index(2, 2))].permute(2, 0, 1)
    q, k, v = layer.qkv(x).unflatten(-1, (3, 2, 3)).permute(3, 0, 4, 1, 2, 5)
    out, _ = grid_attention.windowed_attention(q, k, v, 2, shift=1, bias=bias)
    assert_close(layer(x), layer.out(out.permute(0, 2, 3, 1, 4).flatten(3)))


@pytest.mark.parametrize("name", ["global", "window", "shifted", "relative", "width", "height"])
def test_half_precision_overflows_nowhere(name):
    """Scores of float16 that would overflow before they are divided by √d, as bias and positions may that are added to them."""
    d = 64
    q, k, v = (t.half() for t in normal(3, 1, 2, 4, 6, d))
    q, k = 100 * q, 100 * k
    assert (q.flatten(2, 3) @ k.flatten(2, 3).mT).isinf().any(), "or this tests nothing"
    tables = (100 * normal(7, d)).half(), (100 * normal(11, d)).half()
    bias = (100 * normal(2, 4, 4)).half()
    run = {
        "global": grid_attention.global_attention,
        "window": lambda q, k, v: grid_attention.windowed_attention(q, k, v, 2, bias=bias.to(q)),
        "shifted": lambda q, k, v: grid_attention.windowed_attention(q, k, v, 2, shift=1, bias=bias.to(q)),
        "relative": lambda q, k, v: grid_attention.relative_attention(q, k, v, *(table.to(q) for table in tables)),
        "width": lambda q, k, v: grid_attention.axis_attention(q, k, v, axis="width"),
        "height": lambda q, k, v: grid_attention.axis_attention(q, k, v, axis="height"),
    }[name]
    (out, weights), (expected, _) = run(q, k, v), run(q.double(), k.double(), v.double())
    assert out.isfinite().all() and weights.isfinite().all()
    # Scores of thousands are rounded to whole numbers: where two lie close, half precision cannot say which is larger.
    assert (out.double() - expected).abs().median() < 0.01


def test_parameter_counts():
    D, heads, d = 64, 2, 32
    projections = 4 * D * D + 4 * D
    assert_close(count_parameters(grid_attention.GridAttention(D, heads=heads)), projections)
    assert_close(count_parameters(grid_attention.WindowAttention(D, heads=heads, window=8)), projections + 15**2 * heads)
    relative = grid_attention.RelativeAttention(D, heads=heads, height=5, width=7)
    assert_close(count_parameters(relative), projections + 2 * (5 + 7 - 1) * d)
    assert_close(count_parameters(grid_attention.AxialAttention(D, heads=heads)), 2 * projections)


# ---------------------------------------------------------------------------------------------- rejections


def test_rejections():
    x = torch.zeros(1, 4, 6, 6)
    q = torch.zeros(1, 1, 4, 6, 3)
    with pytest.raises(ValueError, match="dim must be a multiple of heads, got dim=6 and heads=4"):
        grid_attention.GridAttention(6, heads=4)
    with pytest.raises(TypeError, match="x must be floating point, got torch.int64"):
        LAYERS["global"]()(x.long())
    with pytest.raises(ValueError, match=r"x must have the four axes .* got shape \(4, 6, 6\)"):
        LAYERS["global"]()(x[0])
    with pytest.raises(ValueError, match="x must have width 6, got 5"):
        LAYERS["window"]()(x[..., :5])
    with pytest.raises(ValueError, match="none empty"):
        LAYERS["axial"]()(x[:, :0])
    with pytest.raises(ValueError, match="window must divide height and width, got window=5 for 4 × 6"):
        grid_attention.windowed_attention(q, q, q, 5)
    with pytest.raises(ValueError, match="shift must be below window = 2, got 2"):
        grid_attention.windowed_attention(q, q, q, 2, shift=2)
    with pytest.raises(ValueError, match="shift must be below window = 2, got 3"):
        grid_attention.WindowAttention(6, heads=2, window=2, shift=3)
    with pytest.raises(ValueError, match='axis must be "width" or "height", got \'depth\''):
        grid_attention.AxisAttention(6, heads=2, axis="depth")
    with pytest.raises(ValueError, match='axis must be "width" or "height", got \'depth\''):
        grid_attention.axis_attention(q, q, q, axis="depth")
    with pytest.raises(ValueError, match=r"row_table must have shape \(7, 3\), got \(8, 3\)"):
        grid_attention.relative_attention(q, q, q, torch.zeros(8, 3), torch.zeros(11, 3))
