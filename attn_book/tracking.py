"""Following a target through clips without attention: a template that is looked for, a steady pace; and what a track is worth."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_book.data.checks import check_choice, check_number, check_whole

COMPARE = ("difference", "correlation")


def steady_pace(centres: Tensor) -> Tensor:
    """Where the target would be if it went on as it did between the first two frames.

    Args:
        centres: (n, T, 2) px; the first two frames count.

    Returns:
        (n, T, 2) px.
    """
    start, pace = centres[:, :1], centres[:, 1:2] - centres[:, :1]
    return start + pace * torch.arange(centres.shape[1]).to(centres)[:, None]


def template_tracker(
    frames: Tensor,
    masks: Tensor,
    centres: Tensor,
    *,
    side: int = 15,
    compare: str = "difference",
    update: float = 0.0,
    radius: float = 8.0,
    pace: bool = True,
) -> Tensor:
    """The target's pixels as a template, looked for in each frame near where the target was, or near where it should be by now.

    Args:
        frames: (n, T, 3, H, W).
        masks: (n, T, H, W) bool; that of the second frame counts.
        centres: (n, T, 2) px, x and y; those of the first two frames count.
        side: px of the template, odd.
        compare: "difference", the mean squared difference over the target's pixels, or "correlation", the normalised correlation of the two
            over them, which does not mind light and contrast.
        update: how much of the template is replaced by what was found, in each frame, 0 to 1; its outline stays.
        radius: px, how far from the expected place is looked.
        pace: whether the expected place is the last one plus the last step, instead of the last one.

    Returns:
        (n, T, 2) px; the first two as given.

    Raises:
        ValueError: for an argument outside its range.
    """
    check_choice("compare", compare, COMPARE)
    update, radius = check_number("update", update, 0, 1), check_number("radius", radius, 1)
    if check_whole("side", side, 3) % 2 == 0:
        raise ValueError(f"side must be odd, got {side}")
    T, _, H, W = frames.shape[1:]
    seen = torch.cat([frames, masks[:, :, None].to(frames)], 2)  # the mask as a fourth colour, to be cut out with the rest
    cut = _cut(seen[:, 1], centres[:, 1], side)
    template, mask = cut[:, :3], cut[:, 3:]
    places = torch.stack(torch.meshgrid(torch.arange(W), torch.arange(H), indexing="xy"), -1).to(frames) + 0.5  # (H, W, 2)
    found = [centres[:, 0], centres[:, 1]]
    for t in range(2, T):
        expected = 2 * found[-1] - found[-2] if pace else found[-1]
        expected = torch.stack([expected[:, 0].clamp(0.5, W - 0.5), expected[:, 1].clamp(0.5, H - 0.5)], -1)
        likeness = _likeness(frames[:, t], template, mask, compare)
        away = (places - expected[:, None, None]).norm(dim=-1)
        best = likeness.masked_fill(away > radius, -torch.inf).flatten(1).argmax(1)
        found.append(places.flatten(0, 1)[best])
        if update:
            template = (1 - update) * template + update * _cut(frames[:, t], found[-1], side)
    return torch.stack(found, 1)


def track_scores(found: Tensor, centres: Tensor, rivals: Tensor, crossing: Tensor, *, near: float = 4.0, later: int = 3) -> dict:
    """Shares of frames in which a track is on its target, over all clips.

    Args:
        found, centres, rivals: (n, T, 2) px: the track, the target's middle and the rival's.
        crossing: (n,), the frame in which the two meet.
        near: px, how far from a middle is still on it; on both, the nearer one counts.
        later: frames from the meeting until they are apart.

    Returns:
        {"on target": share of all frames after the second, "after": of those from crossing + later on, "on rival": share of these in which
        the track is on the rival instead, "lost": on neither}.
    """
    miss, other = (found - centres).norm(dim=-1), (found - rivals).norm(dim=-1)
    on, off = (miss <= near) & (miss <= other), (other <= near) & (other < miss)
    after = torch.arange(found.shape[1], device=found.device) >= crossing[:, None] + later
    share = lambda hit, where: hit[where].float().mean().item()
    judged = torch.ones_like(after)
    judged[:, :2] = False
    return {
        "on target": share(on, judged),
        "after": share(on, after),
        "on rival": share(off, after),
        "lost": share(~on & ~off, after),
    }


def _cut(pictures, centres, side):
    """(n, C, side, side): squares around the pixel that a centre lies in; zeros outside the picture."""
    padded = F.pad(pictures, (side // 2,) * 4)
    x, y = (centres.floor().long()[:, None] + torch.arange(side, device=centres.device)[:, None]).unbind(-1)  # (n, side) each
    which = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    return padded[which, :, y[:, :, None], x[:, None, :]].movedim(-1, 1)


def _likeness(pictures, template, mask, compare):
    """(n, H, W): how well the template's pixels fit at every place; what lies outside the picture is zero."""
    slide = lambda kernels, inputs: F.conv2d(
        inputs.flatten(0, 1)[None], kernels, padding=kernels.shape[-1] // 2, groups=len(pictures)
    )[0]
    weights = mask.expand_as(template) / mask.sum((1, 2, 3), keepdim=True).clamp(min=1) / 3  # sum to 1
    mixed, squares = slide(weights * template, pictures), slide(weights, pictures**2)
    if compare == "difference":
        return 2 * mixed - squares
    mean, own = slide(weights, pictures), (weights * template).sum((1, 2, 3), keepdim=True)[:, 0]
    spread = (squares - mean**2).clamp(min=1e-6).sqrt()
    return (mixed - mean * own) / spread
