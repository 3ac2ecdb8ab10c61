"""How each language is compiled and run: its commands, the world that a compiler sees, and the world that a program sees.

What is installed on this machine decides. Compilers come from `PATH`; a language whose compiler is missing is an error that
says what to install.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codeenv.problems.languages import LANGUAGES
from codeenv.sandbox.image import shared_libraries
from codeenv.sandbox.inside.native import SCRATCH
from codeenv.sandbox.units import SandboxError

__all__ = ["FOREIGN", "Toolchain", "World", "advice", "missing", "source_name", "toolchain"]

_SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/include", "/etc/ld.so.cache")
_MB = 1 << 20
_ANSWER_S = 20.0
"""How long a compiler may take to say its version."""
_BUILD_S = 600.0
"""How long Go may take to build the archives of its standard library, which it keeps."""
_PUBLIC_CLASS = re.compile(
    r"^\s*public\s+(?:(?:final|abstract|strictfp|sealed)\s+)*(?:class|interface|enum|record)\s+(\w+)", re.MULTILINE
)
_MODULE = re.compile(r"^\s*(import\s+[\w{*'\"]|export\s)", re.MULTILINE)


@dataclass(frozen=True)
class World:
    """What a worker's root holds and how it starts programs there.

    Attributes:
        commands: programs with their arguments, one after another; `{files}` stands for the source files, `{flags}` for
            a run's own arguments, `{memory}` for the memory limit in MiB.
        folders: folders and files of the host, at the same places, read-only.
        files: (name, text) of files in a compiler's scratch folder.
        compiles: whether it is a compiler's world.
        artifact: the file that the compiler leaves; `{source}` is the source itself, `*.class` an archive of all of them.
        artifact_name: the name of the artifact where it runs; `{flags}` if a run says it.
        scratch_mb: size of the scratch folder.
        shared_memory: whether memory may be mapped as shared, which a limit on private data does not count.
        address_space: whether address space is limited, else private data (for runtimes that reserve much more than they use).
        slack_mb: added to that limit: what the runtime itself needs; the peak of resident memory decides the verdict.
        stack_mb: limit of the main stack; 0 for the memory limit, at most 256 MiB.
        processes: most processes and threads.
        environment: environment variables.
    """

    commands: tuple[tuple[str, ...], ...]
    folders: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    compiles: bool = False
    artifact: str = ""
    artifact_name: str = "program"
    scratch_mb: int = 128
    address_space: bool = True
    shared_memory: bool = True
    slack_mb: int = 512
    stack_mb: int = 0
    processes: int = 64
    environment: tuple[tuple[str, str], ...] = ()

    def settings(self, own_mb: int = 0) -> dict[str, Any]:
        """Return the world as plain data for the worker; `own_mb` is the part of memory limits that is the runtime's own."""
        return {
            "commands": [list(command) for command in self.commands],
            "own_mb": own_mb,
            "folders": [path for path in self.folders if Path(path).exists()],
            "files": [list(pair) for pair in self.files],
            "compiles": self.compiles,
            "artifact": self.artifact,
            "artifact_name": self.artifact_name,
            "scratch_mb": self.scratch_mb,
            "address_space": self.address_space,
            "shared_memory": self.shared_memory,
            "slack": self.slack_mb * _MB,
            "stack": self.stack_mb * _MB,
            "processes": self.processes,
            "environment": {"PATH": "/usr/bin", **dict(self.environment)},
        }


@dataclass(frozen=True)
class Toolchain:
    """One language on this machine.

    Attributes:
        language: its name.
        version: what its compiler or runtime says about itself.
        compile, run: the two worlds.
        start_s: CPU seconds that the runtime itself takes to start, added to time limits.
        own_mb: resident memory of the runtime itself, added to memory limits.
        memory_marks: what the runtime writes to standard error when memory runs out.
    """

    language: str
    version: str
    compile: World
    run: World
    start_s: float = 0.0
    own_mb: int = 0
    memory_marks: tuple[str, ...] = field(default=())


def toolchain(language: str) -> Toolchain:
    """Return a language's toolchain.

    Raises:
        SandboxError: its compiler is not installed, or does not run; the sentence says what to install.
    """
    if language not in _FIND:
        raise SandboxError(f"language {language!r} is unknown here; use one of {', '.join(_FIND)}")
    return _FIND[language]()


def missing(language: str) -> str:
    """Return why a language cannot be had here, or an empty text."""
    try:
        toolchain(language)
    except SandboxError as error:
        return str(error)
    return ""


