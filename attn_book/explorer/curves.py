"""Measured costs over a size, to move along with a slider: curves on logarithmic axes, and all of them compared at one size."""

import numpy as np

from attn_book.arrays import as_array
from attn_book.explorer.modules import FOLDER, joined
from attn_book.explorer.page import self_contained, within_bounds


class Curves:
    """A figure that shows as the last expression of a cell: HTML with everything in it, live and on the page alike.

    Args:
        sizes: what grows, rising, two or more numbers above 0.
        quantities: {name: (unit, {curve: (sizes,) values above 0})}; the reader chooses one of them. A curve may be missing in some.
        colours: {curve: colour}, for every curve.
        axis: what the sizes are.
        title: names the figure.
        caption: what to try.
        start: the size to start at; None means the largest.

    Raises:
        ValueError: sizes that do not rise, values of another number or not above 0, a curve without a colour.

    Between two sizes the slider shows the point on the straight line between the logarithms.
    """

    def __init__(self, sizes, quantities, *, colours, axis, title, caption, start=None):
        self.sizes = as_array(sizes, "sizes").astype(float)
        if self.sizes.ndim != 1 or len(self.sizes) < 2 or not (self.sizes > 0).all() or not (np.diff(self.sizes) > 0).all():
            raise ValueError(f"sizes must be two or more numbers above 0 that rise, got {sizes}")
        self.quantities = {
            name: (unit, {curve: self._checked(curve, values, colours) for curve, values in curves.items()})
            for name, (unit, curves) in quantities.items()
        }
        self.title = str(title)
        whole = self.sizes.astype(int).tolist()
        self._payload = {
            "title": self.title,
            "caption": str(caption),
            "axis": str(axis),
            "sizes": whole,
            "quantities": [{"name": name, "unit": unit, "values": values} for name, (unit, values) in self.quantities.items()],
            "colours": dict(colours),
            "start": whole[-1] if start is None else start,
        }

    def _checked(self, curve, values, colours):
        values = as_array(values, curve).astype(float)
        if values.shape != self.sizes.shape or not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"{curve} must have {len(self.sizes)} values above 0, got {values}")
        if curve not in colours:
            raise ValueError(f"colours must have one for {curve!r}, got {list(colours)}")
        return [float(f"{value:.4g}") for value in values]

    @property
    def summary(self):
        """One sentence: of the first quantity at the largest size, the curve with the least and the one with the most."""
        name, (unit, curves) = next(iter(self.quantities.items()))
        least, most = (choose(curves, key=lambda curve: curves[curve][-1]) for choose in (min, max))
        return (
            f"{name}, {self._payload['axis']} {self.sizes[-1]:,.0f}: least {least}, {curves[least][-1]:g} {unit}; "
            f"most {most}, {curves[most][-1]:g} {unit}"
        )

    def to_html(self):
        """The figure: a string of HTML, ≤ 300 kB, to stand in any page, any number of times."""
        module, sentence = joined(FOLDER / "curves", "curves.js"), self.summary[:1].upper() + self.summary[1:]
        html = self_contained(
            module, "mountCurves", self._payload, self.title, (), sentence, "allow scripts to move along the curves"
        )
        return within_bounds(html, self.title)

    def _repr_html_(self):
        return self.to_html()

    def __repr__(self):
        return f"Curves: {self.summary}"
