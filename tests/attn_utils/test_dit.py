"""The diffusion transformer: equal to diffusers', and what must hold whatever its weights are."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import count_parameters
from attn_utils.dit import ConvMixer, DiT, DiTBlock, Mlp, TimeEmbedding
from attn_utils.record import record_attention

B, C, P, D, HEADS, DEPTH, CLASSES, WAVES = 3, 2, 3, 20, 5, 2, 7, 10
H, W = 9, 15  # 3 × 5 patches
NEEDS = "diffusers is not installed: pip install diffusers (pure Python; it brings no other torch)"


def randomise(module):
    """As made, gates and the last layer are 0: nothing would show."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return module


def random_dit(size=(H, W), **changes):
    settings = {"image_size": size, "patch": P, "dim": D, "depth": DEPTH, "heads": HEADS, "channels": C, "classes": CLASSES}
    return randomise(DiT(**(settings | {"waves": WAVES} | changes)).double())


def inputs(size=(H, W)):
    torch.manual_seed(2)
    return torch.randn(B, C, *size, dtype=torch.float64), torch.rand(B, dtype=torch.float64), torch.tensor([4, 0, CLASSES])


def block_from_diffusers(state):
    """Their block's weights under our names, without what embeds time and class in each of their blocks."""
    qkv = lambda kind: torch.cat([state[f"attn1.to_{part}.{kind}"] for part in "qkv"])
    ours = {f"mixer.qkv.{kind}": qkv(kind) for kind in ("weight", "bias")}
    names = {"norm1.linear": "modulation", "attn1.to_out.0": "mixer.out", "ff.net.0.proj": "mlp.first", "ff.net.2": "mlp.second"}
    return ours | {f"{name}.{kind}": state[f"{their}.{kind}"] for their, name in names.items() for kind in ("weight", "bias")}


