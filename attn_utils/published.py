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
        state: {name: tensor} from timm or Hugging Face (`ViTForImageClassification`), with class token and biases. The head may
            be missing.

    Returns:
        {our name: tensor}, ready for `ViT.load_state_dict`; the position of the class token is added to the class token.

    Raises:
        ValueError: names that are of no known kind, missing, or left over.
    """
    naming = naming_of(state)
    names, (token, positions) = NAMES[naming], _TOKENS[naming]
    places = _places(names, _depth(state, names["blocks.#.norm_mlp"]))
    needed = {token, positions, *(theirs for theirs, ours in places.items() if not ours.startswith("head."))}
    if missing := needed - state.keys():
        raise ValueError(f"the state dict lacks {min(missing)!r}")
    if extra := state.keys() - places.keys() - needed:
        raise ValueError(f"no place in our ViT for {min(extra)!r}")
    class_token, table = state[token], state[positions]
    if class_token.shape[:2] != (1, 1) or table.shape[:1] != (1,) or table.shape[2:] != class_token.shape[2:]:
        raise ValueError(
            f"{token} and {positions} must have the shapes (1, 1, D) and (1, 1 + N, D), "
            f"got {tuple(class_token.shape)} and {tuple(table.shape)}"
        )
    ours = {"class_token": class_token[0, 0] + table[0, 0], "positions": table[0, 1:]}
    ours |= {places[key]: tensor for key, tensor in state.items() if key in places}
    for key in [key for key in ours if ".attention.q." in key]:
        parts = [ours.pop(key.replace(".q.", f".{letter}.")) for letter in "qkv"]
        ours[key.replace(".q.", ".qkv.")] = torch.cat(parts)  # (3D, D) or (3D,)
    return ours


def to_published(state: Mapping[str, Tensor], naming: str = "timm") -> dict[str, Tensor]:
    """The state dict of our `ViT` under published names: the way back.

    Args:
        state: `model.state_dict()` of a `ViT` with a class token, positions and no stem of its own.
        naming: a key of `NAMES`.

    Returns:
        {their name: tensor}; the class token's position is 0, since ours has none of its own.

    Raises:
        ValueError: an unknown naming, a model without class token or positions, or one with parts that published ones lack.
    """
    if naming not in NAMES:
        raise ValueError(f"naming must be one of {', '.join(NAMES)}, got {naming!r}")
    if missing := {"class_token", "positions"} - state.keys():
        raise ValueError(f"published Vision Transformers have a class token and positions, the state dict lacks {min(missing)!r}")
    names, (token, positions), rest = NAMES[naming], _TOKENS[naming], dict(state)
    class_token, table = rest.pop("class_token"), rest.pop("positions")
    if "blocks.#.attention.q" in names:  # q, k and v in three matrices
        for key in [key for key in rest if ".attention.qkv." in key]:
            parts = zip("qkv", rest.pop(key).chunk(3))
            rest |= {key.replace(".qkv.", f".{letter}."): part for letter, part in parts}
    places = {ours: theirs for theirs, ours in _places(names, _depth(rest, "blocks.#.norm_mlp")).items()}
    if extra := rest.keys() - places.keys():
        raise ValueError(f"no published name for {min(extra)!r}")
    theirs = {token: class_token[None, None], positions: torch.cat([torch.zeros_like(table[:1]), table])[None]}
    return theirs | {places[key]: tensor for key, tensor in rest.items()}


def _depth(state, stem):
    """The number of blocks: `stem` is a name of a part of a block, with "#" for the number of the block."""
    number = re.compile(re.escape(stem.partition("#")[0]) + r"(\d+)\.")
    return 1 + max((int(found[1]) for key in state if (found := number.match(key))), default=-1)


def _places(names, depth):
    """{their name: our name} of all weights and biases of `depth` blocks, embedding, last norm and head."""
    return {
        f"{theirs}.{ending}".replace("#", str(number)): f"{ours}.{ending}".replace("#", str(number))
        for ours, theirs in names.items()
        for ending in ("weight", "bias")
        for number in range(depth)
    }


def load_published(model: ViT, state: Mapping[str, Tensor], *, head: str = "published") -> ViT:
    """Put published weights into our `ViT`, and set the ε of its layer norms to that of their makers.

    Args:
        model: of the same sizes, with a class token and learned positions; changed in place, or left as it is where this raises.
        state: as in `from_published`.
        head: "published", or "new" for fine-tuning: the model keeps the head it was made with, for as many classes as it likes.

    Returns:
        The model.

    Raises:
        ValueError: names or sizes that do not fit, or another `head`.
    """
    if head not in ("published", "new"):
        raise ValueError(f'head must be "published" or "new", got {head!r}')
    own, ours = model.state_dict(), from_published(state)
    if head == "new":
        ours |= {key: tensor for key, tensor in own.items() if key.startswith("head.")}
    if "head.weight" not in ours or "head.bias" not in ours:
        raise ValueError('the published weights have no head: head="new" keeps that of the model')
    for key in sorted(own.keys() | ours.keys()):
        sizes = [tuple(parts[key].shape) if key in parts else "nothing" for parts in (own, ours)]
        if sizes[0] != sizes[1]:
            hint = ': head="new" keeps that of the model' if key.startswith("head.") else ""
            raise ValueError(f"{key} of the model is {sizes[0]}, the published weights hold {sizes[1]}{hint}")
    model.load_state_dict(ours)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = _EPSILON[naming_of(state)]
    return model
