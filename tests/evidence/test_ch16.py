"""Chapter 16's recipe: what would make its comparisons unfair, tried without training."""

import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from torch.testing import assert_close

from attn_book import matching
from attn_book.data.captions import held_out, new_objects
from attn_book.data.stereo_pairs import StereoPairs, stereo_pairs
from attn_book.descriptions import other_way
from attn_utils.cost import count_parameters
from attn_utils.dit import to_picture
from attn_utils.masked import random_hidden, to_patches
from evidence.plans import ch16
from evidence.recipe import Recipe, namespace


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch16.RECIPE))


def test_rivals_have_as_many_parameters(chapter):
    one = count_parameters(chapter.Matcher())
    assert abs(count_parameters(chapter.Stacked()) / one - 1) < 0.05
    over_picture = count_parameters(chapter.Matcher(**chapter.MATCHERS["norm over the picture"]))
    assert over_picture == one
    deep, wide = (count_parameters(chapter.Matcher(**chapter.MATCHERS[kind])) for kind in ("further layers", "wider"))
    assert abs(deep / wide - 1) < 0.05


def test_what_a_pixel_is_to_its_match_depends_on_the_13_pixels_around_alone(chapter):
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 30, 40)
    far_away_changed = picture.clone()
    far_away_changed[..., 27:] = 0
    for kind, alone in (("one step", True), ("norm over the picture", False)):
        see = chapter.Matcher(**chapter.MATCHERS[kind]).features
        before, after = (see(x)[..., :21] for x in (picture, far_away_changed))
        assert torch.allclose(before, after, atol=1e-5) is alone


@pytest.mark.parametrize("kind", ["one step", "without the key", "further layers", "no matching"])
def test_weights_are_shares_of_keys_that_may_be_the_match(chapter, kind):
    torch.manual_seed(0)
    model = chapter.Stacked() if kind == "no matching" else chapter.Matcher(**chapter.MATCHERS[kind])
    left, right = torch.rand(2, 3, 8, 40), torch.rand(2, 3, 8, 40)
    weights = model(left, right)
    assert weights.shape == (2, 8, 40, 40 if kind == "without the key" else 41)
    assert_close(weights.sum(-1), torch.ones(2, 8, 40))
    step = torch.arange(40)[:, None] - torch.arange(40)
    assert (weights[..., :40][..., (step < 0) | (step > chapter.LARGEST)] == 0).all()
    assert (weights[..., :40][..., (step >= 0) & (step <= chapter.LARGEST)] > 0).all()


def test_the_loss_asks_for_the_true_column_and_for_no_match_where_there_is_none(chapter):
    disparity = torch.full((1, 1, 6), 1.25)
    visible = torch.tensor([[[False, False, True, True, True, True]]])
    right_answer = torch.zeros(1, 1, 6, 7)
    for column in range(6):
        if visible[0, 0, column]:
            right_answer[0, 0, column, column - 2], right_answer[0, 0, column, column - 1] = 0.25, 0.75
        else:
            right_answer[0, 0, column, 6] = 1.0
    pictures = torch.zeros(1, 3, 1, 6)
    loss = lambda weights: chapter.matching_loss(lambda left, right: weights, pictures, pictures, disparity, visible)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) * 4 / 6
    assert_close(loss(right_answer), torch.tensor(entropy))
    assert loss(right_answer.roll(1, -1)) > 5
    without = right_answer[..., :6] / right_answer[..., :6].sum(-1, keepdim=True).clamp(min=1e-6)
    assert_close(loss(without), torch.tensor(entropy * 6 / 4))


