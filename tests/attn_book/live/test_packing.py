"""Weights as letters: what they cost, what comes back in torch and in the page, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from attn_book.live import Packed, pack, unpack
from attn_book.live.packing import FINE, HALF, LETTERS, LEVELS, shares, unwoven
from attn_book.live.page import squeezed


class Everything(nn.Module):
    """One of each kind of layer and tensor, with sizes that are different primes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ConvTranspose2d(5, 7, 2, stride=2))
        self.blocks = nn.ModuleList([nn.LayerNorm(11), nn.Linear(11, 13, bias=False)])
        self.tokens = nn.Parameter(torch.empty(1, 3, 11))
        self.scale = nn.Parameter(torch.empty(()))
        self.register_buffer("table", torch.empty(2, 3))
        self.register_buffer("scratch", torch.empty(2, 3), persistent=False)
        self.register_buffer("steps", torch.zeros(2, dtype=torch.long))


def filled(model, seed=0):
    """All parameters and buffers of numbers drawn at random, variances positive."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.state_dict().items():
        if p.is_floating_point():
            p.copy_(torch.randn(p.shape, generator=g) * 10 ** torch.randn((), generator=g))
            if name.endswith("running_var"):
                p.abs_().add_(0.01)
    return model


@pytest.fixture
def model():
    return filled(Everything())


def test_the_letters_stand_in_a_script_as_they_are():
    assert LEVELS == len(set(LETTERS)) == 89
    assert LETTERS.isascii() and LETTERS.isprintable()
    assert set(LETTERS).isdisjoint(" \"'`\\<")
    assert (HALF, FINE) == (44, (89**2 - 1) // 2)


def test_a_case_by_hand():
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[44.0, -22.0], [0.0, 3960.0 * 44]])
    layer.bias.data = torch.tensor([3960.0, -1.0])
    packed, rounded = pack(layer)
    assert packed.tensors == [["weight", [2, 2], 2, 1.0], ["bias", [2], 0, 1.0]]
    fine = lambda n: LETTERS[(n + 3960) // 89] + LETTERS[(n + 3960) % 89]
    coarse = lambda *steps: "".join(LETTERS[44 + step] for step in steps)
    assert packed.text == fine(1) + fine(3960) + coarse(44, -22, 0, 44) + fine(3960) + fine(-1)
    torch.testing.assert_close(rounded.weight, layer.weight)


def test_names_and_shapes_are_those_of_the_page(model):
    packed, _ = pack(model, skip=("blocks.0.bias",))
    assert [entry[:3] for entry in packed.tensors] == [
        ["tokens", [3, 11], 3],
        ["scale", [], 0],
        ["table", [2, 3], 2],
        ["stem.0.weight", [5, 18], 5],
        ["stem.0.bias", [5], 0],
        ["stem.1.weight", [5], 0],
        ["stem.1.bias", [5], 0],
        ["stem.2.weight", [28, 5], 28],
        ["stem.2.bias", [7], 0],
        ["blocks.0.weight", [11], 0],
        ["blocks.1.weight", [13, 11], 13],
    ]


def test_rounding_moves_a_weight_by_half_a_step_of_its_row_at_most(model):
    _, rounded = pack(model)
    before, after = model.stem[0].weight, rounded.stem[0].weight
    step = before.abs().amax((1, 2, 3), keepdim=True) / HALF
    largest = step.max() / FINE  # by which a scale may be larger than it need be
    assert ((before - after).abs() <= 0.5001 * (step + largest)).all()
    assert ((before - after).abs() > 0.1 * step).any(), "it was rounded"
    assert (after.abs() <= (before.abs().amax((1, 2, 3), keepdim=True) + HALF * largest) * (1 + 1e-6)).all()


@pytest.mark.parametrize("steps", [1, 7, HALF])
def test_no_weight_has_more_steps_than_asked_for(steps):
    layer = filled(nn.Linear(11, 13, bias=False))
    packed, rounded = pack(layer, steps=steps)
    taken = torch.tensor([LETTERS.index(letter) - HALF for letter in packed.text[26:]]).reshape(13, 11).abs()
    np.testing.assert_array_equal(taken.amax(1), steps)
    step = layer.weight.abs().amax(1, keepdim=True) / steps
    assert ((layer.weight - rounded.weight).abs() <= 0.5001 * (step + step.max() / FINE)).all()
    torch.testing.assert_close(unpack(packed, nn.Linear(11, 13, bias=False)).weight, rounded.weight, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [0, 45, -1, 2.5, None])
def test_other_steps_are_refused(steps):
    with pytest.raises(ValueError, match=f"steps: must be a whole number from 1 to 44, got {steps}"):
        pack(nn.Linear(3, 2), steps=steps)


def test_fewer_steps_deflate_better_and_so_do_letters_of_a_kind():
    layers = nn.Sequential(*(nn.Linear(64, 64) for _ in range(12)))
    g = torch.Generator().manual_seed(0)
    for layer in layers:
        nn.init.normal_(layer.weight, generator=g)
    size = lambda steps: len(squeezed(unwoven(pack(layers, steps=steps)[0])))
    assert size(12) < 0.8 * size(HALF)
    woven = pack(layers, steps=12)[0]
    assert size(12) < len(squeezed({"text": woven.text, "tensors": woven.tensors}))


def test_what_is_squeezed_comes_back_in_the_page(model, javascript):
    packed, _ = pack(model, steps=5)
    squeezed_in_page = javascript("squeezed.js")("unsqueezed(text)", text=squeezed({"α": ["<", 1.5, None], "text": LETTERS}))
    assert squeezed_in_page == {"α": ["<", 1.5, None], "text": LETTERS}
    apart = unwoven(packed)
    assert set(apart["coarse"]) <= set(LETTERS[HALF - 5 : HALF + 6])
    found = javascript("letters.js")("woven(apart)", apart=apart)
    assert found == {"text": packed.text, "tensors": packed.tensors}


def test_the_model_stays_as_it_is(model):
    before = copy.deepcopy(model.state_dict())
    pack(model.half())
    model.float()
    torch.testing.assert_close(
        model.state_dict(), {k: v.half().float() if v.is_floating_point() else v for k, v in before.items()}
    )
    assert model.training


def test_a_folded_batch_norm_does_the_same():
    norm = filled(nn.BatchNorm2d(7), seed=1).eval()
    norm.running_var[0] = 1e-6  # a channel that hardly ever changes
    _, rounded = pack(norm)
    x = torch.randn(2, 7, 3, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        unit = norm(x).abs().amax() / FINE
        assert (norm(x) - rounded(x)).abs().max() <= 5 * unit


def test_what_is_packed_comes_back_in_torch(model):
    packed, rounded = pack(model)
    again = unpack(packed, filled(Everything(), seed=9))
    kept = lambda state: {name: p for name, p in state.items() if name != "steps"}
    torch.testing.assert_close(kept(again.state_dict()), kept(rounded.state_dict()), rtol=0, atol=0)
    assert pack(rounded)[0].text == packed.text, "packing twice changes nothing"


def test_finely_packed_weights_are_nearer_and_come_back_in_torch(model):
    """One part in 7,920 of a tensor's largest weight; a folded batch normalisation aside, which is written finely anyhow."""
    packed, rounded = pack(model, fine=True)
    for name, p in model.state_dict().items():
        if p.is_floating_point() and not name.startswith("stem.1"):
            assert (rounded.state_dict()[name] - p).abs().max() <= p.abs().max() / (2 * FINE) * 1.001
    assert all(rows == 0 for _, _, rows, _ in packed.tensors)
    again = unpack(packed, filled(copy.deepcopy(model), seed=5))
    for name, p in rounded.state_dict().items():
        assert torch.equal(again.state_dict()[name], p), name


