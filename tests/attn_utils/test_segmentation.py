"""The two-way decoder: equal to Hugging Face's of Segment Anything, and what must hold whatever its weights are."""

import pytest
import torch
from torch.testing import assert_close

from attn_utils.record import record_attention
from attn_utils.segmentation import TwoWayDecoder

B, N, M, D, HEADS, MLP = 2, 5, 21, 12, 3, 17
NAMES = {  # Hugging Face's on the left, within a block and outside
    "self_attn": "self_attention",
    "cross_attn_token_to_image": "token_to_picture",
    "cross_attn_image_to_token": "picture_to_token",
    "mlp.lin1": "mlp.0",
    "mlp.lin2": "mlp.2",
    **{f"layer_norm{number}": f"norms.{number - 1}" for number in (1, 2, 3, 4)},
    "final_attn_token_to_image": "last_look",
    "layer_norm_final_attn": "norm",
}


def random_decoder(depth=2):
    torch.manual_seed(0)
    decoder = TwoWayDecoder(D, heads=HEADS, mlp_dim=MLP, depth=depth).double().eval()
    return randomise(decoder)


def randomise(module):
    """As made, biases are 0 and norms 1: a swapped pair would not show."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.4 * torch.randn_like(parameter))
    return module


def from_hugging_face(state):
    """Their state dict under our names: three matrices of queries, keys and values become one or two."""
    ours = {}
    for key, tensor in state.items():
        block, rest = (key.split(".", 2)[1], key.split(".", 2)[2]) if key.startswith("layers.") else (None, key)
        theirs = next(name for name in NAMES if rest.startswith(name + "."))
        prefix = (f"blocks.{block}." if block else "") + NAMES[theirs]
        ours[f"{prefix}{rest[len(theirs) :]}".replace("_proj", "")] = tensor
    return ours


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_hugging_face_weights_give_hugging_face_outputs(depth):
    sam = pytest.importorskip("transformers.models.sam.modeling_sam")
    config = sam.SamMaskDecoderConfig(hidden_size=D, num_attention_heads=HEADS, mlp_dim=MLP, num_hidden_layers=depth)
    config._attn_implementation = "sdpa"  # "eager" takes the softmax in single precision
    torch.manual_seed(1)
    theirs = randomise(sam.SamMaskDecoder(config).transformer.double().eval())
    ours = random_decoder(depth)
    ours.load_state_dict(from_hugging_face(theirs.state_dict()))
    tokens, picture = torch.randn(B, N, D, dtype=torch.float64), torch.randn(B, M, D, dtype=torch.float64)
    places = torch.randn(M, D, dtype=torch.float64)
    as_map = lambda x: x.transpose(1, 2).unflatten(2, (3, 7))  # theirs takes maps, one set of tokens a point
    with torch.no_grad():
        expected = theirs(tokens[:, None], as_map(picture), as_map(places[None]).expand(B, -1, -1, -1), None)
        got = ours(tokens, picture, places)
    for one, other in zip(got, expected, strict=True):
        assert_close(one, other[:, 0], rtol=1e-10, atol=1e-10)


def test_the_order_of_the_tokens_of_the_picture_does_not_matter():
    decoder = random_decoder()
    tokens, picture, places = (torch.randn(*shape, dtype=torch.float64) for shape in [(B, N, D), (B, M, D), (M, D)])
    order = torch.randperm(M)
    with torch.no_grad():
        one, other = decoder(tokens, picture, places), decoder(tokens, picture[:, order], places[order])
    assert_close(one[0], other[0])
    assert_close(one[1][:, order], other[1])


def test_a_batch_is_one_at_a_time_and_places_may_differ_within_it():
    decoder = random_decoder()
    tokens, picture, places = (torch.randn(*shape, dtype=torch.float64) for shape in [(B, N, D), (B, M, D), (B, M, D)])
    with torch.no_grad():
        together = decoder(tokens, picture, places)
        alone = [decoder(tokens[[i]], picture[[i]], places[i]) for i in range(B)]
    for part in (0, 1):
        assert_close(together[part], torch.cat([one[part] for one in alone]))


def test_without_places_all_picture_tokens_alike_stay_alike():
    decoder = random_decoder()
    picture = torch.randn(B, 1, D, dtype=torch.float64).expand(-1, M, -1)
    with torch.no_grad():
        _, talked = decoder(torch.randn(B, N, D, dtype=torch.float64), picture, torch.zeros(M, D, dtype=torch.float64))
    assert_close(talked, talked[:, :1].expand(-1, M, -1))


def test_every_attention_is_recorded_and_inputs_stay_as_they_were():
    decoder = random_decoder()
    inputs = [torch.randn(*shape, dtype=torch.float64) for shape in [(B, N, D), (B, M, D), (M, D)]]
    before = [tensor.clone() for tensor in inputs]
    with torch.no_grad():
        plain = decoder(*inputs)
        with record_attention(decoder) as maps:
            recorded = decoder(*inputs)
    shapes = {"self_attention": (N, N), "token_to_picture": (N, M), "picture_to_token": (M, N), "last_look": (N, M)}
    assert len(maps) == 2 * 3 + 1
    for name, weights in maps.items():
        assert weights.shape == (B, HEADS, *shapes[name.rpartition(".")[2]])
        assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    for one, other in [*zip(plain, recorded), *zip(inputs, before)]:
        assert_close(one, other)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({0: torch.zeros(B, N, D + 1)}, ValueError, f"tokens must have width {D}, got {D + 1}"),
        ({0: torch.zeros(N, D)}, ValueError, "tokens must have the three axes"),
        ({0: torch.zeros(B, N, D, dtype=torch.long)}, TypeError, "tokens must be floating point"),
        ({1: torch.zeros(B, M, D + 1)}, ValueError, f"picture must have width {D}"),
        ({1: torch.zeros(B + 1, M, D)}, ValueError, r"picture must have shape \(2, M, 12\), got \(3, 21, 12\)"),
        ({2: torch.zeros(M + 1, D)}, ValueError, r"picture_places must have shape \(21, 12\), got \(22, 12\)"),
        ({2: torch.zeros(B + 1, M, D)}, ValueError, r"picture_places must have shape \(2, 21, 12\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes, error, words):
    inputs = {0: torch.zeros(B, N, D), 1: torch.zeros(B, M, D), 2: torch.zeros(M, D)} | changes
    with pytest.raises(error, match=words):
        TwoWayDecoder(D, heads=HEADS, mlp_dim=MLP)(*inputs.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": 0}, "dim must be a multiple of 2 above 0, got 0"),
        ({"dim": 9}, "dim must be a multiple of 2 above 0, got 9"),
        ({"heads": 4}, "inner must be a multiple of heads, got inner=6 and heads=4"),
        ({"heads": 0}, "heads must be an integer of at least 1, got 0"),
        ({"mlp_dim": 2.0}, "mlp_dim must be an integer of at least 1, got 2.0"),
        ({"depth": 0}, "depth must be an integer of at least 1, got 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    sizes = {"dim": D, "heads": HEADS, "mlp_dim": MLP, "depth": 2} | changes
    with pytest.raises(ValueError, match=words):
        TwoWayDecoder(sizes.pop("dim"), **sizes)
