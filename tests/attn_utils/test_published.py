"""Published Vision Transformers in our ViT: proved on random weights against the library that publishes them; nothing is downloaded."""

import re

import pytest
import torch
from torch import nn

from attn_utils.published import NAMES, from_published, load_published, naming_of, to_published
from attn_utils.vit import ViT

SIZES = {"image_size": 12, "patch": 4, "classes": 5, "dim": 24, "depth": 3, "heads": 3, "mlp_ratio": 2.0}


def random_vit(seed=0):
    torch.manual_seed(seed)
    model = ViT(**SIZES).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return model


def hugging_face_vit():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        image_size=12,
        patch_size=4,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=48,
        num_labels=5,
    )
    model = transformers.ViTForImageClassification(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # as made, biases are 0 and norms 1: a swapped pair would not show
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return model


def test_hugging_face_weights_give_hugging_face_outputs():
    torch.manual_seed(0)
    theirs, ours = hugging_face_vit(), random_vit()
    load_published(ours, theirs.state_dict())
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.features(images), theirs.vit(images).last_hidden_state, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(ours(images), theirs(images).logits, rtol=1e-10, atol=1e-10)


def test_our_weights_give_our_outputs_in_the_hugging_face_model():
    theirs, ours = hugging_face_vit(), random_vit()
    naming = naming_of(theirs.state_dict())
    theirs.load_state_dict(to_published(ours.state_dict(), naming))
    load_published(ours, theirs.state_dict())  # for the ε of the norms
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images).logits, ours(images), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("naming", NAMES)
def test_there_and_back(naming):
    ours = random_vit()
    theirs = to_published(ours.state_dict(), naming)
    assert naming_of(theirs) == naming
    back = from_published(theirs)
    assert back.keys() == ours.state_dict().keys()
    for key, tensor in ours.state_dict().items():
        torch.testing.assert_close(back[key], tensor, rtol=0, atol=0)


def test_timm_names():
    names = to_published(random_vit().state_dict(), "timm").keys()
    block = ["norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"]
    stems = ["patch_embed.proj", "norm", "head", *(f"blocks.{i}.{part}" for i in range(3) for part in block)]
    expected = {"cls_token", "pos_embed", *(f"{stem}.{ending}" for stem in stems for ending in ("weight", "bias"))}
    assert names == expected


def test_published_hugging_face_names():
    names = to_published(random_vit().state_dict(), "huggingface")
    assert names["vit.encoder.layer.2.attention.attention.value.weight"].shape == (24, 24)
    assert names["vit.encoder.layer.0.intermediate.dense.weight"].shape == (48, 24)
    assert names["vit.embeddings.position_embeddings"].shape == (1, 10, 24)


def test_the_position_of_the_class_token_is_kept():
    theirs = to_published(random_vit().state_dict(), "timm")
    theirs["pos_embed"] = torch.randn_like(theirs["pos_embed"])
    torch.testing.assert_close(
        from_published(theirs)["class_token"], theirs["cls_token"][0, 0] + theirs["pos_embed"][0, 0], rtol=0, atol=0
    )


def test_epsilon_follows_the_makers():
    model = load_published(random_vit(), to_published(random_vit(1).state_dict(), "timm"))
    assert model.norm.eps == model.blocks[2].norm_mlp.eps == 1e-6


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("cls_token"), "lacks 'cls_token'"),
        (lambda s: s.update({"blocks.0.ls1.gamma": torch.ones(24)}), "no place in our ViT for 'blocks.0.ls1.gamma'"),
        (lambda s: s.update({"head_dist.weight": torch.ones(5, 24)}), "no place in our ViT for 'head_dist.weight'"),
        (lambda s: s.update({"scale": torch.ones(1)}), "no place in our ViT for 'scale'"),
        (
            lambda s: s.update(cls_token=torch.ones(24)),
            "must have the shapes (1, 1, D) and (1, 1 + N, D), got (24,) and (1, 10, 24)",
        ),
    ],
)
def test_other_models_are_rejected(change, text):
    state = to_published(random_vit().state_dict(), "timm")
    change(state)
    with pytest.raises(ValueError, match=re.escape(text)):
        from_published(state)


