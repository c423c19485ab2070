"""Small, flat helpers for the book *Attention in Computer Vision*: one idea per file, imported by name."""
