"""The exercises: one file a chapter, and the checker they share."""
