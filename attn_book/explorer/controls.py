"""The explorer's controls as ipywidgets, to show beside it in a running notebook."""

import html

import ipywidgets
import traitlets


class Controls(ipywidgets.VBox):
    """A slider for the query, one selection a selector, and a line that tells what is seen; linked both ways until closed."""

    def __init__(self, explorer):
        query = ipywidgets.IntSlider(value=explorer.query, min=0, max=explorer.queries - 1, description="query")
        self._links = [traitlets.link((explorer, "query"), (query, "value"))]
        selections = []
        for name, options in explorer.selectors.items():
            selection = ipywidgets.SelectionSlider(options=options, value=explorer.choice[name], description=name)
            one = (lambda choice, name=name: choice[name]), (lambda option, name=name: {name: option})
            self._links.append(traitlets.link((explorer, "choice"), (selection, "value"), transform=one))
            selections.append(selection)
        self._explorer, self._told = explorer, ipywidgets.HTML()
        explorer.observe(self._tell, ["query", "choice", "_data"])
        super().__init__([query, *selections, self._told])
        self._tell()

    def _tell(self, change=None):
        self._told.value = html.escape(self._explorer.summary)

    @property
    def linked(self):
        """Whether they still follow the explorer."""
        return bool(self._links)

    def close(self):
        """Unlink from the explorer and close, with all parts."""
        if self._links:
            for link in self._links:
                link.unlink()
            self._links = []
            self._explorer.unobserve(self._tell, ["query", "choice", "_data"])
        for part in self.children:
            part.close()
        super().close()
