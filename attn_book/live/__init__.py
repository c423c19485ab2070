"""Trained models that run in the page: weights as text, the forward pass in plain JavaScript, no network."""

from attn_book.live.click_to_mask import click_to_mask
from attn_book.live.cued_search import cued_search
from attn_book.live.draw_caption import draw_caption, tabulated
from attn_book.live.draw_digit import draw_digit
from attn_book.live.packing import Packed, pack, unpack
from attn_book.live.page import Live
from attn_book.live.saved import load

__all__ = ["Live", "Packed", "click_to_mask", "cued_search", "draw_caption", "draw_digit", "load", "pack", "tabulated", "unpack"]
