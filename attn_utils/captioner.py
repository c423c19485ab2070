"""A decoder that writes a caption word by word: words look at the words before them, and at the places of a picture."""

import torch
from torch import Tensor, nn

from attn_utils.masks import causal
from attn_utils.shapes import check_choice, check_shape, check_size
from attn_utils.vit import Block

TOLD = ("all", "last", "none")


class Captioner(nn.Module):
    """An encoder of pictures, and a transformer decoder that writes captions of a fixed length.

    p(w | picture) = Π_l p(w_l | w_1 … w_{l−1}, picture)

    At step l the decoder is given the word before (at the first step a start token), and the place l. Its blocks let it look at the
    steps before (causal self-attention) and at the picture (cross-attention); a linear layer then says which word comes next.

    Args:
        encoder: module called as encoder(images); returns tokens (B, M, dim).
        words: number of words in the vocabulary.
        length: words L of a caption.
        dim, depth, heads, mlp_ratio: of the decoder's blocks, as in `Block`.
        told: which of the words before a step is told: "all"; the "last" alone; or "none", so that all words are written at once.
            The parameters are the same.

    Shapes:
        forward(images, captions) -> logits; (B, …) and (B, L) int64 -> (B, L, words). Row l says what comes at place l, and is told
        nothing of captions[:, l:]. Cross-attention is recorded as "blocks.0.cross" and so on, (B, heads, L, M).

    Source: the decoder of Vaswani et al. 2017, arXiv:1706.03762, section 3.1.
    Differs from the paper: pre-norm, learned places, and a caption has no end token.

    Examples:
        >>> encoder = nn.Sequential(nn.Linear(6, 32))
        >>> model = Captioner(encoder, words=21, length=5, dim=32)
        >>> model(torch.rand(2, 49, 6), torch.zeros(2, 5, dtype=torch.long)).shape, model.write(torch.rand(2, 49, 6)).shape
        (torch.Size([2, 5, 21]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        words: int,
        length: int,
        dim: int = 64,
        depth: int = 2,
        heads: int = 2,
        mlp_ratio: float = 2.0,
        told: str = "all",
    ):
        super().__init__()
        check_choice("told", told, TOLD)
        self.length, self.told = check_size("length", length), told
        self.start = check_size("words", words)  # the start token stands behind the vocabulary
        self.encoder = encoder
        self.words = nn.Embedding(words + 1, dim)
        self.places = nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(Block(dim, heads=heads, mlp_ratio=mlp_ratio, context_dim=dim) for _ in range(depth))
        self.norm, self.out = nn.LayerNorm(dim), nn.Linear(dim, words)
        sees = causal(length) if told == "all" else torch.eye(length, dtype=torch.bool)
        self.register_buffer("sees", torch.as_tensor(sees), persistent=False)

    def forward(self, images: Tensor, captions: Tensor) -> Tensor:
        return self.read(self.encoder(images), captions)

    def read(self, memory: Tensor, captions: Tensor) -> Tensor:
        """As `forward`, for pictures that are encoded already, (B, M, dim)."""
        check_shape("captions", captions, (len(memory), self.length))
        before = torch.roll(captions, 1, dims=1)
        before[:, 0 if self.told != "none" else slice(None)] = self.start
        x = self.words(before) + self.places  # (B, L, dim)
        for block in self.blocks:
            x = block(x, self.sees, memory)
        return self.out(self.norm(x))

    @torch.no_grad()
    def write(self, images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Captions of pictures, word by word.

        Args:
            images: what the encoder takes.
            generator: draws each word from its probability; None takes the most probable one.

        Returns:
            (B, L) int64.
        """
        memory = self.encoder(images)
        captions = torch.zeros(len(memory), self.length, dtype=torch.long, device=memory.device)
        for place in range(self.length):
            shares = self.read(memory, captions)[:, place].softmax(-1)  # (B, words)
            captions[:, place] = shares.argmax(-1) if generator is None else shares.multinomial(1, generator=generator)[:, 0]
        return captions