def test_a_block_with_diffusers_weights_gives_what_diffusers_gives():
    attention = pytest.importorskip("diffusers.models.attention", reason=NEEDS)
    steered = {"num_embeds_ada_norm": CLASSES, "norm_type": "ada_norm_zero", "norm_elementwise_affine": False, "norm_eps": 1e-6}
    shape = {"activation_fn": "gelu-approximate", "attention_bias": True}
    theirs = randomise(attention.BasicTransformerBlock(D, HEADS, D // HEADS, **shape, **steered).double().eval())
    block = DiTBlock(D, mixer=MultiHeadAttention(D, heads=HEADS), mlp=Mlp(D, 4 * D)).double()
    block.load_state_dict(block_from_diffusers(theirs.state_dict()))
    x, t, labels = torch.randn(B, 11, D, dtype=torch.float64), torch.tensor([3, 250, 999]), torch.tensor([4, 0, 6])
    with torch.no_grad():
        condition = theirs.norm1.emb(t, labels, hidden_dtype=torch.float64)
        expected = theirs(x, timestep=t, class_labels=labels)
        assert_close(block(x, condition), expected, rtol=1e-10, atol=1e-10)


def test_a_whole_model_with_diffusers_weights_gives_what_diffusers_gives():
    """Theirs embeds time and class in every block anew, from other frequencies; we copy one embedding into all."""
    transformer = pytest.importorskip("diffusers.models.transformers.dit_transformer_2d", reason=NEEDS)
    side = 4 * P
    shape = {"num_attention_heads": HEADS, "attention_head_dim": D // HEADS, "num_layers": DEPTH, "norm_eps": 1e-6}
    picture = {"in_channels": C, "sample_size": side, "patch_size": P, "num_embeds_ada_norm": CLASSES}
    theirs = randomise(transformer.DiTTransformer2DModel(**shape, **picture).double().eval())
    for block in theirs.transformer_blocks:
        block.norm1.emb.load_state_dict(theirs.transformer_blocks[0].norm1.emb.state_dict())
    state = theirs.state_dict()
    emb = "transformer_blocks.0.norm1.emb."
    names = {
        "pos_embed.proj": "embed.project",
        f"{emb}timestep_embedder.linear_1": "time.layers.0",
        f"{emb}timestep_embedder.linear_2": "time.layers.2",
        "proj_out_1": "modulation",
        "proj_out_2": "out",
    }
    ours = {f"{name}.{kind}": state[f"{their}.{kind}"] for their, name in names.items() for kind in ("weight", "bias")}
    ours["label.weight"] = state[f"{emb}class_embedder.embedding_table.weight"]
    for depth in range(DEPTH):
        prefix = f"transformer_blocks.{depth}."
        block = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        ours |= {f"blocks.{depth}.{name}": value for name, value in block_from_diffusers(block).items()}
    model = random_dit((side, side), waves=256)
    model.load_state_dict(ours)
    model.positions = theirs.pos_embed.pos_embed[0].double()
    model.time.frequencies = torch.exp(-torch.log(torch.tensor(10_000.0)) * torch.arange(128) / 127).double()
    z, _, labels = inputs((side, side))
    steps = torch.tensor([3, 250, 999])
    with torch.no_grad():
        expected = theirs(z, timestep=steps, class_labels=labels).sample
        got = model(z, steps.double() / 1000, labels)
    assert_close(got, expected, rtol=1e-4, atol=1e-4)  # their waves of time are in single precision


def test_the_block_is_its_formula():
    block = randomise(DiTBlock(D, mixer=nn.Linear(D, D), mlp=nn.Linear(D, D)).double())
    x, condition = torch.randn(B, 11, D, dtype=torch.float64), torch.randn(B, D, dtype=torch.float64)
    norm = lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    six = block.modulation(condition * condition.sigmoid())
    beta1, gamma1, alpha1, beta2, gamma2, alpha2 = (six[:, None, i * D : (i + 1) * D] for i in range(6))
    y = x + alpha1 * block.mixer((1 + gamma1) * norm(x) + beta1)
    assert_close(block(x, condition), y + alpha2 * block.mlp((1 + gamma2) * norm(y) + beta2))


def test_a_new_block_and_a_new_model_do_nothing():
    x, condition = torch.randn(B, 11, D), torch.randn(B, D)
    block = DiTBlock(D, mixer=MultiHeadAttention(D, heads=HEADS), mlp=Mlp(D, 4 * D))
    assert_close(block(x, condition), x, rtol=0, atol=0)
    model = DiT(image_size=(H, W), patch=P, dim=D, depth=DEPTH, heads=HEADS, channels=C, classes=CLASSES)
    z, t, labels = inputs()
    assert_close(model(z.float(), t.float(), labels), torch.zeros(B, C, H, W), rtol=0, atol=0)


def test_time_and_class_are_heard_from_the_start():
    torch.manual_seed(0)
    model = DiT(image_size=(H, W), patch=P, dim=64, depth=1, heads=HEADS - 1, channels=C, classes=CLASSES, waves=64)
    times, labels = torch.linspace(0, 1, 101), torch.arange(CLASSES)
    with torch.no_grad():
        of_time = model.condition(times, torch.full(times.shape, 0)).std(0).mean()
        of_class = model.condition(torch.full(labels.shape, 0.5), labels).std(0).mean()
    assert of_time > 0.1 and of_class > 0.5  # with weights of size 0.02, as in the paper's code, 0.008 and 0.02


def test_times_become_waves():
    embedding = TimeEmbedding(D, waves=4)  # two frequencies: 1 and 1/100
    embedding.layers = nn.Sequential(nn.Identity())
    embedding.layers[0].weight = torch.zeros(1)  # for its dtype
    t = torch.tensor([0.0, 0.002])
    expected = torch.tensor([[1.0, 1.0, 0.0, 0.0], [2.0, 0.02, 2.0, 0.02]])
    expected[1] = torch.cat([expected[1, :2].cos(), expected[1, 2:].sin()])
    assert_close(embedding(t), expected)


def test_patches_come_out_where_they_went_in():
    """With nothing between them, an embedding and a read-out that are inverse to each other give the picture back."""
    model = DiT(image_size=(H, W), patch=P, dim=20, depth=1, heads=1, channels=C)
    model.blocks, model.norm, model.positions = nn.ModuleList(), nn.Identity(), torch.zeros(())
    numbers = C * P * P  # 18 of the 20 numbers of a token
    with torch.no_grad():
        for parameter in (model.embed.project.weight, model.embed.project.bias, model.out.weight, model.out.bias):
            parameter.zero_()
        for number, (c, p, q) in enumerate((c, p, q) for c in range(C) for p in range(P) for q in range(P)):
            model.embed.project.weight[number, c, p, q] = 1.0
            model.out.weight[(p * P + q) * C + c, number] = 1.0
    z = torch.randn(B, C, H, W)
    assert numbers < 20
    assert_close(model(z, torch.rand(B)), z)


def test_no_label_is_the_class_any_and_labels_matter():
    model, (z, t, labels) = random_dit(), inputs()
    with torch.no_grad():
        assert_close(model(z, t), model(z, t, torch.full((B,), CLASSES)))
        difference = (model(z, t, labels) - model(z, t)).abs().amax((1, 2, 3))
    assert difference[:2].min() > 1e-3
    assert_close(difference[2], torch.zeros_like(difference[2]), rtol=0, atol=0)


def test_a_batch_is_one_at_a_time_and_inputs_stay_as_they_were():
    model, (z, t, labels) = random_dit(local=True), inputs()
    before = z.clone()
    with torch.no_grad():
        together = model(z, t, labels)
        alone = torch.cat([model(z[[i]], t[[i]], labels[[i]]) for i in range(B)])
    assert_close(together, alone)
    assert_close(z, before, rtol=0, atol=0)


def test_without_positions_attention_knows_no_order_and_the_rivals_do():
    z, t, _ = inputs()
    patches = z.unflatten(2, (3, P)).unflatten(4, (5, P)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (B, 15, C, P, P)
    order = torch.randperm(15)
    back = lambda patches: patches.unflatten(1, (3, 5)).permute(0, 3, 1, 4, 2, 5).reshape(B, C, H, W)

    def gap(**changes):
        model = random_dit(**changes)
        model.positions = torch.zeros_like(model.positions)
        with torch.no_grad():
            plain, shuffled = model(z, t), model(back(patches[:, order]), t)
        cut = lambda x: x.unflatten(2, (3, P)).unflatten(4, (5, P)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
        return (cut(plain)[:, order] - cut(shuffled)).abs().max()

    assert_close(gap(), torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-10)
    assert gap(local=True) > 1e-3
    assert gap(mixer=ConvMixer) > 1e-3


@pytest.mark.parametrize("kernel", [3, 5, (1, 5)])
def test_a_convolution_reaches_as_far_as_its_kernel(kernel):
    mixer = randomise(ConvMixer(D, (3, 5), kernel=kernel).double())
    rows, columns = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    x = torch.randn(1, 15, D, dtype=torch.float64, requires_grad=True)
    mixer(x)[0, 7].sum().backward()  # the middle of 3 × 5
    reached = (x.grad[0].abs().sum(-1) > 0).unflatten(0, (3, 5))
    row, column = torch.meshgrid(torch.arange(3) - 1, torch.arange(5) - 2, indexing="ij")
    assert_close(reached, (row.abs() <= rows // 2) & (column.abs() <= columns // 2))


@pytest.mark.parametrize("kernel", [3, 5, (3, 7)])
@pytest.mark.parametrize("dim", [48, 64, 96])
def test_a_convolution_has_as_many_parameters_as_attention(dim, kernel):
    attention, convolution = MultiHeadAttention(dim, heads=2), ConvMixer(dim, (7, 7), kernel=kernel)
    assert abs(count_parameters(convolution) / count_parameters(attention) - 1) < 0.01


def test_the_local_path_is_a_depthwise_convolution_added_on():
    mlp = randomise(Mlp(D, 11, grid=(3, 5)).double())
    x = torch.randn(B, 15, D, dtype=torch.float64)
    h = mlp.first(x)
    padded = torch.zeros(B, 11, 5, 7, dtype=torch.float64)
    padded[:, :, 1:4, 1:6] = h.transpose(1, 2).unflatten(2, (3, 5))
    near = sum(mlp.near.weight[:, 0, i, j, None, None] * padded[:, :, i : i + 3, j : j + 5] for i in range(3) for j in range(3))
    near = (near + mlp.near.bias[:, None, None]).flatten(2).transpose(1, 2)
    assert_close(mlp(x), mlp.second(nn.functional.gelu(h + near, approximate="tanh")))
    plain = Mlp(D, 11).double()
    plain.load_state_dict({name: value for name, value in mlp.state_dict().items() if not name.startswith("near")})
    assert_close(plain(x), mlp.second(nn.functional.gelu(h, approximate="tanh")))


def test_attention_can_be_recorded():
    model, (z, t, labels) = random_dit(), inputs()
    with torch.no_grad():
        plain = model(z, t, labels)
        with record_attention(model) as maps:
            recorded = model(z, t, labels)
    assert list(maps) == [f"blocks.{depth}.mixer" for depth in range(DEPTH)]
    for weights in maps.values():
        assert weights.shape == (B, HEADS, 15, 15)
        assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert_close(plain, recorded)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({0: torch.zeros(B, C + 1, H, W)}, ValueError, "z must have 2 channels, got 3"),
        ({0: torch.zeros(B, C, H, H)}, ValueError, r"z must have shape \(3, 2, 9, 15\), got \(3, 2, 9, 9\)"),
        ({0: torch.zeros(B, C, H, W, dtype=torch.long)}, TypeError, "z must be floating point"),
        ({1: torch.zeros(B, dtype=torch.long)}, TypeError, "t must be floating point, got torch.int64"),
        ({1: torch.zeros(B, 1)}, ValueError, r"t must have shape \(3,\), got \(3, 1\)"),
        ({2: torch.zeros(B + 1, dtype=torch.long)}, ValueError, r"labels must have shape \(3,\), got \(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes, error, words):
    arguments = dict(enumerate(inputs())) | changes
    with pytest.raises(error, match=words):
        random_dit()(*arguments.values())


def test_labels_without_classes_are_refused():
    z, t, labels = inputs()
    with pytest.raises(ValueError, match=r"this model knows no classes: build it with classes=\.\.\. to give it labels"):
        random_dit(classes=None)(z, t, labels)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": 18}, "dim must be a multiple of 4 above 0, got 18"),
        ({"patch": 4}, "patch must divide height and width, got patch=4 for 9 × 15"),
        ({"heads": 3}, "dim must be a multiple of heads, got dim=20 and heads=3"),
        ({"depth": 0}, "depth must be an integer of at least 1, got 0"),
        ({"classes": 0}, "classes must be an integer of at least 1, got 0"),
        ({"waves": 5}, "waves must be a multiple of 2 above 0, got 5"),
        ({"mixer": lambda dim, grid: ConvMixer(dim, grid, kernel=4)}, "kernel must be odd, got 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        random_dit(**changes)
