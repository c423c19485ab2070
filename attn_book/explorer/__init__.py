"""Point at a place and see where it looks: a widget in a notebook, a figure on the page. Curves and groups to move along with a slider."""

from attn_book.explorer.curves import Curves
from attn_book.explorer.groups import Groups
from attn_book.explorer.widget import Explorer, explore

__all__ = ["Curves", "Explorer", "Groups", "explore"]
