"""Programs that measure: they write results/, which the chapters read."""