def test_the_read_out_is_the_mean_around_the_largest_weight(chapter):
    weights = torch.zeros(1, 1, 9, 10)
    weights[0, 0, 8, 3], weights[0, 0, 8, 4], weights[0, 0, 8, 0] = 0.5, 0.25, 0.2
    weights[0, 0, 8, 9] = 0.05  # no match
    weights[0, 0, 0, 0] = 1.0
    disparity, certainty = chapter.read_out(weights)
    assert_close(disparity[0, 0, 8], torch.tensor(8 - (3 * 0.5 + 4 * 0.25) / 0.75))
    assert_close(certainty[0, 0, 8], torch.tensor(0.75))
    assert_close(disparity[0, 0, 0], torch.tensor(0.0))


def test_costs_of_weights_have_their_disparity(chapter):
    weights = np.random.default_rng(0).dirichlet(np.ones(41), size=(3, 40)).astype(np.float32)
    costs = chapter.costs_of(weights)
    assert costs.shape == (3, 40, 25)
    assert_allclose(costs[2, 30, 7], -np.log(weights[2, 30, 23]), rtol=1e-5)
    assert costs[0, 3, 4] == costs.max()


def test_the_mirrored_half_belongs_to_the_right_picture(chapter):
    """With features that tell every column of a scene apart, both directions agree with the truth."""
    pair = stereo_pairs(2, seed=1, shapes=0, noise=0, size=(16, 64))
    for cost in (chapter.classical_costs("census, 7"),):
        ours, theirs = chapter.both_ways(cost, pair.left[0], pair.right[0], 3)
        seen = pair.visible[0]
        assert np.mean(abs(ours - pair.disparity[0])[seen] < 1) > 0.7
        assert matching.left_right_check(ours, theirs)[seen].mean() > 0.6


def test_judging_a_perfect_map(chapter):
    truth = np.array([[[np.nan, 1.0, 1.0, 2.0, 2.0]]])
    visible = np.array([[[False, True, True, True, False]]])
    pairs = StereoPairs(None, None, truth, visible)
    seen, sure = np.nan_to_num(truth), np.array([[[0.0, 0.5, 0.6, 0.7, 0.8]]])
    scores = chapter.judge(pairs, seen, np.full((1, 1, 5), 1.0), sure, 1 - sure)
    assert scores["off by 1"] == scores["off by 1 visible"] == scores["checked, off by 1"] == 0
    assert scores["checked, coverage"] == 1 and scores["named, coverage"] == 1
    assert {f"off at {share:.2f}" for share in chapter.COVERAGES} <= scores.keys()


def test_key_and_check_are_compared_at_one_price(chapter):
    rng = np.random.default_rng(0)
    truth, visible = np.full((1, 40, 50), 3.0), rng.random((1, 40, 50)) < 0.8
    seen = truth + rng.normal(0, 0.8, truth.shape) * np.where(visible, 1, 3)
    unmatched = rng.random(truth.shape) * np.where(visible, 1, 2)
    scores = chapter.judge(StereoPairs(None, None, truth, visible), seen, truth, None, unmatched, 0.9)
    assert scores["as dear, visible kept"] == pytest.approx(scores["checked, visible kept"], abs=0.002)
    assert_allclose(scores["named, visible kept"], (unmatched <= 0.9)[visible].mean())
    assert 0.6 < scores["named, area"] < 0.9 and 0.6 < scores["checked, area"] < 0.9
    alarms, hits = unmatched[visible], unmatched[~visible]
    assert scores["named, area"] == pytest.approx((hits[:, None] > alarms).mean())


def test_the_price_of_the_key_is_set_on_validation_pairs(chapter):
    asked = []

    def look(pairs):
        asked.append(pairs)
        seen = np.nan_to_num(pairs.disparity)
        by_right = np.where(np.arange(96) < 48, -9.0, np.take_along_axis(seen, np.arange(96)[None, None], -1))
        return seen, by_right, None, np.random.default_rng(0).random(seen.shape)

    threshold = chapter.same_price(look, 801, n=3)
    (pairs,) = asked
    assert_array_equal(pairs.left, stereo_pairs(3, seed=801, split="validation", largest=24).left)
    seen, by_right, _, unmatched = look(pairs)
    kept = matching.left_right_check(seen, by_right)[pairs.visible].mean()
    assert_allclose((unmatched <= threshold)[pairs.visible].mean(), kept, atol=0.001)


