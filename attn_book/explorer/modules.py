"""Small ES modules, joined into the one that a page or a widget loads: no bundler is needed for that."""

import functools
import posixpath
import re
from pathlib import Path

FOLDER = Path(__file__).with_name("js")
ENTRY = "mount.js"

IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "(?:\./|(?=\.\./))((?:\.\./)*[\w/-]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) (\w+))", re.MULTILINE)
DECLARATION = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
UNREAD = re.compile(r"^\s*//.*\n|^[ \t]+|  // .*$|^\n", re.MULTILINE)  # comments, indentation, empty lines
SPACED = re.compile(
    r'(`[^`]*`|"[^"]*")| *([=,?:{}()&|;<>+*]) *'
)  # a text, which stays as it is, or a sign with the spaces around it
STYLE = re.compile(r"^const \w*CSS=`[^`]*`;", re.MULTILINE)


@functools.cache
def joined(folder=FOLDER, entry=ENTRY):
    """One ES module: each file once, after those that it imports, and without what readers of a page need not load.

    Modules import by name from a file beside them or in another folder, `import { a, b } from "./other.js";`, on one line, and
    export declarations. They share one scope once they are joined, so a name stands for one thing at the top level of all of them.
    Template texts may not be nested, for signs outside texts lose the spaces around them.

    Raises:
        ValueError: an import of a file that is not there, of a name it does not export, in another form, or in a circle;
            a name that two modules declare.
    """
    sources = {}
    for name in _in_order(folder, entry, ()):
        sources.setdefault(name, (folder / name).read_text("utf-8"))
    owners = {}
    for name, source in sources.items():
        for declared in DECLARATION.findall(source):
            if declared in owners:
                raise ValueError(f"{name}: {declared} is declared in {owners[declared]}, too")
            owners[declared] = name
        for imported, origin in imports(source):
            if imported not in EXPORT.findall(sources[_from(name, origin)]):
                raise ValueError(f"{name}: imports {imported}, which {origin} does not export")
    text = "\n".join(EXPORT.sub("", IMPORT.sub("", source)) for source in sources.values())
    text = SPACED.sub(lambda found: found[1] or found[2], UNREAD.sub("", text))
    return STYLE.sub(lambda style: re.sub(r"\s*([{};,])\s*|(?<=[\w-]:) +", r"\1", style[0]), text)


def imports(source):
    """Pairs (name, file) of what a module imports."""
    return [(name, origin) for names, origin in IMPORT.findall(source) for name in names.split(", ")]


def _from(name, origin):
    """The file that module `name` calls `origin`, relative to the folder of the first module."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), origin))


def _in_order(folder, name, above):
    """Names of files, each after all that it needs; a file needed twice comes twice."""
    if name in above:
        raise ValueError(f"{name}: imports itself: {' → '.join([*above, name])}")
    if not (folder / name).is_file():
        raise ValueError(f"{above[-1] if above else folder}: there is no {name}")
    source = (folder / name).read_text("utf-8")
    if re.search(r"^import\b", IMPORT.sub("", source), re.MULTILINE):
        raise ValueError(f'{name}: every import must read import {{ a, b }} from "./other.js"; on one line')
    for origin in dict.fromkeys(origin for _, origin in imports(source)):
        yield from _in_order(folder, _from(name, origin), (*above, name))
    yield name
