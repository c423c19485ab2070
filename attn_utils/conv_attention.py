"""Attention inside convolutional networks: squeeze-and-excitation, ECA, CBAM, the non-local block, the attention gate.

All work on feature maps (B, C, H, W) and return one of the same shape. Each is a function that takes its parameters as
arguments and returns `(out, weights)`, and a thin module that owns them and returns `out` alone; `attn_utils.record`
can record the weights of every module here.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.attention import attention
from attn_utils.shapes import check_divides, check_map, check_odd, check_shape, check_size

# ---------------------------------------------------------------------------------------------------- functions


def squeeze_excite(x: Tensor, reduce: Tensor, expand: Tensor) -> tuple[Tensor, Tensor]:
    """One weight per channel, from the averages of all channels.

    z_c = mean of x_c over the picture,   s = σ(W₂ ReLU(W₁ z)),   out_c = s_c x_c

    Args:
        x: feature map, (B, C, H, W), floating point.
        reduce: W₁, (C/r, C).
        expand: W₂, (C, C/r).

    Returns:
        out, (B, C, H, W), and weights s, (B, C), each in (0, 1): they need not sum to 1.

    Raises:
        TypeError, ValueError: x is not a floating-point map, or its channels do not fit W₁.

    Source: Hu et al. 2018, arXiv:1709.01507, equations 2 to 4.
    """
    check_map("x", x, reduce.shape[1])
    z = x.mean(dim=(-2, -1))  # (B, C)
    weights = torch.sigmoid(F.relu(z @ reduce.T) @ expand.T)  # (B, C)
    return weights[..., None, None] * x, weights


def efficient_channel(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """One weight per channel, from the averages of the k channels around it: a 1-D convolution along the channels.

    z_c = mean of x_c over the picture,   s_c = σ(Σ_j kernel_j z_(c + j - (k-1)/2)),   out_c = s_c x_c

    Args:
        x: feature map, (B, C, H, W), floating point.
        kernel: (k,), k odd; channels before the first and after the last count as 0.

    Returns:
        out, (B, C, H, W), and weights s, (B, C), each in (0, 1).

    Raises:
        TypeError, ValueError: x is not a floating-point map, or the kernel is not of odd length.

    Source: Wang et al. 2020, arXiv:1910.03151, section 3.2.
    """
    check_map("x", x)
    check_shape("kernel", kernel, ("k",))
    check_odd("the k of kernel", len(kernel))
    z = x.mean(dim=(-2, -1))  # (B, C)
    weights = torch.sigmoid(F.conv1d(z[:, None], kernel[None, None], padding="same")[:, 0])  # (B, C)
    return weights[..., None, None] * x, weights


def channel_gate(x: Tensor, reduce: Tensor, expand: Tensor) -> tuple[Tensor, Tensor]:
    """CBAM's first half, *what* to look at: squeeze-and-excitation that sees the maximum beside the mean.

    s = σ(MLP(mean over the picture) + MLP(maximum over the picture)),   MLP(z) = W₂ ReLU(W₁ z),   out_c = s_c x_c

    Args:
        x, reduce, expand: as in `squeeze_excite`.

    Returns:
        out, (B, C, H, W), and weights s, (B, C), each in (0, 1).

    Source: Woo et al. 2018, arXiv:1807.06521, equation 2.
    """
    check_map("x", x, reduce.shape[1])
    mean, peak = x.mean(dim=(-2, -1)), x.amax(dim=(-2, -1))  # (B, C), (B, C)
    weights = torch.sigmoid((F.relu(mean @ reduce.T) + F.relu(peak @ reduce.T)) @ expand.T)
    return weights[..., None, None] * x, weights


def spatial_gate(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """CBAM's second half, *where* to look: one weight per pixel, the same for all channels.

    s = σ(kernel ∗ [mean over channels; maximum over channels]),   out = s x

    Args:
        x: feature map, (B, C, H, W), floating point.
        kernel: (2, k, k), k odd; in the paper k = 7.

    Returns:
        out, (B, C, H, W), and weights s, (B, 1, H, W), each in (0, 1).

    Raises:
        TypeError, ValueError: x is not a floating-point map, or the kernel is not (2, k, k) with k odd.

    Source: Woo et al. 2018, arXiv:1807.06521, equation 3.
    """
    check_map("x", x)
    check_shape("kernel", kernel, (2, "k", "k"))
    check_odd("the k of kernel", len(kernel[0]))
    summary = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)  # (B, 2, H, W)
    weights = torch.sigmoid(F.conv2d(summary, kernel[None], padding="same"))  # (B, 1, H, W)
    return weights * x, weights


def embedded_gaussian(theta: Tensor, phi: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Every pixel looks at every pixel: the weighted sum inside a non-local block.

    y_n = Σ_m A_nm g_m,   A_nm = exp(θ_n · φ_m) / Σ_m' exp(θ_n · φ_m')

    Args:
        theta, phi: what a pixel asks for and what it offers, (B, d, H, W) each: queries and keys.
        g: what it passes on, (B, d_v, H, W): values.

    Returns:
        y, (B, d_v, H, W), and weights A, (B, N, N) with N = H·W; rows sum to 1 over the keys.

    Source: Wang et al. 2018, arXiv:1711.07971, equations 1 and 3.
    """
    H, W = theta.shape[-2:]
    q, k, v = (t.flatten(2).transpose(1, 2) for t in (theta, phi, g))  # (B, N, d | d_v)
    y, weights = attention(q, k, v, scale=1.0)  # (B, N, d_v), (B, N, N)
    return y.transpose(1, 2).unflatten(2, (H, W)), weights


