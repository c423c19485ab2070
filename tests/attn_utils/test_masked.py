"""Masked autoencoding: what is hidden stays hidden, counts, order of patches, and the loss by hand."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.dit import to_picture
from attn_utils.masked import MaskedAutoencoder, VisibleOnly, blanked, masked_loss, random_hidden, to_patches, visible_tokens
from attn_utils.vit import ViT

B, C, P, ROWS, COLUMNS, D = 3, 2, 2, 3, 5, 12
H, W, N = P * ROWS, P * COLUMNS, ROWS * COLUMNS


def vit(**changes):
    torch.manual_seed(1)
    size = {"image_size": (H, W), "patch": P, "classes": 7, "dim": D, "depth": 2, "heads": 3, "channels": C}
    return ViT(**(size | changes)).double().eval()


def pictures():
    torch.manual_seed(2)
    return torch.rand(B, C, H, W, dtype=torch.float64), random_hidden(B, N, 0.7)


def test_patches_are_put_together_again():
    images, _ = pictures()
    patches = to_patches(images, P)
    assert patches.shape == (B, N, C * P * P)
    assert_close(to_picture(patches, (ROWS, COLUMNS), P), images)
    assert_close(patches[1, 7].reshape(P, P, C), images[1, :, 2:4, 4:6].permute(1, 2, 0))  # row 1, column 2


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.25, 4), (0.7, 10), (0.99, 14)])
def test_as_many_are_hidden_in_every_picture(share, count):
    torch.manual_seed(0)
    hidden = random_hidden(400, N, share)
    assert (hidden.sum(1) == count).all()
    assert_close(hidden.double().mean(0), torch.full((N,), count / N, dtype=torch.float64), atol=0.1, rtol=0)


@pytest.mark.parametrize("positions", ["learned", "sincos", "none"])
@pytest.mark.parametrize("readout", ["class_token", "mean"])
def test_with_nothing_hidden_it_is_the_vit(readout, positions):
    model, (images, _) = vit(readout=readout, positions=positions), pictures()
    tokens = visible_tokens(model, images, torch.zeros(B, N, dtype=torch.bool))
    assert_close(tokens, model.features(images)[:, -N:])


def test_shown_tokens_stand_at_their_places_and_know_nothing_of_hidden_ones():
    model, (images, hidden) = vit(), pictures()
    tokens = visible_tokens(model, images, hidden)
    assert (tokens[hidden] == 0).all() and (tokens[~hidden] != 0).all()
    others = torch.where(hidden[..., None], torch.rand(B, N, C * P * P, dtype=torch.float64), to_patches(images, P))
    assert_close(visible_tokens(model, to_picture(others, (ROWS, COLUMNS), P), hidden), tokens)
    mask = torch.cat([torch.ones(B, 1, dtype=torch.bool), ~hidden], 1)[:, None]  # the same by forbidding hidden keys
    assert_close(tokens[~hidden], model.features(images, mask)[:, 1:][~hidden])


def test_without_mixing_each_token_is_that_of_its_patch_alone():
    model, (images, hidden) = vit(), pictures()
    tokens = visible_tokens(model, images, hidden, mixing=False)
    one = torch.ones_like(hidden)
    place = int((~hidden[0]).nonzero()[0])
    one[:, place] = False
    alone = visible_tokens(model, images, one, mixing=False)
    assert_close(alone[0, place], tokens[0, place])
    assert not torch.allclose(visible_tokens(model, images, hidden)[0, place], tokens[0, place])


def test_blanked_patches_have_the_mean_colour_of_the_rest():
    images, hidden = pictures()
    patches, blank = to_patches(images, P), to_patches(blanked(images, hidden, P), P)
    assert_close(blank[~hidden], patches[~hidden])
    for b in range(B):
        mean = patches[b][~hidden[b]].reshape(-1, C).mean(0)
        assert_close(blank[b][hidden[b]].reshape(-1, C), mean.expand(10 * P * P, C))


def autoencoder(encoder, width=D):
    torch.manual_seed(3)
    return MaskedAutoencoder(encoder, width=width, image_size=(H, W), patch=P, dim=8, channels=C).double()


def test_a_prediction_uses_what_is_shown_and_nothing_else():
    (images, hidden), model = pictures(), autoencoder(VisibleOnly(vit()))
    images.requires_grad_()
    out = model(images, hidden)
    assert out.shape == (B, N, C * P * P)
    (slope,) = torch.autograd.grad(out[hidden].square().sum(), images)
    used = to_patches(slope, P).abs().amax(-1) > 0
    assert (used == ~hidden).all()


def test_what_an_encoder_says_of_hidden_patches_is_not_looked_at():
    class Tells(nn.Module):
        def forward(self, images, hidden):
            return torch.where(hidden[..., None], lie, torch.ones(B, N, D, dtype=torch.float64))

    (images, hidden), model = pictures(), autoencoder(Tells())
    lie = torch.tensor(0.0, dtype=torch.float64)
    first = model(images, hidden)
    lie = torch.tensor(9.0, dtype=torch.float64)
    assert_close(model(images, hidden), first)


def test_all_of_it_is_trained():
    (images, hidden), model = pictures(), autoencoder(VisibleOnly(vit()))
    masked_loss(model(images, hidden), images, hidden, P).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == {"encoder.vit.head.weight", "encoder.vit.head.bias"}


def test_loss_by_hand():
    images = torch.zeros(1, 1, 2, 4)
    images[0, 0, :, 2:] = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # second patch: mean 1/2, variance 1/4
    hidden = torch.tensor([[False, True]])
    predicted = torch.full((1, 2, 4), 0.5)
    assert_close(masked_loss(predicted, images, hidden, 2, normalised=False), torch.tensor(0.25))
    x = 0.5 / 0.26**0.5
    assert_close(masked_loss(predicted, images, hidden, 2), torch.tensor(((0.5 - x) ** 2 + (0.5 + x) ** 2) / 2))


def test_rejections():
    images, hidden = pictures()
    with pytest.raises(ValueError, match="patch must divide height and width, got patch=4"):
        to_patches(images, 4)
    with pytest.raises(ValueError, match="N must be an integer of at least 2, got 1"):
        random_hidden(2, 1, 0.5)
    with pytest.raises(ValueError, match="share must lie in"):
        random_hidden(2, 4, 1.5)
    uneven = hidden.clone()
    uneven[0] = True
    with pytest.raises(ValueError, match="hide as many patches of every picture, and not all"):
        visible_tokens(vit(), images, uneven)
    with pytest.raises(ValueError, match="hidden must"):
        visible_tokens(vit(), images, hidden[:, 1:])
    with pytest.raises(ValueError, match="hidden must hide a patch, got none"):
        masked_loss(to_patches(images, P), images, torch.zeros_like(hidden), P)
    with pytest.raises(ValueError, match="predicted must"):
        masked_loss(to_patches(images, P)[:, 1:], images, hidden, P)
