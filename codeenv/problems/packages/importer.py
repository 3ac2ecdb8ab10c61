"""The text of a class that a program of several Python files imports its other files with; it needs `MODULES` by dotted name."""

__all__ = ["IMPORTER"]

IMPORTER = '''class Modules:
    """Imports of the program's other files."""

    def find_spec(self, name, path=None, target=None):
        package = any(other.startswith(name + ".") for other in MODULES)
        if name not in MODULES and not package:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        source = MODULES.get(name + ".__init__", MODULES.get(name, ""))
        exec(compile(source, name + ".py", "exec"), module.__dict__)

'''