def test_what_lies_at_an_end_is_told_unless_the_end_is_one_by_nature(chapter):
    at_end = lambda how, options: chapter.as_scores(how, options)["at an end"]
    assert [at_end(reach, chapter.REACHES) for reach in (0, 1, 7, 15)] == [0, 0, 0, 1]
    prices = [(0.03, 4), (0.3, 1), (1.0, 2), (3.0, 4), (0.3, 8)]
    assert [at_end(how, chapter.PRICES) for how in prices] == [1, 0, 0, 1, 1]


def test_correlation_compares_whole_blocks(chapter):
    pair = stereo_pairs(1, seed=4, size=(16, 64))
    costs = chapter.classical_costs("correlation")(pair.left[0], pair.right[0])
    whole = matching.correlation(pair.left[0], pair.right[0], 24, window=7)
    assert_array_equal(chapter.agree(costs, 3), matching.best_disparity(whole))


def test_the_real_pair_is_looked_at_in_the_report_alone(chapter, monkeypatch):
    monkeypatch.setattr(chapter, "stereo_pairs", lambda n, **how: stereo_pairs(2, **how))
    look = lambda pairs: (np.nan_to_num(pairs.disparity), np.nan_to_num(pairs.disparity))
    names = lambda split: {name.partition(":")[0] for name in chapter.judge_sets(look, split, 900)}
    assert names("validation") == {"synthetic"}
    assert names("test") == {"synthetic", "large synthetic", "real"}


def test_a_perfect_memory_keeps_the_mask_and_what_is_not_held_is_not_asked(chapter):
    tokens = 30 * torch.eye(400).expand(1, 5, 400, 400)  # every cell like itself alone
    first = torch.rand(1, 1, 400)
    assert_close(chapter.propagate(tokens, first), first.expand(1, 5, 400))
    two = torch.stack([torch.zeros(1, 400), torch.ones(1, 400)], 1)
    assert_close(chapter.propagate(tokens, two, first=1, latest=0)[:, 2:], torch.zeros(1, 3, 400))
    assert_close(chapter.propagate(tokens, two, first=0, latest=1)[:, 2:], torch.ones(1, 3, 400))
    assert_close(chapter.propagate(tokens, two, first=1, latest=1)[:, 2], torch.full((1, 400), 0.5))


def test_with_a_pace_a_mask_is_kept_where_the_target_should_be(chapter):
    blob = lambda x, y: ((chapter.CENTRES - torch.tensor([x, y])).norm(dim=-1) < 2.5).float()[None]
    before, last = blob(9.0, 9.0), blob(13.0, 9.0)
    near = chapter.near_expected([before, last], 4.0)
    assert_close(near[0], (chapter.CENTRES - torch.tensor([17.0, 9.0])).norm(dim=-1) <= 4)
    assert chapter.near_expected([blob(33.0, 9.0), blob(39.0, 9.0)], 4.0)[0, 4 * 20 + 19]  # no further than the edge
    given = torch.stack([before, last], 1)
    everywhere = torch.zeros(1, 4, 400, 8)  # tokens all alike: even weights
    third, fourth = chapter.propagate(everywhere, given, focus=True, radius=4.0)[0, 2:]
    assert (third > 0).any() and not third[~near[0]].any()
    assert_close(chapter.middle(third[None]), torch.tensor([[17.0, 9.0]]))
    assert_close(chapter.middle(fourth[None]), torch.tensor([[21.0, 9.0]]))
    dark = chapter.propagate(everywhere, torch.cat([given, torch.zeros(1, 1, 400)], 1), focus=True, radius=4.0)
    assert dark.isfinite().all()


