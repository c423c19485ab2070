"""Set prediction: matching and loss by hand, picture by picture, in any order, and equal to Hugging Face's DETR on random numbers."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.attention import attention
from attn_utils.boxes import to_corners
from attn_utils.detection import BoxAttention, DecoderLayer, focal_loss, match, matching_cost, set_loss
from attn_utils.record import record_attention

B, N, K, C = 5, 11, 3, 7
COUNTS = [3, 0, 1, 2, 0]  # objects of each picture
WEIGHTS = {"softmax": (1.0, 5.0, 2.0), "focal": (2.0, 5.0, 2.0)}


def case(kind, seed=0):
    """Predictions and truth: logits, boxes, labels, targets."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, N, C + (kind == "softmax"), generator=g, dtype=torch.float64)
    boxes = torch.rand(B, N, 4, generator=g, dtype=torch.float64) * 0.5 + 0.1
    targets = torch.rand(B, K, 4, generator=g, dtype=torch.float64) * 0.5 + 0.1
    labels = torch.randint(C, (B, K), generator=g)
    labels[torch.arange(K) >= torch.tensor(COUNTS)[:, None]] = -1
    return logits, boxes, labels, targets


def matched(kind, *parts):
    return match(matching_cost(*parts, kind=kind, weights=WEIGHTS[kind]), parts[2] >= 0)


def as_set(pairs):
    return set(zip(*(index.tolist() for index in pairs)))


# -------------------------------------------------------------------------------------------------------- matching


def test_matching_by_hand():
    """Greedy matching would take the 1, and then the 8; the best pairs cost 2 + 3."""
    cost = torch.tensor([[[1.0, 2.0], [3.0, 9.0], [7.0, 8.0]]])
    assert as_set(match(cost, torch.ones(1, 2, dtype=torch.bool))) == {(0, 1, 0), (0, 0, 1)}


def test_no_assignment_is_cheaper():
    torch.manual_seed(1)
    cost = torch.rand(4, 5, 3)
    pairs = match(cost, torch.ones(4, 3, dtype=torch.bool))
    for picture in range(4):
        mine = pairs[0] == picture
        best = min(sum(cost[picture, q, k] for k, q in enumerate(queries)) for queries in itertools.permutations(range(5), 3))
        assert_close(cost[picture, pairs[1][mine], pairs[2][mine]].sum(), best)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_object_has_one_query_and_missing_ones_have_none(kind):
    parts = case(kind)
    picture, query, which = matched(kind, *parts)
    assert torch.bincount(picture, minlength=B).tolist() == COUNTS
    assert (parts[2][picture, which] >= 0).all()
    assert len({*zip(picture.tolist(), query.tolist())}) == len({*zip(picture.tolist(), which.tolist())}) == sum(COUNTS)


def test_empty_targets():
    none = torch.full((B, K), -1)
    for kind in WEIGHTS:
        logits, boxes, _, targets = case(kind)
        for labels, at in ((none, targets), (none[:, :0], targets[:, :0])):
            pairs = matched(kind, logits, boxes, labels, at)
            assert [len(index) for index in pairs] == [0, 0, 0]
            assert all(index.dtype == torch.int64 for index in pairs)
            terms = set_loss(logits.requires_grad_(), boxes.requires_grad_(), labels, at, pairs, kind=kind)
            assert terms["l1"].item() == terms["giou"].item() == 0.0
            assert terms["class"].item() > 0
            gradients = torch.autograd.grad(sum(terms.values()), [logits, boxes])
            assert all(g.isfinite().all() for g in gradients)


def test_more_objects_than_queries_leaves_the_dearest_out():
    cost = torch.tensor([[[3.0, 1.0, 2.0]]])
    assert as_set(match(cost, torch.ones(1, 3, dtype=torch.bool))) == {(0, 0, 1)}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_batch_is_its_pictures_one_at_a_time(kind):
    parts = case(kind)
    together = matched(kind, *parts)
    alone = set()
    for i in range(B):
        alone |= {(i, q, k) for _, q, k in as_set(matched(kind, *(part[i : i + 1] for part in parts)))}
    assert as_set(together) == alone