def source_name(language: str, source: str) -> str:
    """Return the file name that a compiler wants for a source.

    >>> source_name("java", "public final class A {}"), source_name("javascript", "import fs from 'fs'")
    ('A.java', 'solution.mjs')
    """
    if language == "java":
        found = _PUBLIC_CLASS.search(source)
        return f"{found[1] if found else 'Main'}.java"
    if language == "javascript":
        return "solution.mjs" if _MODULE.search(source) and "require(" not in source else "solution.js"
    return ("solution" if language == "python" else "main") + LANGUAGES[language].suffixes[0]


def _program(language: str, name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        title = LANGUAGES[language].title
        raise SandboxError(f"submissions in {title} need {name!r}, which is not installed; use apt-get install {package}")
    program = os.path.realpath(found)
    if program.startswith("/tmp/"):
        raise SandboxError(f"{program} lies in /tmp, of which a sandbox has its own; put another {name!r} before it on PATH")
    return program


def _said(language: str, words: list[str]) -> str:
    return _ended(language, words, _ANSWER_S, None).strip()


def _ended(language: str, words: list[str], limit_s: float, environment: dict[str, str] | None, errors: bool = True) -> str:
    """Return what a program of this machine says; whatever it started ends with it.

    Raises:
        SandboxError: it cannot be started, fails, or takes longer than `limit_s`.
    """
    what, output = f"{shlex.join(words[:3])} of {LANGUAGES[language].title}", subprocess.STDOUT if errors else subprocess.DEVNULL
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": output}
    try:
        with subprocess.Popen(words, text=True, errors="replace", env=environment, start_new_session=True, **quiet) as process:
            try:
                said: str = process.communicate(timeout=limit_s)[0]
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # a script may have started others
    except OSError as error:
        raise SandboxError(f"{what} does not run ({error.strerror}); {_advice(words[0])}") from None
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{what} took more than {limit_s:g} s; {_advice(words[0])}") from None
    if process.returncode:
        raise SandboxError(f"{what} ended with {process.returncode}; {_advice(words[0])}")
    return said


def advice(chain: Toolchain) -> str:
    """Return what to do about a compiler or runtime that does not work in the sandbox."""
    program = Path(chain.compile.commands[0][0])
    if not _script(program) and not program.is_relative_to("/usr"):
        return f"it lies in {program.parent}, of which the sandbox shows only a part; use one under /usr, or install it anew"
    return _advice(str(program))


def _advice(program: str) -> str:
    path = Path(shutil.which(program) or program)
    if _script(path):
        return f"{path} is a script: put the folder of the program that it starts before {path.parent} on PATH"
    return "install it anew"


def _script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _with_prefix(program: str) -> tuple[str, ...]:
    """Return the folders of a compile world: the system's, and the compiler's own if it lies elsewhere."""
    prefix = Path(program).parent.parent
    if str(prefix) in ("/usr", "/"):
        return _SYSTEM
    parts = ("bin", "lib", "lib64", "libexec", "include")  # and nothing else of what may be somebody's home
    return (*_SYSTEM, *(str(prefix / part) for part in parts if (prefix / part).is_dir()))


def _placed(libraries: list[str]) -> tuple[str, ...]:
    """Return libraries by the real path of their folder, under their own names, which programs look for."""
    return tuple(sorted({str(Path(path).parent.resolve() / Path(path).name) for path in libraries}))


_NATIVE = World((("/tmp/program", "{flags}"),))
_OUT_OF_MEMORY = ("std::bad_alloc", "memory allocation of ")
_GNU_FLAGS = ("-O2", "-pipe", "-static", "-s", "-fmax-errors=5", "-fdiagnostics-color=never", "-I/tmp", "-o", "program")


def _gnu(language: str, name: str, standard: str) -> Toolchain:
    compiler = _program(language, name, "g++" if language == "cpp" else "gcc")
    command = (compiler, standard, *_GNU_FLAGS, "{files}", "-lm")
    folders = _with_prefix(compiler)
    plain = (("LC_ALL", "C"),)  # quotes in ASCII
    world = World((command,), folders, compiles=True, artifact="program", scratch_mb=512, processes=128, environment=plain)
    version = _said(language, [compiler, "--version"]).splitlines()[0]
    return Toolchain(language, version, world, _NATIVE, memory_marks=_OUT_OF_MEMORY)


@functools.cache
def _c() -> Toolchain:
    return _gnu("c", "gcc", "-std=gnu17")


@functools.cache
def _cpp() -> Toolchain:
    return _gnu("cpp", "g++", "-std=gnu++20")


@functools.cache
def _rust() -> Toolchain:
    linker = _program("rust", "cc", "gcc")
    _program("rust", "rustc", "rustc")
    root = _said("rust", ["rustc", "--print", "sysroot"])  # the program on PATH may be a front for several versions
    compiler = f"{root}/bin/rustc"
    options = ("target-feature=+crt-static", "strip=symbols", "codegen-units=1", f"linker={linker}")
    codegen = tuple(word for option in options for word in ("-C", option))
    command = (compiler, "--edition", "2021", "-O", *codegen, "--color", "never", "-o", "program", "{files}")
    compile_world = World(
        (command,),
        (*_SYSTEM, *(() if root == "/usr" else (root,))),
        compiles=True,
        artifact="program",
        scratch_mb=512,
        address_space=False,
        slack_mb=1024,
        processes=128,
        environment=(("LD_LIBRARY_PATH", f"{root}/lib"),),
    )
    return Toolchain("rust", _said("rust", [compiler, "--version"]), compile_world, _NATIVE, memory_marks=_OUT_OF_MEMORY)


_GO_PACKAGES = """
bufio bytes cmp container/heap container/list container/ring context errors fmt hash/fnv io maps math math/big math/bits
math/cmplx math/rand os reflect regexp runtime runtime/debug slices sort strconv strings sync sync/atomic text/tabwriter time
unicode unicode/utf8 unsafe
"""


@functools.cache
def _go() -> Toolchain:
    compiler = _program("go", "go", "golang-go")
    environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"}

    def said(*words: str, limit_s: float = _ANSWER_S) -> str:
        return _ended("go", [compiler, *words], limit_s, environment, errors=False).strip()

    root, tools, version = said("env", "GOROOT"), said("env", "GOTOOLDIR"), said("version")
    known = set(said("list", "std").split())
    wanted = [name for name in _GO_PACKAGES.split() if name in known]
    form = "{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}"
    rows = said("list", "-export", "-deps", "-f", form, *wanted, limit_s=_BUILD_S).split("\n")
    archives = [row.partition("=")[2] for row in rows if "=" in row]
    config = "\n".join(row for row in rows if row) + "\n"
    commands = (
        (f"{tools}/compile", "-importcfg", "importcfg", "-p", "main", "-pack", "-o", "program.a", "{files}"),
        (f"{tools}/link", "-importcfg", "importcfg", "-s", "-w", "-buildmode=exe", "-o", "program", "program.a"),
    )
    places = {str(Path(path).parent) if path.startswith(root) else path for path in archives}
    folders = tuple(_outermost({os.path.realpath(tools), root, *places}))
    threads = (("GOMAXPROCS", "2"),)
    compile_world = World(
        commands,
        folders,
        files=(("importcfg", config),),
        compiles=True,
        artifact="program",
        scratch_mb=512,
        address_space=False,
        environment=threads,
        processes=128,
    )
    run_world = World(_NATIVE.commands, address_space=False, shared_memory=False, slack_mb=64, environment=threads)
    marks = ("runtime: out of memory", "fatal error: out of memory", "cannot allocate memory")
    return Toolchain("go", version, compile_world, run_world, own_mb=16, memory_marks=marks)


def _outermost(paths: set[str]) -> list[str]:
    return [path for path in sorted(paths) if not any(path.startswith(other + "/") for other in paths)]


_JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto")
_UNUSED_LIBRARY = re.compile(r"/lib(X|xcb|GL|asound|fontconfig|freetype)")


@functools.cache
def _java() -> Toolchain:
    compiler = _program("java", "javac", "default-jdk-headless")
    home = Path(compiler).parent.parent
    if not (home / "lib/server/libjvm.so").is_file():
        raise SandboxError(f"{compiler} does not lie in a Java development kit; put the kit's own bin folder on PATH")
    linked = [path.resolve() for path in (home / "conf", *home.glob("conf/*"), *home.glob("lib/*")) if path.is_symlink()]
    outside = {str(path.parent if path.is_file() else path) for path in linked if not path.is_relative_to(home)}
    binaries = [str(home / "bin/java"), *map(str, home.glob("lib/lib*.so")), str(home / "lib/server/libjvm.so")]
    needed = [path for path in shared_libraries(binaries) if not path.startswith(str(home)) and not _UNUSED_LIBRARY.search(path)]
    folders = tuple(_outermost({str(home), "/etc/ld.so.cache", *outside, *_placed(needed)}))
    found = (("LD_LIBRARY_PATH", f"{home}/lib:{home}/lib/server"),)  # programs cannot ask where they lie: there is no /proc
    quick = tuple(f"-J{flag}" for flag in (*_JVM, "-XX:TieredStopAtLevel=1", "-Xmx512m"))
    options = ("-encoding", "UTF-8", "-proc:none", "-Xmaxerrs", "5", "-nowarn", "-d", SCRATCH)
    run = (
        str(home / "bin/java"),
        *_JVM,
        *("-XX:ActiveProcessorCount=1", "-Xss64m", "-Xms16m", "-Xmx{memory}m", "-XX:+ExitOnOutOfMemoryError"),
        *("-XX:-CreateCoredumpOnCrash", "-XX:+DisplayVMOutputToStderr", "-XX:ErrorFile=/dev/null", "-jar", "/tmp/program.jar"),
    )
    base = World((), folders, address_space=False, slack_mb=1024, environment=found)
    compile_world = replace(base, commands=((compiler, *quick, *options, "{files}"),), compiles=True, artifact="*.class")
    run_world = replace(base, commands=(run,), artifact_name="program.jar", stack_mb=8)
    version = _said("java", [compiler, "-version"])
    return Toolchain("java", version, compile_world, run_world, 0.5, 192, ("java.lang.OutOfMemoryError",))


@functools.cache
def _javascript() -> Toolchain:
    node = _program("javascript", "node", "nodejs")
    if _script(Path(node)):
        raise SandboxError(f"JavaScript needs node itself; {_advice(node)}")
    parts = [path for path in ("/usr/share/nodejs",) if Path(path).is_dir()]  # where Debian keeps a part of the runtime
    folders = tuple(_outermost({node, "/etc/ld.so.cache", *parts, *_placed(shared_libraries([node]))}))
    base = World((), folders, address_space=False, slack_mb=1024, stack_mb=64)
    run = (node, "--max-old-space-size={memory}", "--stack-size=62000", "{flags}")
    compile_world = replace(base, commands=((node, "--check", "{files}"),), compiles=True, artifact="{source}")
    run_world = replace(base, commands=(run,), artifact_name="{flags}")
    version = f"node {_said('javascript', [node, '--version'])}"
    marks = ("JavaScript heap out of memory", "Array buffer allocation failed")
    return Toolchain("javascript", version, compile_world, run_world, 0.1, 96, marks)


_CHECK = "import sys; compile(open(sys.argv[1], encoding='utf-8').read(), 'solution.py', 'exec', 0, True)"


@functools.cache
def _python() -> Toolchain:
    """Python as a program that is started anew for each test: for submissions that talk with an interactor, and interactors."""
    program = os.path.realpath(sys.executable)
    stdlib = str(Path(os.__file__).resolve().parent)
    left_out = {"site-packages", "dist-packages", "test", "ensurepip", "idlelib", "lib2to3", "turtledemo", "tkinter"}
    parts = [path for path in Path(stdlib).iterdir() if path.name not in left_out and not path.name.startswith("config-")]
    binaries = [program, *map(str, Path(stdlib).glob("lib-dynload/*.so"))]
    libraries = [path for path in shared_libraries(binaries) if not path.startswith(stdlib)]
    folders = tuple(_outermost({program, "/etc/ld.so.cache", *map(str, parts), *_placed(libraries)}))
    home = (("PYTHONHOME", sys.base_prefix), ("PYTHONHASHSEED", "0"), ("PYTHONUTF8", "1"))
    base = World((), folders, environment=home)
    start = (program, "-s", "-B")
    compile_world = replace(base, commands=((*start, "-S", "-c", _CHECK, "{files}"),), compiles=True, artifact="{source}")
    run_world = replace(base, commands=((*start, "{flags}"),), artifact_name="{flags}")
    return Toolchain("python", f"CPython {platform.python_version()}", compile_world, run_world, 0.1, 24, ("MemoryError",))


_FIND: dict[str, Callable[[], Toolchain]] = {
    "c": _c,
    "cpp": _cpp,
    "go": _go,
    "java": _java,
    "javascript": _javascript,
    "python": _python,
    "rust": _rust,
}
FOREIGN = tuple(name for name in _FIND if name != "python")
"""Names of the languages other than Python."""
