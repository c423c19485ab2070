"""The furniture of the book: claims, data, exercises, figures, explorers."""