@pytest.mark.parametrize("kind", WEIGHTS)
def test_neither_order_of_queries_nor_of_objects_matters(kind):
    logits, boxes, labels, targets = case(kind)
    pairs = matched(kind, logits, boxes, labels, targets)
    before = set_loss(logits, boxes, labels, targets, pairs, kind=kind)
    queries, objects = torch.randperm(N), torch.randperm(K)
    moved = logits[:, queries], boxes[:, queries], labels[:, objects], targets[:, objects]
    picture, query, which = matched(kind, *moved)
    assert as_set((picture, queries[query], objects[which])) == as_set(pairs)
    after = set_loss(*moved, (picture, query, which), kind=kind)
    assert_close(after, before)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_what_stands_in_missing_places_does_not_matter(kind):
    logits, boxes, labels, targets = case(kind)
    other = torch.where((labels < 0)[..., None], torch.nan, targets)
    pairs = matched(kind, logits, boxes, labels, other)
    assert as_set(pairs) == as_set(matched(kind, logits, boxes, labels, targets))
    assert_close(set_loss(logits, boxes, labels, other, pairs), set_loss(logits, boxes, labels, targets, pairs))


def test_a_cost_that_is_no_number_is_a_training_that_diverged():
    cost = torch.zeros(2, 3, 2)
    cost[1, 2, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="cost must be finite"):
        match(cost, torch.ones(2, 2, dtype=torch.bool))
    assert len(match(cost, torch.tensor([[True, True], [False, True]]))[0]) == 3  # that object is not there


# ---------------------------------------------------------------------------------------------------------- losses


def test_focal_loss_by_hand_and_without_focus():
    logit = torch.tensor([0.0, 0.0, np.log(3.0)], dtype=torch.float64)
    truth = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    by_hand = [0.25 * 0.25 * np.log(2), 0.75 * 0.25 * np.log(2), 0.25 * 0.0625 * np.log(4 / 3)]
    assert_close(focal_loss(logit, truth), torch.tensor(by_hand, dtype=torch.float64))
    plain = nn.functional.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    assert_close(focal_loss(logit, truth, alpha=0.5, gamma=0.0), plain / 2)


def test_set_loss_by_hand():
    """Two queries, one object: the first has it, with half its box; the second is empty."""
    logits = torch.zeros(1, 2, 2)
    boxes = torch.tensor([[[0.25, 0.5, 0.5, 1.0], [0.5, 0.5, 0.1, 0.1]]])
    labels, targets = torch.tensor([[0]]), torch.tensor([[[0.5, 0.5, 1.0, 1.0]]])
    pairs = tuple(torch.tensor([0]) for _ in range(3))
    terms = set_loss(logits, boxes, labels, targets, pairs, kind="softmax", no_object=0.5)
    assert terms["l1"].item() == pytest.approx(0.25 + 0.5)
    assert terms["giou"].item() == pytest.approx(1 - 0.5)
    assert terms["class"].item() == pytest.approx(np.log(2))
    logits[0, 1, 0] = np.log(3)  # the empty query says "object" with probability 3/4
    terms = set_loss(logits, boxes, labels, targets, pairs, kind="softmax", no_object=0.5)
    assert terms["class"].item() == pytest.approx((np.log(2) + 0.5 * np.log(4)) / 1.5)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_the_weights_of_the_no_object_class_and_gradients(kind):
    logits, boxes, labels, targets = case(kind)
    pairs = matched(kind, logits, boxes, labels, targets)
    total = lambda logits, boxes: sum(set_loss(logits, boxes, labels, targets, pairs, kind=kind).values())
    assert torch.autograd.gradcheck(total, (logits.requires_grad_(), boxes.requires_grad_()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "hinge"}, 'kind must be "focal" or "softmax", got'),
        ({"logits": torch.zeros(2, 3)}, "logits must have shape (B, N, C), got (2, 3)"),
        ({"boxes": torch.zeros(B, N, 5)}, f"boxes must have shape ({B}, {N}, 4), got ({B}, {N}, 5)"),
        ({"labels": torch.full((B, K), C)}, f"labels must lie between -1 (no object) and {C - 1}, got {C} to {C}"),
        ({"labels": torch.full((B, K), -2)}, f"labels must lie between -1 (no object) and {C - 1}, got -2 to -2"),
        ({"targets": torch.zeros(B, K + 1, 4)}, f"targets must have shape ({B}, {K}, 4), got ({B}, {K + 1}, 4)"),
    ],
)
def test_rejections(change, words):
    parts = dict(zip(("logits", "boxes", "labels", "targets"), case("focal")), kind="focal") | change
    pairs = tuple(torch.zeros(0, dtype=torch.long) for _ in range(3))
    for call in (lambda: matching_cost(**parts), lambda: set_loss(**parts, pairs=pairs)):
        with pytest.raises(ValueError) as raised:
            call()
        assert words in str(raised.value)


def test_match_rejects_what_does_not_fit():
    with pytest.raises(ValueError, match="present must have shape"):
        match(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))


# --------------------------------------------------------------------------------------------------- decoder layer


