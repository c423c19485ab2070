"""Pictures from captions: shapes, equal parameters, what an unordered caption cannot say, and the product read-out by hand."""

import pytest
import torch
from torch.testing import assert_close

from attn_utils.attention import MultiHeadAttention
from attn_utils.caption_dit import HOW, READOUTS, CaptionDiT, Gate, ShapeTimesColour, drop_words, word_velocity
from attn_utils.cost import count_parameters
from attn_utils.flow import drop_labels, flow_loss, velocity_of
from attn_utils.record import record_attention

B, C, P, D, HEADS, DEPTH, WORDS, L = 3, 2, 3, 20, 5, 2, 11, 7
H, W = 9, 15  # 3 × 5 patches
NAMES = [f"looks.{i}" for i in range(DEPTH)]


def made(**changes):
    """As made, what is read from words is 0: nothing would show."""
    torch.manual_seed(1)
    size = {
        "image_size": (H, W),
        "patch": P,
        "dim": D,
        "depth": DEPTH,
        "heads": HEADS,
        "channels": C,
        "words": WORDS,
        "length": L,
    }
    model = CaptionDiT(**(size | {"waves": 10} | changes)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return model


def inputs():
    torch.manual_seed(2)
    z, t = torch.randn(B, C, H, W, dtype=torch.float64), torch.rand(B, dtype=torch.float64)
    return z, t, torch.randint(WORDS + 1, (B, L))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("readout", READOUTS)
def test_shapes_gradients_and_the_batch(how, readout):
    model, (z, t, captions) = made(how=how, readout=readout), inputs()
    out = model(z, t, captions)
    assert out.shape == z.shape
    out.square().sum().backward()
    used = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    silent = {name for name, _ in model.named_parameters()} - used
    assert silent <= {"words.weight"}  # all of it is used; a word that no caption has keeps a gradient of 0
    for i in range(B):
        assert_close(model(z[i : i + 1], t[i : i + 1], captions[i : i + 1])[0], out[i], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("how", HOW)
def test_every_word_is_heard(how):
    model, (z, t, captions) = made(how=how), inputs()
    out = model(z, t, captions)
    for place in range(L):
        other = captions.clone()
        other[:, place] = (other[:, place] + 1) % WORDS
        assert (model(z, t, other) - out).abs().amax((1, 2, 3)).min() > 1e-4


@pytest.mark.parametrize("how", ["cross", "tokens"])
def test_without_places_a_caption_is_an_unordered_set(how):
    z, t, captions = inputs()
    order = torch.randperm(L, generator=torch.Generator().manual_seed(0))
    unordered, ordered = made(how=how, ordered=False), made(how=how)
    assert_close(unordered(z, t, captions[:, order]), unordered(z, t, captions), rtol=1e-10, atol=1e-10)
    assert (ordered(z, t, captions[:, order]) - ordered(z, t, captions)).abs().max() > 1e-3


def test_weights_from_patches_to_words_are_recorded():
    model, (z, t, captions) = made(), inputs()
    with record_attention(model) as maps:
        model(z, t, captions)
    assert [name for name in maps if name.startswith("looks")] == NAMES
    for name in NAMES:
        assert maps[name].shape == (B, HEADS, 15, L)
        assert_close(maps[name].sum(-1), torch.ones(B, HEADS, 15, dtype=torch.float64))


@pytest.mark.parametrize("dim", [64, 96])
def test_all_ways_and_all_larger_read_outs_have_equal_parameters(dim):
    size = {"image_size": 28, "patch": 7, "dim": dim, "depth": 4, "heads": 4, "words": 21, "length": 5}
    ways = [count_parameters(CaptionDiT(**size, how=how)) for how in HOW]
    assert max(ways) / min(ways) < 1.002
    larger = [count_parameters(CaptionDiT(**size, readout=readout)) for readout in ("product", "deeper", "gated")]
    assert max(larger) / min(larger) < 1.002
    assert 0.01 < larger[0] / ways[0] - 1 < 0.03  # the product costs about two per cent


def test_a_new_model_draws_nothing_and_looks_at_nothing():
    torch.manual_seed(0)
    for how in HOW:
        for readout in READOUTS:
            model = CaptionDiT(image_size=9, patch=3, dim=8, depth=2, heads=2, words=4, length=5, how=how, readout=readout)
            z, t, captions = torch.randn(2, 3, 9, 9), torch.rand(2), torch.randint(5, (2, 5))
            assert_close(model(z, t, captions), torch.zeros(2, 3, 9, 9))
            y, words = torch.randn(2, 9, 8), torch.randn(2, 5, 8)
            for look in model.looks:
                out = look(y, words) if isinstance(look, MultiHeadAttention) else look(y)
                assert_close(out, torch.zeros(2, 9, 8))


def test_shape_times_colour_by_hand():
    """One term, tokens of two numbers: the first is how much of a cross is drawn, the second how red it is."""
    layer = ShapeTimesColour(2, pixels=3, channels=3, terms=1)
    with torch.no_grad():
        layer.shapes.weight.copy_(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]]))
        layer.colours.weight.copy_(torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.5]]))
        layer.colours.bias.zero_()
    out = layer(torch.tensor([[[3.0, 10.0]]]))
    assert_close(out.unflatten(-1, (3, 3))[0, 0], torch.tensor([[30.0, 0, 15], [60, 0, 30], [0, 0, 0]]))