def attention_gate(
    x: Tensor, g: Tensor, W_x: Tensor, W_g: Tensor, b_g: Tensor, psi: Tensor, b_psi: Tensor
) -> tuple[Tensor, Tensor]:
    """A coarse map decides which pixels of a fine map may pass: additive attention with a sigmoid.

    s_n = ψ · ReLU(W_x x_n + W_g g_n + b_g) + b_ψ,   out_n = σ(s_n) x_n

    Args:
        x: fine map, from a skip connection, (B, C, H, W), floating point.
        g: gating map, (B, C_g, H', W'); enlarged to H × W by bilinear interpolation.
        W_x, W_g: (hidden, C) and (hidden, C_g).
        b_g, psi: (hidden,) each.
        b_psi: (1,), or a scalar.

    Returns:
        out, (B, C, H, W), and weights σ(s), (B, 1, H, W), each in (0, 1).

    Raises:
        TypeError, ValueError: x or g is not a floating-point map, or channels do not fit.

    Source: Oktay et al. 2018, arXiv:1804.03999, equations 1 and 2.
    Differs from the paper: it brings x down to the grid of g and the weights back up; here g comes up to the grid of x.
    """
    check_map("x", x, W_x.shape[1])
    check_map("g", g, W_g.shape[1])
    asked = torch.einsum("kc, bchw -> bkhw", W_g, g)  # (B, hidden, H', W')
    asked = F.interpolate(asked, size=x.shape[-2:], mode="bilinear", align_corners=False)
    found = torch.einsum("kc, bchw -> bkhw", W_x, x)  # (B, hidden, H, W)
    scores = torch.einsum("k, bkhw -> bhw", psi, F.relu(found + asked + b_g[:, None, None])) + b_psi
    weights = torch.sigmoid(scores)[:, None]  # (B, 1, H, W)
    return weights * x, weights


def eca_kernel_size(channels: int) -> int:
    """The odd number next to (log₂ C + 1) / 2, at least 1; an even one goes up (arXiv:1910.03151, section 3.2, γ = 2, b = 1)."""
    size = int((math.log2(check_size("channels", channels)) + 1) / 2)
    return size if size % 2 else size + 1


# ------------------------------------------------------------------------------------------------------ modules


class SE(nn.Module):
    """Squeeze-and-excitation: `squeeze_excite` with 2 C²/r parameters.

    Args:
        channels: C.
        reduction: r, a divisor of C.

    Shapes:
        forward(x) -> out; (B, C, H, W) both.

    Source: Hu et al. 2018, arXiv:1709.01507; without biases, as in the paper's equation 3.
    """

    def __init__(self, channels: int, *, reduction: int = 16):
        super().__init__()
        self.reduce, self.expand = _bottleneck(channels, reduction)
        self.weights = nn.Identity()  # for the recorder

    def forward(self, x: Tensor) -> Tensor:
        out, weights = squeeze_excite(x, self.reduce.weight, self.expand.weight)
        self.weights(weights)
        return out