def randomised(module, seed=0):
    """The module in float64, with every parameter random: as made, biases are 0 and norms 1."""
    torch.manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return module


def tokens(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def decoder_inputs():
    return tokens(3, 7, 24), tokens(3, 13, 24, seed=2), tokens(7, 24, seed=3), tokens(13, 24, seed=4)


def test_attention_round_boxes_is_attention_with_a_gaussian_added_to_the_scores():
    layer = randomised(BoxAttention(24, heads=3))
    x, context, _, _ = decoder_inputs()
    boxes, places = torch.rand(3, 7, 4, dtype=torch.float64) * 0.5 + 0.1, torch.rand(13, 2, dtype=torch.float64)
    with record_attention(layer) as maps:
        out = layer(x, context, boxes, places)
    q, k, v = layer._project(x, context)
    shift = layer.offset(x).unflatten(-1, (3, 2))  # (B, N, heads, 2)
    centre = boxes[:, :, None, :2] + shift * boxes[:, :, None, 2:] / 2
    width = boxes[:, :, None, 2:] / 2 * layer.log_width.exp()[:, None] + 1e-3
    away = ((places - centre[..., None, :]) / width[..., None, :]).square().sum(-1).transpose(1, 2)  # (B, heads, N, M)
    weights = (q @ k.transpose(-1, -2) / 8**0.5 - away / 2).softmax(-1)
    assert_close(maps[""], weights)
    assert_close(out, layer.out((weights @ v).transpose(1, 2).flatten(2)))


def test_the_prior_alone_looks_at_the_box():
    """With silent queries the weights are the Gaussian: largest at the box's centre, and wider for a larger box."""
    layer = BoxAttention(8, heads=1)
    nn.init.zeros_(layer.offset.bias)
    nn.init.zeros_(layer.q.weight)
    nn.init.zeros_(layer.q.bias)
    at = (torch.arange(11) + 0.5) / 11
    places = torch.cartesian_prod(at, at)
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.6, 0.6]]])
    with record_attention(layer) as maps:
        layer(torch.zeros(1, 2, 8), torch.rand(1, 121, 8), boxes, places)
    small, large = maps[""][0, 0]
    assert small.argmax() == large.argmax() == 60
    assert small.max() > 3 * large.max()


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("prior", [True, False])
def test_decoder_layer_treats_its_queries_as_a_set(norm_first, prior):
    layer = randomised(DecoderLayer(24, heads=3, norm_first=norm_first, prior=prior))
    x, context, query_places, context_places = decoder_inputs()
    more = {"boxes": torch.rand(3, 7, 4, dtype=torch.float64) / 2 + 0.1, "places": torch.rand(13, 2, dtype=torch.float64)}
    out = layer(x, context, query_places=query_places, context_places=context_places, **more)
    order = torch.randperm(7)
    more["boxes"] = more["boxes"][:, order]
    moved = layer(x[:, order], context, query_places=query_places[order], context_places=context_places, **more)
    assert_close(moved, out[:, order])


def test_queries_that_may_not_see_each_other_do_not():
    layer = randomised(DecoderLayer(24, heads=3))
    x, context, query_places, context_places = decoder_inputs()
    group = torch.arange(7) < 4
    where = {"query_places": query_places, "context_places": context_places}
    out = layer(x, context, **where, mask=group[:, None] == group)
    x[:, 4:] += 1
    changed = layer(x, context, **where, mask=group[:, None] == group)
    assert_close(changed[:, :4], out[:, :4])
    assert (changed[:, 4:] - out[:, 4:]).abs().max() > 0.1


def test_the_layer_without_norm_and_mlp_is_two_attentions():
    layer = randomised(DecoderLayer(24, heads=1))
    for step in ("norm_self", "norm_cross", "norm_mlp"):
        setattr(layer, step, nn.Identity())
    layer.mlp = nn.Identity()
    x, context, query_places, context_places = decoder_inputs()
    out = layer(x, context, query_places=query_places, context_places=context_places)
    own, cross = layer.self_attention, layer.cross
    (wq, wk, wv), (bq, bk, bv) = own.qkv.weight.chunk(3), own.qkv.bias.chunk(3)
    placed = x + query_places
    x = x + own.out(attention(placed @ wq.T + bq, placed @ wk.T + bk, x @ wv.T + bv)[0])
    (wk, wv), (bk, bv) = cross.kv.weight.chunk(2), cross.kv.bias.chunk(2)
    keys = (context + context_places) @ wk.T + bk
    x = x + cross.out(attention(cross.q(x + query_places), keys, context @ wv.T + bv)[0])
    assert_close(out, 2 * x)


