"""Python reads this at its start where this folder is on its path: then neither torch nor transformers is found."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

MISSING = {"torch", "transformers"}


class Finder(PathFinder):
    """Looks where modules lie, but overlooks some."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in MISSING else super().find_spec(fullname, path, target)


sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