def test_the_middle_of_a_mask_is_that_of_its_brighter_blob(chapter):
    mask = torch.zeros(1, 20, 20)
    mask[0, 3:6, 3:6], mask[0, 14:17, 14:17] = 1.0, 0.6
    flat = mask.flatten(1)
    assert_close(chapter.middle(flat), torch.tensor([[9.0, 9.0]]))
    focused = chapter.focused(flat).reshape(20, 20)
    assert focused[14:17, 14:17].sum() == 0 and focused.max() == 1
    wide = torch.zeros(1, 20, 20)
    wide[0, 4, 10] = 1.0
    assert_close(chapter.middle(wide.flatten(1)), torch.tensor([[21.0, 9.0]]))  # x is the column


def test_patches_have_length_one_and_place_adds_to_the_score(chapter):
    frames = torch.rand(1, 2, 3, 40, 40)
    seen = chapter.patches(frames)
    assert_close(seen.norm(dim=-1), torch.ones(1, 2, 400))
    with_place = chapter.with_places(seen, 100.0, 4.0)
    dots = with_place[0, 0] @ with_place[0, 1].T
    alone = 100 * seen[0, 0] @ seen[0, 1].T
    assert_close((dots - alone).diagonal(), torch.full((400,), 4.0), rtol=1e-3, atol=1e-3)
    assert (dots - alone).max() <= 4.001
    for side in (10, 14):
        wide = chapter.patches(frames, float(side))  # as a widened grid has it
        assert wide.shape == (1, 2, 400, 3 * side**2 + 1)
        assert_close(wide.norm(dim=-1), torch.ones(1, 2, 400))
        reach = side // 2 - 1  # before the cell's first pixel
        own = frames[0, 1, :, 12 - reach : 14 + reach, 22 - reach : 24 + reach] - 0.4
        assert_close(wide[0, 1, 6 * 20 + 11, : 3 * side**2], own.flatten() / (0.6 * (3 * side**2) ** 0.5))
    unfolded = frames[0, 1, :, 10:16, 20:26] - 0.4  # the cell in row 6, column 11 begins at pixel (12, 22)
    assert_close(seen[0, 1, 6 * 20 + 11, :108], unfolded.flatten() / (0.6 * 108**0.5))


def test_cells_share_a_mask(chapter):
    mask = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    mask[0, 0, 4, 6:8] = True
    cells = chapter.in_cells(mask)
    assert cells[0, 0, 2 * 20 + 3] == 0.5 and cells.sum() == 0.5


def test_a_tracker_is_judged_on_every_kind_of_rival(chapter):
    right = lambda frames, masks, centres: centres
    scores = chapter.score_tracker(right, "validation", 9)
    assert scores["after"] == scores["after, no copies"] == 1
    assert all(scores[f"{rival}: on target"] == 1 for rival in chapter.RIVALS)
    assert_array_equal([scores[f"{rival}, bouncing: on rival"] for rival in chapter.RIVALS], 0)


def test_the_untrained_follower_is_the_trained_one_before_its_first_step(chapter):
    (untrained, loss), frames = chapter.learn_follower(3, 0, 0.0), torch.rand(1, 2, 3, 40, 40)
    assert loss is None
    sharpness, place = untrained.log_sharpness.exp(), untrained.log_place.exp()
    by_hand = chapter.with_places(untrained.features(frames), sharpness, place)
    assert_close(by_hand, untrained(frames))
    learned = chapter.training_clips(5, 2)
    again = chapter.clips_data(40, 1005, "train", "colour")
    assert list(learned) == list(chapter.RIVALS[:4])
    assert_close(learned["colour"][0], again[0][:2])


def test_encoders_and_writers_have_as_many_parameters(chapter):
    encoders = [count_parameters(chapter.build(kind, 0)[0]) for kind in ch16.PRETRAINED]
    assert not any("block." in name for name, _ in chapter.writer("convolutions", 0).named_parameters())
    writers = [count_parameters(chapter.writer(kind, 0)) for kind in ch16.WRITERS]
    assert max(encoders) / min(encoders) < 1.05 and max(writers) / min(writers) < 1.05


