"""The figures of the book: the look, what several chapters draw, and one file a chapter."""
