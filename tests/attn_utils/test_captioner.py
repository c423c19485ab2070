"""The captioner: no word sees itself or what comes after it, and what it writes is what it would read."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.captioner import TOLD, Captioner
from attn_utils.record import record_attention

B, M, D, WORDS, L, HEADS = 3, 7, 10, 11, 5, 2


def made(told="all"):
    torch.manual_seed(1)
    model = Captioner(nn.Linear(4, D), words=WORDS, length=L, dim=D, depth=2, heads=HEADS, told=told).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    return model.eval()


def inputs():
    torch.manual_seed(2)
    return torch.rand(B, M, 4, dtype=torch.float64), torch.randint(WORDS, (B, L))


@pytest.mark.parametrize(
    ("told", "known"), [("all", lambda at: range(at)), ("last", lambda at: range(at)[-1:]), ("none", lambda at: ())]
)
def test_a_word_is_told_what_it_should_be(told, known):
    model, (images, captions) = made(told), inputs()
    for changed in range(L):
        other = captions.clone()
        other[:, changed] = (other[:, changed] + 1) % WORDS
        moved = (model(images, other) - model(images, captions)).abs().amax((0, 2)) > 1e-12  # (L,)
        assert moved.tolist() == [changed in known(at) for at in range(L)]


@pytest.mark.parametrize("told", TOLD)
def test_written_words_are_the_most_probable_ones_given_those_before(told):
    model, (images, _) = made(told), inputs()
    written = model.write(images)
    assert_close(model(images, written).argmax(-1), written)
    assert_close(model.write(images[1:2]), written[1:2])


def test_drawn_words_follow_their_probabilities():
    model, (images, _) = made(), inputs()
    many = images[:1].expand(4000, -1, -1)
    drawn = model.write(many, generator=torch.Generator().manual_seed(0))
    shares = model(images[:1], drawn[:1]).softmax(-1)[0, 0]
    found = torch.bincount(drawn[:, 0], minlength=WORDS) / 4000
    assert_close(found.double(), shares, atol=0.03, rtol=0)
    again = model.write(many, generator=torch.Generator().manual_seed(0))
    assert_close(again, drawn)


def test_every_word_looks_at_the_places():
    model, (images, captions) = made(), inputs()
    with record_attention(model) as maps:
        model(images, captions)
    assert [name for name in maps if name.endswith("cross")] == ["blocks.0.cross", "blocks.1.cross"]
    assert maps["blocks.1.cross"].shape == (B, HEADS, L, M)
    assert (maps["blocks.0.attention"].triu(1) == 0).all()


def test_variants_have_the_same_parameters_and_all_are_trained():
    images, captions = inputs()
    sizes = set()
    for told in TOLD:
        model = made(told)
        model(images, captions).square().sum().backward()
        assert {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()} == set()
        sizes.add(tuple((name, tuple(p.shape)) for name, p in model.named_parameters()))
    assert len(sizes) == 1


def test_rejections():
    with pytest.raises(ValueError, match='told must be "all", "last" or "none", got "some"|told must be'):
        made("some")
    images, captions = inputs()
    with pytest.raises(ValueError, match="captions must"):
        made()(images, captions[:, 1:])