@pytest.mark.parametrize("kind", ch16.PRETRAINED)
def test_no_encoder_is_shown_what_is_hidden(chapter, kind):
    _, encoder = chapter.build(kind, 0)
    torch.manual_seed(0)
    images, others = torch.rand(2, 3, 1, chapter.SIDE, chapter.SIDE)
    hidden = random_hidden(3, chapter.CELLS, 0.75)
    patches = torch.where(hidden[..., None], to_patches(others, chapter.PATCH), to_patches(images, chapter.PATCH))
    same_to_see = to_picture(patches, (chapter.ROWS, chapter.ROWS), chapter.PATCH)
    assert_close(encoder(same_to_see, hidden)[~hidden], encoder(images, hidden)[~hidden])
    assert not torch.equal(encoder(others, hidden)[~hidden], encoder(images, hidden)[~hidden])


def test_content_is_not_small_beside_place(chapter):
    """With grey values as they are, 0.4 ± 0.2, a ViT sees places and little else, and learns to paint the mean."""
    images = chapter.one_digit(50, 930, "train", "tint")[0]
    vit, _ = chapter.build("attention", 0)
    content = vit.embed(images).std(0).mean() / vit.positions.square().mean().sqrt()
    assert content > 0.4
    assert chapter.ConvNet().body[0](images).mean().abs() < 0.5


def test_painting_the_mean_of_each_patch_is_worth_1_and_the_truth_0(chapter):
    images = chapter.one_digit(20, 930, "train", "tint")[0]

    def in_its_own_contrast(images, hidden):
        x = to_patches(images, chapter.PATCH)
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 0.01).sqrt()

    assert chapter.painted(in_its_own_contrast, images, 0.75) < 1e-6
    assert chapter.painted(lambda *given: 0 * in_its_own_contrast(*given), images, 0.75) == 1


def test_noise_is_all_that_the_control_is_shown(chapter, monkeypatch):
    shown = {}
    monkeypatch.setattr(chapter, "fit", lambda model, data, loss, **how: shown.update({how["lr"]: data[0]}))
    for number, kind in enumerate(("attention", "attention, on noise")):
        chapter.pretrain(kind, 991, share=0.75, lr=number, steps=1, background="tint")
    chapter.pretrain.cache_clear()
    beside = [(x[..., 1:] - x[..., :-1]).std() / x.std() for x in shown.values()]
    assert beside[0] < 1 and beside[1] > 1.3  # of independent numbers √2


def test_fine_tuning_is_the_mean_over_draws_of_labels(chapter, monkeypatch):
    drawn = []
    one_digit = chapter.one_digit

    def noted(n, seed, *how):
        drawn.append(seed)
        return one_digit(n, seed, *how)

    monkeypatch.setattr(chapter, "one_digit", noted)
    test, net = one_digit(60, 900, "validation", "tint"), chapter.build("attention", 0)[0]
    find = lambda draws: chapter.tuned(net, 4, test, "tint", lr=0.001, steps=2.0, draws=draws)
    one, three = find(1), find(3)
    assert drawn == [5400, 5400, 5401, 5402] and one.keys() == three.keys() == {"tuned", "tuned, train"}
    assert all(0 <= value <= 1 for value in three.values()) and one != three


def test_each_picture_is_moved_whole(chapter):
    torch.manual_seed(0)
    images = torch.zeros(200, 1, chapter.SIDE, chapter.SIDE)
    images[:, :, 10, 12] = 1
    places = chapter.varied(images)[:, 0].nonzero()[:, 1:] - torch.tensor([10, 12])
    assert len(places) == 200 and places.min() == -2 and places.max() == 2
    assert len(places.unique(dim=0)) == 25