class ECA(nn.Module):
    """Efficient channel attention: `efficient_channel` with k parameters.

    Args:
        channels: C; it only sets k.
        kernel_size: k, odd; None means `eca_kernel_size(channels)`.

    Shapes:
        forward(x) -> out; (B, C, H, W) both.

    Source: Wang et al. 2020, arXiv:1910.03151.
    """

    def __init__(self, channels: int, *, kernel_size: int | None = None):
        super().__init__()
        usual = eca_kernel_size(channels)
        size = usual if kernel_size is None else check_odd("kernel_size", kernel_size)
        self.kernel = nn.Parameter(torch.empty(size).uniform_(-1, 1) * size**-0.5)
        self.weights = nn.Identity()  # for the recorder

    def forward(self, x: Tensor) -> Tensor:
        out, weights = efficient_channel(x, self.kernel)
        self.weights(weights)
        return out


class CBAM(nn.Module):
    """Convolutional block attention: `channel_gate`, then `spatial_gate`; 2 C²/r + 2 k² parameters.

    Args:
        channels: C.
        reduction: r, a divisor of C.
        kernel_size: k, odd.

    Shapes:
        forward(x) -> out; (B, C, H, W) both. The recorder sees the weights of the spatial half, (B, 1, H, W).

    Source: Woo et al. 2018, arXiv:1807.06521, equations 1 to 3.
    Differs from the paper's code: no biases and no batch norm, as in the paper's formulas.
    """

    def __init__(self, channels: int, *, reduction: int = 16, kernel_size: int = 7):
        super().__init__()
        self.reduce, self.expand = _bottleneck(channels, reduction)
        self.spatial = nn.Conv2d(2, 1, check_odd("kernel_size", kernel_size), bias=False)
        self.weights = nn.Identity()  # for the recorder

    def forward(self, x: Tensor) -> Tensor:
        x, _ = channel_gate(x, self.reduce.weight, self.expand.weight)
        out, weights = spatial_gate(x, self.spatial.weight[0])
        self.weights(weights)
        return out


class NonLocal(nn.Module):
    """Non-local block, embedded Gaussian: a residual branch in which every pixel looks at every pixel.

    z_n = W_z y_n + x_n, with y from `embedded_gaussian` of three 1×1 convolutions of x; 4 C d + 3 d + C parameters.

    Args:
        channels: C.
        inner: d, the width of queries, keys and values; None means C/2, as in the paper.

    Shapes:
        forward(x) -> z; (B, C, H, W) both. A new block returns x unchanged, because W_z starts at zero.

    Source: Wang et al. 2018, arXiv:1711.07971, equations 1, 3 and 6.
    Differs from the paper: W_z starts at zero, where it has a batch norm that starts at zero after W_z; no subsampling.
    """

    def __init__(self, channels: int, *, inner: int | None = None):
        super().__init__()
        channels = check_size("channels", channels)
        inner = check_size("inner", channels // 2 if inner is None else inner)
        self.theta, self.phi, self.g = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.z = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.z.weight)
        nn.init.zeros_(self.z.bias)
        self.weights = nn.Identity()  # for the recorder

    def forward(self, x: Tensor) -> Tensor:
        check_map("x", x, self.z.out_channels)
        y, weights = embedded_gaussian(self.theta(x), self.phi(x), self.g(x))  # (B, d, H, W), (B, N, N)
        self.weights(weights)
        return self.z(y) + x


class AttentionGate(nn.Module):
    """The gate on a skip connection of the Attention U-Net: `attention_gate` with hidden · (C + C_g + 2) + 1 parameters.

    Args:
        channels: C, of the fine map.
        gate_channels: C_g, of the coarse gating map.
        hidden: width of the sum; None means C/2.

    Shapes:
        forward(x, g) -> out; x and out (B, C, H, W), g (B, C_g, H', W').

    Source: Oktay et al. 2018, arXiv:1804.03999, equations 1 and 2.
    """

    def __init__(self, channels: int, *, gate_channels: int, hidden: int | None = None):
        super().__init__()
        channels, gate_channels = check_size("channels", channels), check_size("gate_channels", gate_channels)
        hidden = max(1, channels // 2) if hidden is None else check_size("hidden", hidden)
        self.x = nn.Linear(channels, hidden, bias=False)
        self.g = nn.Linear(gate_channels, hidden)
        self.psi = nn.Linear(hidden, 1)
        self.weights = nn.Identity()  # for the recorder

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        out, weights = attention_gate(x, g, self.x.weight, self.g.weight, self.g.bias, self.psi.weight[0], self.psi.bias)
        self.weights(weights)
        return out


def _bottleneck(channels: int, reduction: int) -> tuple[nn.Linear, nn.Linear]:
    reduction, channels = check_divides("reduction", reduction, "channels", channels)
    hidden = channels // reduction
    return nn.Linear(channels, hidden, bias=False), nn.Linear(hidden, channels, bias=False)
