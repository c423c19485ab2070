"""Sphinx extension: links to the repository, and buttons that open a chapter elsewhere, from `repository` in _config.yml.

Without an address there are none. The theme's own buttons do not serve: they take one branch for all, and what Colab opens stands
on another, with a first cell that installs the book (tools/colab.py); and the address of a server other than GitHub or GitLab
reaches Binder in a form that it refuses.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from sphinx.errors import ConfigError

COLAB_BRANCH = "colab"  # written by the workflow, with tools/colab.py
PLACES = {"github": ("blob", "issues/new"), "gitlab": ("-/blob", "-/issues/new")}  # of files and of a new issue


@dataclass(frozen=True)
class Repository:
    """Where the sources of the book lie.

    Attributes:
        url: its address, such as https://github.com/owner/name.
        branch: the one that the pages are built from.
        folder: of the book in it; "" for its root.
    """

    url: str
    branch: str = "main"
    folder: str = ""

    @classmethod
    def of(cls, settings):
        """The one that `repository` in _config.yml names; None if it names none."""
        url = (settings.get("url") or "").strip().rstrip("/").removesuffix(".git")
        if not url:
            return None
        if urlsplit(url).scheme not in ("http", "https") or urlsplit(url).path.count("/") < 2:
            raise ConfigError(f"_config.yml: repository.url takes an address like https://github.com/owner/name, got {url!r}")
        return cls(url, settings.get("branch") or "main", (settings.get("path_to_book") or "").strip("/"))

    @property
    def host(self):
        return urlsplit(self.url).netloc

    @property
    def kind(self):
        """ "github", "gitlab", or None: what else there is lays its pages out in other ways."""
        return next((kind for kind in PLACES if kind in self.host), None)

    def path(self, file):
        """Of a file of the book, from the root of the repository, for an address."""
        return quote(f"{self.folder}/{file}".strip("/"))

    def source(self, file):
        return f"{self.url}/{PLACES[self.kind][0]}/{quote(self.branch)}/{self.path(file)}" if self.kind else None

    def issues(self):
        return f"{self.url}/{PLACES[self.kind][1]}" if self.kind else None

    def colab(self, file):
        """Colab opens what lies on GitHub, and nothing else."""
        if self.host != "github.com":
            return None
        return f"https://colab.research.google.com/github{urlsplit(self.url).path}/blob/{COLAB_BRANCH}/{quote(file)}"

    def binder(self, file):
        """JupyterLab on Binder, which builds any repository that it can clone, from what .binder says."""
        name = urlsplit(self.url).path.strip("/")
        provider = {"github.com": f"gh/{name}", "gitlab.com": f"gl/{quote(name, safe='')}"}
        where = provider.get(self.host, f"git/{quote(self.url, safe='')}")
        return f"https://mybinder.org/v2/{where}/{quote(self.branch, safe='')}?urlpath=lab/tree/{self.path(file)}"


def buttons(repository, file):
    """Two menus for the page of a file: where it can be run, if it is a notebook, and where it comes from."""
    run = [("Colab", repository.colab, "logo_colab.png"), ("Binder", repository.binder, "logo_binder.svg")]
    run = [(text, address(file), f"_static/images/{logo}") for text, address, logo in run]
    icon = f"fab fa-{repository.kind}" if repository.kind else "fas fa-code-branch"
    source = [("Repository", repository.url, icon), ("Source of this page", repository.source(file), "fas fa-code")]
    source += [("Open an issue", repository.issues(), "fas fa-lightbulb")]
    menus = [_menu("Repository", icon, "source-buttons", source)]
    if file.endswith(".ipynb"):
        menus.insert(0, _menu("Run this chapter", "fas fa-rocket", "launch-buttons", run))
    return menus


def _menu(tooltip, icon, label, entries):
    links = [
        {"type": "link", "text": text, "tooltip": text, "url": url, "icon": picture} for text, url, picture in entries if url
    ]
    return {"type": "group", "tooltip": tooltip, "icon": icon, "label": label, "buttons": links}


def add_buttons(app, pagename, templatename, context, doctree):
    repository = Repository.of(app.config.publishing)
    if repository and doctree:
        file = Path(app.env.doc2path(pagename)).relative_to(app.srcdir).as_posix()
        context["header_buttons"][:0] = buttons(repository, file)


def setup(app):
    app.add_config_value("publishing", {}, "html")
    app.connect("html-page-context", add_buttons, priority=510)  # the theme's own are there after 501
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
