"""Point at a place and see where it looks: a widget in a notebook, a figure on the page."""

from attn_book.explorer.widget import Explorer, explore

__all__ = ["Explorer", "explore"]