@pytest.mark.parametrize("naming", NAMES)
def test_whatever_is_missing_is_named(naming):
    state = to_published(random_vit().state_dict(), naming)
    head = {f"{NAMES[naming]['head']}.{ending}" for ending in ("weight", "bias")}
    known = NAMES[naming]["blocks.#.norm_mlp"].replace("#", "0")  # by this the naming is told
    for key in state.keys() - head:
        rest = {other: tensor for other, tensor in state.items() if other != key}
        with pytest.raises(ValueError, match=f"the state dict lacks '{re.escape(key)}'"):
            from_published(rest)
    with pytest.raises(ValueError, match="no names of timm"):
        from_published({key: tensor for key, tensor in state.items() if not key.startswith(known)})
    without = from_published({key: tensor for key, tensor in state.items() if key not in head})
    assert random_vit().state_dict().keys() - without.keys() == {"head.weight", "head.bias"}


@pytest.mark.parametrize("naming", NAMES)
def test_fine_tuning_keeps_the_head_of_the_model(naming):
    state = to_published(random_vit(1).state_dict(), naming)
    torch.manual_seed(2)
    model = ViT(**(SIZES | {"classes": 3})).double()
    head = model.head.weight.clone()
    assert load_published(model, state, head="new") is model
    torch.testing.assert_close(model.head.weight, head, rtol=0, atol=0)
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    expected = load_published(random_vit(), state).eval().features(images)
    torch.testing.assert_close(model.eval().features(images), expected, rtol=0, atol=0)
    assert model(images).shape == (2, 3)
    headless = {key: tensor for key, tensor in state.items() if not key.startswith(NAMES[naming]["head"])}
    load_published(model, headless, head="new")
    with pytest.raises(ValueError, match='the published weights have no head: head="new" keeps that of the model'):
        load_published(model, headless)


@pytest.mark.parametrize(
    ("sizes", "head", "text"),
    [
        ({"classes": 3}, "published", 'head.bias of the model is (3,), the published weights hold (5,): head="new" keeps'),
        ({"dim": 12}, "new", "blocks.0.attention.out.bias of the model is (12,), the published weights hold (24,)"),
        ({"depth": 2}, "new", "blocks.2.attention.out.bias of the model is nothing, the published weights hold (24,)"),
        ({"image_size": 16}, "new", "positions of the model is (16, 24), the published weights hold (9, 24)"),
        ({"readout": "mean"}, "new", "class_token of the model is nothing, the published weights hold (24,)"),
        ({}, "old", """head must be "published" or "new", got 'old'"""),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(sizes, head, text):
    state = to_published(random_vit(1).state_dict(), "timm")
    model = ViT(**(SIZES | sizes)).double()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=re.escape(text)):
        load_published(model, state, head=head)
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0)
    assert model.norm.eps == 1e-5


def test_unknown_names_are_rejected():
    with pytest.raises(ValueError, match="no names of timm"):
        naming_of({"encoder.weight": torch.ones(1)})
    with pytest.raises(ValueError, match="naming must be one of"):
        to_published(random_vit().state_dict(), "jax")
    with pytest.raises(ValueError, match="the state dict lacks 'class_token'"):
        to_published(ViT(**SIZES, readout="mean").state_dict())
    with pytest.raises(ValueError, match="the state dict lacks 'positions'"):
        to_published(ViT(**SIZES, positions="none").state_dict())
    for naming in NAMES:
        with pytest.raises(ValueError, match="no published name for 'embed.1.bias'"):
            to_published(ViT(**SIZES, stem=nn.Sequential(nn.Identity(), nn.Conv2d(3, 24, 4, 4))).state_dict(), naming)