# ---------------------------------------------------------------------------------------------------- Hugging Face


@pytest.fixture
def hugging_face():
    """The parts of transformers that hold DETR; it imports with torch alone, timm is needed for its pretrained backbones only."""
    pytest.importorskip("transformers", reason="transformers is not installed: DETR's peer cannot be compared")
    from transformers import DetrConfig, ResNetConfig
    from transformers.loss import loss_deformable_detr, loss_for_object_detection
    from transformers.models.detr import modeling_detr

    config = DetrConfig(
        use_timm_backbone=False,
        backbone_config=ResNetConfig(),
        d_model=24,
        decoder_attention_heads=3,
        decoder_ffn_dim=48,
        dropout=0.0,
        attn_implementation="eager",
    )
    matchers = {
        "softmax": loss_for_object_detection.HungarianMatcher,
        "focal": loss_deformable_detr.DeformableDetrHungarianMatcher,
    }
    losses = {"softmax": loss_for_object_detection.ImageLoss, "focal": loss_deformable_detr.DeformableDetrImageLoss}
    return config, modeling_detr.DetrDecoderLayer, matchers, losses


def their_targets(labels, targets):
    return [{"class_labels": one[one >= 0], "boxes": box[one >= 0]} for one, box in zip(labels, targets)]


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("seed", range(5))
def test_matching_and_loss_are_those_of_hugging_face(hugging_face, kind, seed):
    _, _, matchers, losses = hugging_face
    logits, boxes, labels, targets = case(kind, seed)
    of_class, distance, giou = WEIGHTS[kind]
    matcher = matchers[kind](class_cost=of_class, bbox_cost=distance, giou_cost=giou)
    outputs, wanted = {"logits": logits, "pred_boxes": boxes}, their_targets(labels, targets)
    theirs = {(i, q, k) for i, pair in enumerate(matcher(outputs, wanted)) for q, k in zip(*(index.tolist() for index in pair))}
    pairs = matched(kind, logits, boxes, labels, targets)
    assert as_set(pairs) == theirs  # ours count objects as theirs do, since missing ones come last

    last = {"softmax": {"eos_coef": 0.125}, "focal": {"focal_alpha": 0.25}}[kind]
    criterion = losses[kind](matcher=matcher, num_classes=C, losses=["labels", "boxes"], **last).double()
    expected, terms = criterion(outputs, wanted), set_loss(logits, boxes, labels, targets, pairs, kind=kind, no_object=0.125)
    for ours, name in (("class", "loss_ce"), ("l1", "loss_bbox"), ("giou", "loss_giou")):
        assert_close(terms[ours], expected[name], rtol=1e-10, atol=1e-10)


def test_decoder_layer_is_that_of_hugging_face(hugging_face):
    config, layer, _, _ = hugging_face
    theirs = randomised(layer(config).eval())
    ours = DecoderLayer(24, heads=3, mlp_ratio=2.0, norm_first=False).double()
    state = theirs.state_dict()
    join = lambda which, names, end: torch.cat([state[f"{which}.{name}_proj.{end}"] for name in names])
    copied = {}
    for end in ("weight", "bias"):
        copied |= {
            f"self_attention.qkv.{end}": join("self_attn", "qkv", end),
            f"self_attention.out.{end}": join("self_attn", "o", end),
            f"cross.q.{end}": join("encoder_attn", "q", end),
            f"cross.kv.{end}": join("encoder_attn", "kv", end),
            f"cross.out.{end}": join("encoder_attn", "o", end),
            f"mlp.0.{end}": state[f"mlp.fc1.{end}"],
            f"mlp.2.{end}": state[f"mlp.fc2.{end}"],
            f"norm_self.{end}": state[f"self_attn_layer_norm.{end}"],
            f"norm_cross.{end}": state[f"encoder_attn_layer_norm.{end}"],
            f"norm_mlp.{end}": state[f"final_layer_norm.{end}"],
        }
    ours.load_state_dict(copied)
    x, context, query_places, context_places = decoder_inputs()
    expected = theirs(
        x,
        spatial_position_embeddings=context_places.expand(3, -1, -1),
        object_queries_position_embeddings=query_places.expand(3, -1, -1),
        encoder_hidden_states=context,
    )
    assert_close(ours(x, context, query_places=query_places, context_places=context_places), expected, rtol=1e-10, atol=1e-10)


def test_boxes_of_both_conventions_are_those_of_hugging_face(hugging_face):
    from transformers.image_transforms import center_to_corners_format

    boxes = case("focal")[1]
    assert_close(to_corners(boxes), center_to_corners_format(boxes))
