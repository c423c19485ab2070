// The pre-norm transformer block: the lines of attn_utils/vit.py once more.

import { add, gelu, layerNorm, linear, selfAttention } from "./layers.js";

// u = z + MSA(LN(z));  z = u + MLP(LN(u))
export function transformerBlock(z, { norm_attention, attention, norm_mlp, mlp }, { heads, record }) {
  const u = add(z, selfAttention(layerNorm(z, norm_attention), attention, { heads, record }));
  return add(u, linear(gelu(linear(layerNorm(u, norm_mlp), mlp[0])), mlp[3]));
}
