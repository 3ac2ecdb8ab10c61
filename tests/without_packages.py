"""Run a script as if some packages were not installed: python without_packages.py NAME,NAME SCRIPT [ARGUMENTS]."""

import runpy
import sys


class Finder:
    """Asks the finders that were there, for every module but the absent ones."""

    def __init__(self, absent):
        self._absent = set(absent)
        self._finders = list(sys.meta_path)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self._absent:
            return None
        specs = (finder.find_spec(name, path, target) for finder in self._finders)
        return next((spec for spec in specs if spec is not None), None)


if __name__ == "__main__":
    sys.meta_path[:] = [Finder(sys.argv[1].split(","))]
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
