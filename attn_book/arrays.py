"""Whatever holds numbers as a NumPy array: tensors from any device, precision or graph, lists of them, NumPy, pandas."""

import numpy as np


def as_array(value, name: str = "value") -> np.ndarray:
    """The numbers of `value`, where figures, explorers, claims and exercises can read them.

    Args:
        value: a tensor on any device, with or without a graph; a list or tuple, of tensors too; or whatever `np.asarray` takes.
        name: what the caller calls it, for errors.

    Returns:
        An array of the same shape, which may share memory with `value`: copy it before you write to it. Floating-point
        tensors of fewer than 32 bits (half, bfloat16, float8) become float32; every other dtype is kept. What holds no numbers
        (text, None) comes back as `np.asarray` makes it.

    Raises:
        TypeError: a sparse or nested tensor.
        ValueError: a tensor on the meta device, which has no values; lists whose lengths do not fit together.

    Examples:
        >>> import torch
        >>> as_array(torch.tensor([0.25, 0.75], dtype=torch.bfloat16, requires_grad=True))
        array([0.25, 0.75], dtype=float32)
    """
    if hasattr(value, "detach"):  # a tensor, told without importing torch
        return _from_tensor(value, name)
    if isinstance(value, list | tuple) and any(
        isinstance(item, list | tuple | np.ndarray) or hasattr(item, "detach") for item in value
    ):
        value = [as_array(item, name) for item in value]
        if len({item.shape for item in value}) > 1:
            raise ValueError(f"the parts of {name} must have one shape, got {', '.join(str(item.shape) for item in value[:4])}")
    return np.asarray(value)


def _from_tensor(tensor, name):
    if tensor.is_nested or str(tensor.layout) != "torch.strided":
        raise TypeError(f"{name} must be a dense tensor, got layout {tensor.layout}: call .to_dense() first")
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and has no values")
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().numpy()


def picture_and_region(picture, region, name: str, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """A colour picture and a part of it, once they fit and the part is neither nothing nor all.

    Args:
        picture: (H, W, 3) numbers.
        region: (H, W) of bool.
        name: what the caller calls the region, for errors.
        rule: what it must be or do, for the error of a region of no or of all pixels.

    Returns:
        The picture as float32, and the region.

    Raises:
        ValueError: another shape or dtype, or a region of no or of all pixels.
    """
    picture, region = as_array(picture, "picture").astype(np.float32), as_array(region, name)
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"picture must be (H, W, 3), got {picture.shape}")
    if region.dtype != bool or region.shape != picture.shape[:2]:
        raise ValueError(f"{name} must be {picture.shape[:2]} of bool, got {region.shape} of {region.dtype}")
    if not region.any() or region.all():
        raise ValueError(f"{name} must {rule}, got {region.sum()} of {region.size} pixels")
    return picture, region
