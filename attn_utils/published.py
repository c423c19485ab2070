"""Published Vision Transformers in our `ViT`: the same arrays under other names.

timm and Hugging Face store the model that `attn_utils.vit.ViT` builds. Three things differ beside the names: who keeps q, k
and v in one matrix, whether the class token has a position of its own (ours has not: a learned token plus a learned position is a
learned token), and the ε of the layer norms, which no state dict carries.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attn_utils.vit import ViT

# Ours on the left; "#" stands for the number of the block. Weight and bias share a name up to the ending.
_TIMM = {
    "embed.project": "patch_embed.proj",
    "blocks.#.norm_attention": "blocks.#.norm1",
    "blocks.#.attention.qkv": "blocks.#.attn.qkv",
    "blocks.#.attention.out": "blocks.#.attn.proj",
    "blocks.#.norm_mlp": "blocks.#.norm2",
    "blocks.#.mlp.0": "blocks.#.mlp.fc1",
    "blocks.#.mlp.3": "blocks.#.mlp.fc2",
    "norm": "norm",
    "head": "head",
}
_HUGGING_FACE = {  # the names in the files that are published; transformers up to version 4 has the same in memory
    "embed.project": "vit.embeddings.patch_embeddings.projection",
    "blocks.#.norm_attention": "vit.encoder.layer.#.layernorm_before",
    "blocks.#.attention.q": "vit.encoder.layer.#.attention.attention.query",
    "blocks.#.attention.k": "vit.encoder.layer.#.attention.attention.key",
    "blocks.#.attention.v": "vit.encoder.layer.#.attention.attention.value",
    "blocks.#.attention.out": "vit.encoder.layer.#.attention.output.dense",
    "blocks.#.norm_mlp": "vit.encoder.layer.#.layernorm_after",
    "blocks.#.mlp.0": "vit.encoder.layer.#.intermediate.dense",
    "blocks.#.mlp.3": "vit.encoder.layer.#.output.dense",
    "norm": "vit.layernorm",
    "head": "classifier",
}
_TRANSFORMERS_5 = _HUGGING_FACE | {
    "blocks.#.norm_attention": "vit.layers.#.layernorm_before",
    "blocks.#.attention.q": "vit.layers.#.attention.q_proj",
    "blocks.#.attention.k": "vit.layers.#.attention.k_proj",
    "blocks.#.attention.v": "vit.layers.#.attention.v_proj",
    "blocks.#.attention.out": "vit.layers.#.attention.o_proj",
    "blocks.#.norm_mlp": "vit.layers.#.layernorm_after",
    "blocks.#.mlp.0": "vit.layers.#.mlp.fc1",
    "blocks.#.mlp.3": "vit.layers.#.mlp.fc2",
}
NAMES = {"timm": _TIMM, "huggingface": _HUGGING_FACE, "transformers5": _TRANSFORMERS_5}
_TOKENS = {
    "timm": ("cls_token", "pos_embed"),
    "huggingface": ("vit.embeddings.cls_token", "vit.embeddings.position_embeddings"),
    "transformers5": ("vit.embeddings.cls_token", "vit.embeddings.position_embeddings"),
}
_EPSILON = {"timm": 1e-6, "huggingface": 1e-12, "transformers5": 1e-12}


def naming_of(state: Mapping[str, Tensor]) -> str:
    """Whose names a state dict has: a key of `NAMES`.

    Args:
        state: {name: tensor} of a published Vision Transformer with a class token.

    Returns:
        "timm", "huggingface" or "transformers5".

    Raises:
        ValueError: the names are of another kind.
    """
    for naming, names in NAMES.items():
        if any(key.startswith(names["blocks.#.norm_mlp"].replace("#", "0")) for key in state):
            return naming
    raise ValueError(f"no names of {', '.join(NAMES)}, got {sorted(state)[:3]}, …")


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a published Vision Transformer, as our `ViT` takes it.

    Args:
        state: {name: tensor} from timm or Hugging Face (`ViTForImageClassification`), with class token, head and biases.

    Returns:
        {our name: tensor}, ready for `ViT.load_state_dict`; the position of the class token is added to the class token.

    Raises:
        ValueError: names that are of no known kind, missing, or left over.
    """
    naming = naming_of(state)
    ours_of = {theirs: ours for ours, theirs in NAMES[naming].items()}
    token, positions = _TOKENS[naming]
    rest = dict(state)
    try:
        class_token, table = rest.pop(token), rest.pop(positions)  # (1, 1, D), (1, 1 + N, D)
    except KeyError as missing:
        raise ValueError(f"the state dict lacks {missing}") from None
    ours = {"class_token": class_token[0, 0] + table[0, 0], "positions": table[0, 1:]}
    for key, tensor in rest.items():
        stem, _, ending = key.rpartition(".")
        number = re.search(r"\.(\d+)\.", stem)
        pattern = stem if number is None else stem[: number.start(1)] + "#" + stem[number.end(1) :]
        if pattern not in ours_of:
            raise ValueError(f"no place in our ViT for {key!r}")
        ours[f"{ours_of[pattern].replace('#', number[1] if number else '')}.{ending}"] = tensor
    for key in [key for key in ours if ".attention.q." in key]:
        parts = [ours.pop(key.replace(".q.", f".{letter}.")) for letter in "qkv"]
        ours[key.replace(".q.", ".qkv.")] = torch.cat(parts)  # (3D, D) or (3D,)
    return ours


def to_published(state: Mapping[str, Tensor], naming: str = "timm") -> dict[str, Tensor]:
    """The state dict of our `ViT` under published names: the way back.

    Args:
        state: `model.state_dict()` of a `ViT` with a class token and learned positions.
        naming: a key of `NAMES`.

    Returns:
        {their name: tensor}; the class token's position is 0, since ours has none of its own.

    Raises:
        ValueError: an unknown naming, or a model without a class token.
    """
    if naming not in NAMES:
        raise ValueError(f"naming must be one of {', '.join(NAMES)}, got {naming!r}")
    if "class_token" not in state:
        raise ValueError("published Vision Transformers have a class token, this one has none")
    names, (token, positions), rest = NAMES[naming], _TOKENS[naming], dict(state)
    class_token, table = rest.pop("class_token"), rest.pop("positions")
    theirs = {token: class_token[None, None], positions: torch.cat([torch.zeros_like(table[:1]), table])[None]}
    for key, tensor in rest.items():
        stem, _, ending = key.rpartition(".")
        number = re.search(r"\.(\d+)\.", stem)
        pattern = stem if number is None else stem[: number.start(1)] + "#" + stem[number.end(1) :]
        if pattern in names:
            parts = {pattern: tensor}
        else:  # q, k and v in three matrices
            parts = {pattern.replace("qkv", letter): part for letter, part in zip("qkv", tensor.chunk(3))}
        for part, values in parts.items():
            theirs[f"{names[part].replace('#', number[1] if number else '')}.{ending}"] = values
    return theirs


def load_published(model: ViT, state: Mapping[str, Tensor]) -> ViT:
    """Put published weights into our `ViT`, and set the ε of its layer norms to that of their makers.

    Args:
        model: of the same sizes, with a class token and learned positions; changed in place.
        state: as in `from_published`.

    Returns:
        The model.

    Raises:
        ValueError, RuntimeError: names or sizes that do not fit.
    """
    model.load_state_dict(from_published(state))
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = _EPSILON[naming_of(state)]
    return model