def test_new_pairs_are_new(chapter):
    out = held_out(seed=3)
    lesson = chapter.told(500, 1003, "train", "train", held=3)[1].numpy()
    asked = chapter.told(500, 950, "test", "test", held=3)[1].numpy()
    assert not any(new_objects(lesson, pairs).any() for pairs in out.values())
    assert new_objects(asked, out["test"]).any(1).all()


def test_in_one_order_scenes_hold_the_same_digits(chapter):
    either, one = (chapter.told(50, 7, "train", "train", held=0, order=order) for order in ("either", "one"))
    assert not torch.equal(either[1], one[1])
    colours = [np.sort(captions[:, [0, 3]].numpy(), axis=1) for captions in (either[1], one[1])]
    np.testing.assert_array_equal(*colours)


def test_the_recurrent_writer_is_told_what_it_wrote(chapter):
    model = chapter.writer("recurrent", 0).eval()
    images = torch.rand(4, 3, 28, 28)
    written = model.write(images)
    assert_close(model(images, written).argmax(-1), written)
    _, weights = model.read(model.encoder(images), written)
    assert_close(weights.sum(-1), torch.ones(4, 5))


def test_whoever_is_free_to_choose_pays_for_the_nearer_of_two_captions(chapter):
    captions = torch.tensor([[0, 10, 17, 1, 12], [2, 15, 20, 3, 11]])
    others = torch.from_numpy(other_way(captions))
    logits = 8 * F.one_hot(torch.stack([captions[0], others[1]]), chapter.WORDS).float()
    loss = lambda *told: chapter.free_loss(lambda images, given: logits, None, *told)
    assert_close(loss(captions, others), loss(others, captions))
    assert_close(loss(captions, others), F.cross_entropy(logits[:1].flatten(0, 1), captions[0]))
    assert chapter.word_loss(lambda images, given: logits, None, captions) > 3


def test_a_hidden_digit_is_seen_by_no_step_of_its_word_and_nothing_else_changes(chapter):
    places = torch.zeros(2, 49, dtype=torch.bool)
    places[:, 5:9] = True
    weights = torch.rand(2, 2, 5, 49).softmax(-1)
    edit = chapter.hide(3, places)
    assert edit("blocks.0.attention", weights) is None
    edited = edit("blocks.0.cross", weights)
    assert (edited[:, :, 3, 5:9] == 0).all()
    assert_close(edited.sum(-1), torch.ones(2, 2, 5))
    assert_close(edited[:, :, [0, 1, 2, 4]], weights[:, :, [0, 1, 2, 4]])
    assert_close(edited[:, :, 3, 9] / edited[:, :, 3, 40], weights[:, :, 3, 9] / weights[:, :, 3, 40])


def test_what_is_lost_is_that_of_the_own_digit_where_words_are_read_from_it(chapter, monkeypatch):
    """A decoder all of whose weight lies on a word's own digit loses the word with that digit alone."""
    regions = chapter.told(500, 950, "test", "test", held=1)[2]
    own = torch.from_numpy(chapter.to_patches(regions.numpy(), 4)).flatten(2).float()
    edits = []

    def oracle(images, captions):
        weights = (own / own.sum(-1, keepdim=True).clamp(min=1))[:, None]  # (n, 1, 5, 49)
        for edit in edits:
            weights = edit("blocks.0.cross", weights)
        return 12 * (weights[:, 0] * own).sum(-1)[..., None] * F.one_hot(captions, chapter.WORDS)

    @contextmanager
    def edited(model, edit):
        edits[:] = [edit]
        yield
        edits.clear()

    monkeypatch.setattr(chapter, "edit_attention", edited)
    scores = chapter.lost_words(oracle, 1, "test", 950)
    assert scores["probability"] > 0.99
    assert scores["lost, own"] > 0.7 and abs(scores["lost, the other digit"]) < 0.02
    assert abs(scores["lost, another scene"]) < 0.02 and scores["hidden places, own"] > 2
