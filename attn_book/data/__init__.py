"""The one image world of the book: real handwriting on real photographs, with exact truth.

Every scene is made of scans of handwritten digits (`sklearn.datasets.load_digits`), turned and enlarged a little, painted
in a named colour and laid on a crop of a photograph, a plain tint, or black. Nothing is downloaded: the scans and the
photographs come inside scikit-learn and scikit-image.

Three promises hold for every function here:

* the result depends on the arguments alone (the same seed gives the same pictures);
* scenes for training, validation and test share no scan of a digit, and no region of a photograph: what is tuned is tuned
  on "validation", so that nothing has seen the scans of the report;
* the truth is exact, because the scene was drawn from it.

Units: pictures are float32 in [0, 1], channels first, `(n, 3, H, W)`; positions are pixels, x to the right, y down; a box
is `(x0, y0, x1, y1)` with x1 and y1 exclusive, so `image[:, y0:y1, x0:x1]` cuts it out.
"""
