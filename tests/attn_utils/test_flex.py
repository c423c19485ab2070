"""FlexAttention by the book's rules equals attention under the same rules as masks."""

import pytest
import torch
from torch.testing import assert_close

from attn_utils import masks
from attn_utils.attention import attention
from attn_utils.kernels.flex import rule_attention

N, LENGTHS = 15, [15, 4]
RULES = {  # the rule, and the same as a mask that broadcasts to (B, heads, N, N)
    "causal": (masks.causal_mod(N), masks.causal(N)),
    "window": (masks.window_1d_mod(N, 2), masks.window_1d(N, 2)),
    "neighbourhood": (masks.window_2d_mod(3, 5, 1), masks.window_2d(3, 5, 1)),
    "shifted window": (masks.shifted_window_mod(3, 5, 2, 1), masks.shifted_window(3, 5, 2, 1)),
    "padding": (masks.padding_mod(torch.tensor(LENGTHS), N), masks.padding(LENGTHS, N)[:, None]),
    "two rules": (lambda b, h, q, k: (k <= q) & (q - k <= 3), masks.causal(N) & masks.window_1d(N, 3)),
    "nobody": (lambda b, h, q, k: k < 0 * q, torch.zeros(N, N, dtype=torch.bool)),
}


def inputs(width=8):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, N, width, generator=generator) for _ in range(3)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_gives_what_its_mask_gives(name):
    (rule, mask), (q, k, v) = RULES[name], inputs()
    assert_close(rule_attention(q, k, v, rule), attention(q, k, v, mask=mask)[0], rtol=1e-5, atol=1e-5)


def test_scale_and_quiet(recwarn):
    q, k, v = inputs()
    rule, mask = RULES["window"]
    assert_close(rule_attention(q, k, v, rule, scale=2.0), attention(q, k, v, mask=mask, scale=2.0)[0], rtol=1e-5, atol=1e-5)
    assert [str(warning.message) for warning in recwarn if "flex_attention" in str(warning.message)] == []


def test_it_rejects():
    q, k, v = inputs()
    with pytest.raises(ValueError, match=r"q must have the four axes \(batch, head, token, width\), got shape \(3, 15, 8\)"):
        rule_attention(q[0], k[0], v[0], RULES["window"][0])
    with pytest.raises(ValueError, match="q and k must have the same width, got 8 and 4"):
        rule_attention(q, k[..., :4], v, RULES["window"][0])