def test_a_gate_multiplies_by_hand():
    """Two products of tokens of two numbers: 3 · 10 and 3 · 3, and the second counts twice."""
    gate = Gate(2, 2, 1)
    with torch.no_grad():
        gate.factors.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
        gate.factors.bias.zero_()
        gate.out.weight.copy_(torch.tensor([[1.0, 2.0]]))
    assert_close(gate(torch.tensor([[[3.0, 10.0]]])), torch.tensor([[[48.0]]]))


def test_several_terms_add_up_in_a_loop():
    torch.manual_seed(0)
    layer = ShapeTimesColour(5, pixels=7, channels=2, terms=3).double()
    torch.nn.init.normal_(layer.shapes.weight)
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    shapes, colours = layer.shapes(x).reshape(2, 4, 3, 7), layer.colours(x).reshape(2, 4, 3, 2)
    expected = torch.zeros(2, 4, 7, 2, dtype=torch.float64)
    for k in range(3):
        expected += shapes[:, :, k, :, None] * colours[:, :, k, None, :]
    assert_close(layer(x), expected.flatten(2))


def test_pixels_of_a_patch_land_where_the_patch_was():
    """Only the bias of the last layer speaks: pixel (row, column) of every patch gets its own number."""
    model, (z, t, captions) = made(), inputs()
    with torch.no_grad():
        for p in model.out.parameters():
            p.zero_()
        model.out.bias.copy_(torch.arange(P * P * C))
        out = model(z, t, captions)
    row, column, channel = 4, 11, 1
    assert out[0, channel, row, column] == ((row % P) * P + column % P) * C + channel


def test_word_guidance_by_hand():
    """A network that adds its words up: leaving word i out takes away its number, so each counts w times in all."""

    class Sum(torch.nn.Module):
        classes = 100

        def forward(self, z, t, captions):
            return torch.where(captions == 100, 0, captions).sum(1).to(z)[:, None].expand_as(z)

    captions = torch.tensor([[1, 2, 4], [8, 16, 32]])
    v = word_velocity(Sum(), captions, guidance=3.0)(torch.zeros(2, 5), torch.tensor([0.1, 0.2]))
    assert_close(v, 3 * torch.tensor([[7.0], [56.0]]).expand(2, 5))
    assert_close(word_velocity(Sum(), captions)(torch.zeros(2, 5), torch.zeros(2)), torch.tensor([[7.0], [56.0]]).expand(2, 5))


def test_word_guidance_of_one_is_the_caption_and_each_row_its_own():
    model, (z, t, captions) = made(), inputs()
    plain = velocity_of(model, captions, predicts="x")(z, t)
    with torch.no_grad():
        assert_close(word_velocity(model, captions, predicts="x")(z, t), plain.detach(), rtol=1e-8, atol=1e-8)
        guided = word_velocity(model, captions, predicts="x", guidance=2.5)(z, t)
        one = word_velocity(model, captions[1:2], predicts="x", guidance=2.5)(z[1:2], t[1:2])
    assert_close(guided[1:2], one, rtol=1e-8, atol=1e-8)


def test_dropped_words_and_dropped_captions():
    torch.manual_seed(0)
    captions = torch.randint(WORDS, (4000, L))
    words, whole = drop_words(captions, 0.3, WORDS), drop_labels(captions, 0.3, WORDS)
    assert_close((words == WORDS).double().mean(0), torch.full((L,), 0.3, dtype=torch.float64), rtol=0, atol=0.03)
    gone = whole == WORDS
    assert (gone.all(1) == gone.any(1)).all()  # a caption is dropped as a whole
    assert abs(gone.all(1).double().mean() - 0.3) < 0.03
    kept = ~gone.all(1)
    assert_close(whole[kept], captions[kept])
    assert_close(words[words != WORDS], captions[words != WORDS])


def test_the_loss_of_flow_matching_takes_captions():
    model, (z, _, captions) = made(), inputs()
    loss = flow_loss(model, z, captions.clamp(max=WORDS - 1), predicts="x", drop=0.5)
    assert loss.ndim == 0 and loss.isfinite()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"how": "film"}, 'how must be one of "cross", "pooled", "tokens"|how must be'),
        ({"readout": "cubic"}, "readout must be"),
        ({"patch": 4}, "patch must divide height and width, got patch=4 for 9 × 15"),
        ({"words": 0}, "words must be"),
        ({"length": 0}, "length must be"),
        ({"dim": 18}, "dim must be"),
    ],
)
def test_bad_sizes_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        made(**changes)


def test_bad_inputs_are_named():
    model, (z, t, captions) = made(), inputs()
    with pytest.raises(ValueError, match=r"captions must"):
        model(z, t, captions[:, 1:])
    with pytest.raises(ValueError, match=r"t must"):
        model(z, t[1:], captions)
    with pytest.raises(ValueError, match=r"z must"):
        model(z[..., 1:], t, captions)
    with pytest.raises(TypeError, match="t must be floating point"):
        model(z, t.long(), captions)
