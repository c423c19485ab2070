"""Sphinx extension: a chapter's number is the one its file name begins with.

``notebooks/07_classification.ipynb`` is chapter 7 even while chapters 5 and 6 are not in the book: the table of contents,
the page's title and the numbers of its equations and figures (7.1, 7.2, ...) then never move when a chapter is added.
"""

import re

from sphinx.environment.collectors.toctree import TocTreeCollector

CHAPTER = re.compile(r"notebooks/(\d\d)_")


def assign_section_numbers(self, env):
    """Number each chapter's title and leave its sections unnumbered; return the pages whose number is new."""
    before, env.toc_secnumbers = env.toc_secnumbers, {}
    for docname, contents in env.tocs.items():
        chapter = CHAPTER.match(docname)
        if not chapter:
            continue
        number = (int(chapter[1]),)
        numbers = env.toc_secnumbers[docname] = {}
        for reference in contents.findall(lambda node: "anchorname" in getattr(node, "attributes", {})):
            anchor = reference["anchorname"]
            numbers[anchor] = None if anchor else number
            reference["secnumber"] = None if anchor else number
        env.titles[docname]["secnumber"] = number
    return [docname for docname, numbers in env.toc_secnumbers.items() if numbers != before.get(docname)]


def replace_numbering(app):
    for collector in (TocTreeCollector, *TocTreeCollector.__subclasses__()):  # sphinx-external-toc brings its own
        collector.assign_section_numbers = assign_section_numbers


def setup(app):
    app.connect("builder-inited", replace_numbering)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
