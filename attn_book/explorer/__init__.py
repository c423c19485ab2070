"""Point at a place and see where it looks: a widget in a notebook, a figure on the page. And curves to move along."""

from attn_book.explorer.curves import Curves
from attn_book.explorer.widget import Explorer, explore

__all__ = ["Curves", "Explorer", "explore"]