def test_what_is_packed_comes_back_in_the_page(model, javascript):
    packed, rounded = pack(model)
    script = (
        "(({ tensors, root }) => tensors.flatMap(([name]) => [...name.split('.').reduce((node, key) => node[key], root).data]))"
    )
    found = javascript("letters.js")(
        f"{script}({{ tensors, root: unpacked({{ text, tensors }}) }})", text=packed.text, tensors=packed.tensors
    )
    state = rounded.state_dict()
    layout = {"stem.0.weight": (0, 2, 3, 1), "stem.2.weight": (2, 3, 1, 0)}
    expected = [state[name].permute(layout.get(name, tuple(range(state[name].ndim)))).flatten() for name, *_ in packed.tensors]
    np.testing.assert_array_equal(np.float32(found), torch.cat(expected))


def test_shares_come_back_in_the_page(javascript):
    values = np.arange(89) / 88
    assert shares(values.reshape(1, -1) + 0.005) == shares(values) == LETTERS
    found = javascript("letters.js")("shares(text)", text=LETTERS)
    np.testing.assert_allclose(found, values, atol=1e-7)
    np.testing.assert_array_equal(javascript("letters.js")("[...wholeNumbers(text)]", text=LETTERS), range(89))


def test_shared_weights_stay_shared():
    first, second = nn.Linear(5, 3, bias=False), nn.Linear(5, 3, bias=False)
    second.weight = first.weight
    packed, rounded = pack(nn.Sequential(first, second))
    assert rounded[0].weight is rounded[1].weight
    half = len(packed.text) // 2
    assert packed.text[:half] == packed.text[half:]


def test_a_row_of_zeros_and_a_model_of_zeros():
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.bias)
    layer.weight.data = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    _, rounded = pack(layer)
    assert (rounded.weight[1] == 0).all()
    assert (rounded.bias == 0).all()
    torch.testing.assert_close(rounded.weight[0], layer.weight[0], rtol=0.03, atol=0)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda: nn.Conv2d(4, 4, 3, groups=2), "0 is a convolution in 2 groups"),
        (lambda: nn.ConvTranspose2d(4, 4, 2, groups=4), "0 is a convolution in 4 groups"),
        (lambda: nn.BatchNorm2d(3, affine=False), "0 is a batch normalisation without"),
        (lambda: nn.BatchNorm2d(3, track_running_stats=False), "0 is a batch normalisation without"),
    ],
)
def test_layers_that_the_page_does_not_know_are_refused(broken, told):
    with pytest.raises(ValueError, match=told):
        pack(nn.Sequential(broken()))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_weights_that_are_no_numbers_are_refused(name, value):
    layer = nn.Linear(3, 2)
    getattr(layer, name).data.view(-1)[1] = value
    with pytest.raises(ValueError, match=f"0.{name} holds NaN or infinite"):
        pack(nn.Sequential(layer))


def test_unknown_names_and_other_models_are_refused():
    packed, _ = pack(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="skip: the model has no positions"):
        pack(nn.Linear(3, 2), skip=("positions", "bias"))
    with pytest.raises(ValueError, match="packed were"):
        unpack(packed, nn.Linear(3, 2, bias=False))
    with pytest.raises(ValueError, match=r"packed was weight of shape \[2, 3\]"):
        unpack(packed, nn.Linear(3, 5))
    with pytest.raises(ValueError, match="packed was weight of shape"):
        unpack(Packed("", [["weight", [6], 0, 1.0], ["bias", [2], 0, 1.0]]), nn.Linear(3, 2))
