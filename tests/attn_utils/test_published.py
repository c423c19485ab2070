"""Published Vision Transformers in our ViT: proved on random weights against the library that publishes them; nothing is downloaded."""

import re

import pytest
import torch

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
    ],
)
def test_other_models_are_rejected(change, text):
    state = to_published(random_vit().state_dict(), "timm")
    change(state)
    with pytest.raises(ValueError, match=re.escape(text)):
        from_published(state)


def test_unknown_names_are_rejected():
    with pytest.raises(ValueError, match="no names of timm"):
        naming_of({"encoder.weight": torch.ones(1)})
    with pytest.raises(ValueError, match="naming must be one of"):
        to_published(random_vit().state_dict(), "jax")
    with pytest.raises(ValueError, match="have a class token"):
        to_published(ViT(**SIZES, readout="mean").state_dict())
