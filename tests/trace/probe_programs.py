"""Small programs, each of which breaks some tracer: what they print and how they end must not depend on being traced."""

from __future__ import annotations

PROBES: dict[str, str] = {
    "generator is closed early": """
def numbers():
    try:
        n = 0
        while True:
            yield n
            n += 1
    finally:
        print("closed", n)
g = numbers()
print(next(g), next(g), next(g)); g.close()
""",
    "generator receives values": """
def echo():
    got = None
    for _ in range(6):
        got = yield got
        print("got", got)
g = echo(); next(g)
for value in "abcde":
    print(g.send(value))
""",
    "generators are delegated to and return": """
def inner():
    yield 1
    yield 2
    return "done"
def outer():
    result = yield from inner()
    yield result
print(list(outer()))
""",
    "a yielded object is not kept alive": """
import weakref
class Item: pass
def items():
    for _ in range(3):
        yield Item()
for item in items():
    seen = weakref.ref(item)
    del item
    print(seen() is None)
""",
    "objects die when their last name does": """
class Noisy:
    def __init__(self, n): self.n = n
    def __del__(self): print("del", self.n)
def f(n):
    a = Noisy(n)
    b = a
    del a
    print("still", b.n)
    b = None
    print("gone")
for i in range(7):
    f(i)
""",
    "reference counts": """
import sys
def f():
    x = object()
    y = [x]
    return sys.getrefcount(x), sys.getrefcount(y)
for _ in range(6):
    print(f())
""",
    "hostile dunder methods": """
class Trip:
    def __repr__(self): print("repr"); return "x"
    __str__ = __repr__
    def __eq__(self, other): print("eq"); return True
    def __hash__(self): print("hash"); return 1
    def __len__(self): print("len"); return 1
    def __iter__(self): print("iter"); return iter(())
    def __bool__(self): print("bool"); return True
    def __getattribute__(self, name): print("get", name); return None
    def __contains__(self, item): print("in"); return True
a = Trip()
b = [a, (a,), {"k": a}]
def f(x, y):
    z = x
    w = [y, z]
    return w
for _ in range(6):
    c = f(a, b)
""",
    "hostile metaclass and class": """
class Meta(type):
    def __repr__(cls): print("meta repr"); return "M"
    def __getattribute__(cls, name): print("meta get", name); return type.__getattribute__(cls, name)
    def __hash__(cls): print("meta hash"); return 5
    def __eq__(cls, other): print("meta eq"); return False
    @property
    def __mro__(cls): print("mro"); return ()
    @property
    def __name__(cls): print("name"); return "n"
class Odd(metaclass=Meta):
    pass
def f(v):
    w = v
    return w
x = Odd()
y = f(x)
z = f(Odd)
print(type(y) is type(x))
""",
    "hostile subclasses of built-in types": """
class L(list):
    def __len__(self): print("len"); return 0
    def __iter__(self): print("iter"); return iter([])
    def __getitem__(self, i): print("item"); return 0
class D(dict):
    def items(self): print("items"); return []
    def __len__(self): print("dlen"); return 0
class S(str):
    def __len__(self): print("slen"); return 0
    def __repr__(self): print("srepr"); return ""
    def __hash__(self): print("shash"); return 1
class I(int):
    def __repr__(self): print("irepr"); return ""
    def __add__(self, o): print("iadd"); return 0
    def __format__(self, spec): print("fmt"); return ""
class X(set):
    def __iter__(self): print("xiter"); return iter([])
a = L([1, 2]); b = D(a=1); c = S("abc"); d = I(5); e = X([1]); f = [a, b, c, d, e]
""",
    "a property named __dict__": """
class P:
    @property
    def __dict__(self):
        print("dict property")
        return {}
    def __init__(self): pass
p = P()
q = [p]
""",
    "the fields that look private": """
class A:
    __slots__ = ("x", "__y")
    def __init__(self):
        self.x = 1
        self.__y = 2
        __z = 3
        self.x += __z
a = A()
print(a.x, a._A__y)
""",
    "cyclic structures": """
a = []
a.append(a)
d = {}
d["d"] = d
class N: pass
n = N(); n.n = n
t = (a, d, n)
print(len(t))
""",
    "huge values": """
a = 3 ** 100000
b = "x" * 10 ** 7
c = list(range(10 ** 6))
d = {i: i for i in range(10 ** 5)}
e = set(range(10 ** 5))
c[5] = 1
b += "y"
print(a.bit_length(), len(b), len(c), len(d), len(e))
""",
    "the tracer is turned off by the program": """
import sys
sys.settrace(None)
x = 1
print(sys.gettrace())
def f():
    sys.settrace(None)
    y = 2
    return y
print(f())
""",
    "the program has a tracer of its own": """
import sys
seen = []
def tracer(frame, event, arg):
    seen.append((event, frame.f_code.co_name))
    return None
def f():
    return 1
sys.settrace(tracer)
f()
sys.settrace(None)
print([row for row in seen if row[1] == "f"])
""",
    "local variables are looked at": """
def f(n):
    for i in range(n):
        while i > 100:
            pass
    return sorted(locals())
def g(a):
    for b in a:
        pass
    return sorted(vars()), sorted(dir())
def h():
    for k in range(5):
        yield sorted(locals())
print(f(5), g([1, 2]), list(h()))
for k in range(3):
    pass
print(sorted(name for name in globals() if name[:2] != "__"), [name for name in dir() if name[:2] != "__"])
""",
    "local variables through eval and frames": """
import sys
def f(n):
    for i in range(n):
        pass
    return sorted(eval("locals()"))
def g(n):
    total = 0
    for i in range(n):
        total += i
    return sorted(sys._getframe().f_locals)
print(f(4), g(5))
""",
    "text is formatted from the local variables": """
def f(a):
    for b in range(3):
        a += b
    return "{a} {b}".format(**locals())
print([f(i) for i in range(7)])
""",
    "code in a text": """
x = 5
exec("for i in range(4):\\n    x += i")
print(x, eval("x + 1"))
def f():
    d = {}
    exec("y = 3", d)
    return d["y"]
print(f())
""",
    "recursion to its limit": """
import sys
def depth(n):
    try:
        return depth(n + 1)
    except RecursionError:
        return n
deepest = depth(0)
def down(n):
    if n == 0:
        return 0
    return down(n - 1) + 1
for less in range(1, 12):
    try:
        print(deepest - less, down(deepest - less))
    except RecursionError:
        print("too deep")
print(deepest)
""",
    "a first call at the recursion limit": """
def leaf(k):
    x = k
    for j in range(2):
        x += j
    return x
def down(n):
    if n == 0:
        return leaf(1)
    return down(n - 1) + 1
for n in range(985, 1000):
    try:
        print(n, down(n))
    except RecursionError as error:
        print(n, "too deep")
""",
    "uncaught endless recursion": """
def f(n):
    return f(n + 1)
f(0)
""",
    "nonlocal and global names": """
total = 0
def outer():
    count = 0
    def inner():
        nonlocal count
        global total
        for i in range(6):
            count += 1
            total += i
        return count
    return [inner() for _ in range(6)]
print(outer(), total)
""",
    "a global is declared in a branch": """
def f(flag):
    if flag:
        global g
        g = 5
    return 1
print(f(True), g)
""",
    "names that may be unbound": """
def f(n):
    for i in range(n):
        last = i
        if i > 5:
            late = i
    try:
        return last, late
    except NameError as error:
        return type(error).__name__
print([f(n) for n in range(9)])
for k in []:
    never = 1
try:
    print(never)
except NameError as error:
    print(error)
""",
    "names are deleted": """
def f(n):
    x = n
    del x
    for i in range(5):
        y = i
        del y
    try:
        return x
    except UnboundLocalError as error:
        return str(error)
print(f(1))
v = [1, 2, 3]
del v[0]
del v
try:
    v
except NameError as error:
    print(error)
""",
    "loops with else, break and continue": """
def f(n):
    for i in range(n):
        if i == 5:
            break
        if i % 2:
            continue
    else:
        return "all"
    while n:
        n -= 1
        if n == 2:
            continue
    else:
        n = "end"
    return n
print([f(n) for n in range(9)])
for i in range(4):
    for j in range(4):
        if j == 2: break
    else:
        print("never")
    continue
else:
    print("over")
""",
    "returns through finally": """
def f(n):
    for i in range(9):
        try:
            if i == n:
                return i
            if i == 5:
                raise KeyError(i)
        except KeyError:
            return "key"
        finally:
            if n == 7:
                return "finally"
            print("f", i)
print([f(n) for n in range(9)])
""",
    "exceptions with causes and notes": """
def f(n):
    try:
        return [1, 2][n]
    except IndexError as error:
        raise ValueError("no", n) from error
for n in range(4):
    try:
        print(f(n))
    except ValueError as error:
        print(error.args, type(error.__cause__).__name__, error.__context__ is error.__cause__)
f(9)
""",
    "an exception group": """
def f():
    try:
        raise ExceptionGroup("many", [ValueError(1), TypeError(2)])
    except* ValueError as group:
        print("values", len(group.exceptions))
    except* TypeError as group:
        print("types", len(group.exceptions))
for _ in range(5):
    f()
""",
    "an exception with hostile text": """
class E(Exception):
    def __str__(self): print("str"); return "s"
    def __repr__(self): print("repr"); return "r"
for _ in range(3):
    try:
        raise E("a", 1)
    except E as error:
        caught = error
        print(type(caught).__name__)
""",
    "the line of an exception in a call over several lines": """
def f(a,
      b):
    return (a
            + b
            + (
                1 / b))
print(f(1, 2))
f(
    1,
    0,
)
""",
    "the program exits": """
import sys
def f():
    for i in range(9):
        if i == 5:
            sys.exit("bye")
f()
""",
    "match": """
def f(value):
    match value:
        case 0 | 1:
            return "small"
        case [x, *rest] if x:
            return x, rest
        case {"k": v, **other}:
            return v, other
        case str(s):
            return s
        case _:
            return None
for item in (0, [1, 2, 3], [0], {"k": 1, "j": 2}, "s", 5.0, 1):
    print(f(item))
""",
    "walrus": """
def f(data):
    out = []
    while (n := len(data)) > 0:
        data = data[1:]
        out.append(n)
    if (m := max(out, default=0)) > 3 and (last := out[-1]):
        out.append(last)
    print(any((hit := x) > 2 for x in out), m)
    return out
print(f([1] * 6), f([]), f([1]))
""",
    "comprehensions in classes and functions": """
class A:
    n = 3
    grid = [[x * y for x in range(3)] for y in range(3)]
    pairs = {k: v for k, v in zip("ab", range(2))}
def f(n):
    rows = [[x * y + n for x in range(3)] for y in range(2)]
    gen = (r for row in rows for r in row)
    return sum(gen), {x for x in range(n)}
print(A.grid, A.pairs, [f(i) for i in range(6)])
""",
    "decorators, closures and caches": """
import functools
def twice(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs) * 2
    return inner
@twice
def f(a, /, b=1, *rest, c, d=4, **more):
    "doc of f"
    return a + b + sum(rest) + c + d + sum(more.values())
@functools.lru_cache(None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
print(f(1, 2, 3, c=4, e=5), f.__doc__, f.__name__, fib(40), fib.cache_info())
""",
    "dataclasses, enums, named tuples and slots": """
import dataclasses, enum, collections
@dataclasses.dataclass(order=True)
class P:
    "doc"
    x: int
    y: int = 2
    z: list = dataclasses.field(default_factory=list)
class C(enum.Enum):
    RED = 1
    BLUE = enum.auto()
T = collections.namedtuple("T", "a b")
p = P(1); q = P(2, 3)
c = C.RED
t = T(1, 2)
print(p, p < q, c, list(C), t, P.__doc__, P.__annotations__, sorted(C.__members__))
""",
    "a class with a namespace of its own": """
class Names(dict):
    def __getitem__(self, name):
        print("lookup", name)
        return dict.__getitem__(self, name)
    def __setitem__(self, name, value):
        print("store", name)
        dict.__setitem__(self, name, value)
class Meta(type):
    @classmethod
    def __prepare__(mcls, name, bases): return Names()
    def __new__(mcls, name, bases, names): return type.__new__(mcls, name, bases, dict(names))
class A(metaclass=Meta):
    x = 1
    y = [x]
    for i in range(5):
        y.append(i)
print(A.y)
""",
    "super and private names": """
class A:
    def f(self, n): return [n]
class B(A):
    def f(self, n):
        __hidden = super().f(n)
        for i in range(3):
            __hidden.append(i)
        return __hidden
print([B().f(i) for i in range(6)])
""",
    "coroutines": """
import asyncio
async def item(n):
    await asyncio.sleep(0)
    return n
async def many():
    for i in range(5):
        yield await item(i)
async def main():
    total = 0
    async for value in many():
        total += value
    async with asyncio.Lock() as lock:
        total += 1
    print(total, await asyncio.gather(*(item(i) for i in range(6))))
asyncio.run(main())
""",
    "threads": """
import threading
total = []
def work(n):
    count = 0
    for i in range(50):
        count += i
    total.append(count + n)
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(total))
""",
    "a fork": """
import os, sys
sys.stdout.flush()
child = os.fork()
x = 0
for i in range(5):
    x += i
if child == 0:
    os._exit(x)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), x)
""",
    "signals": """
import signal
hits = []
def handler(number, frame):
    hits.append(number)
    local = len(hits)
signal.signal(signal.SIGUSR1, handler)
for _ in range(6):
    signal.raise_signal(signal.SIGUSR1)
print(len(hits))
""",
    "input": """
n = int(input())
rows = []
for _ in range(n):
    rows.append(list(map(int, input().split())))
print(sum(map(sum, rows)))
try:
    input()
except EOFError:
    print("end")
""",
    "future imports and a docstring of the module": '''
"""doc of the module"""
from __future__ import annotations
def f(x: Undefined) -> Unknown:
    y: AlsoUnknown = x
    z: Never
    return y
print(__doc__, f(1), f.__annotations__)
''',
    "in-place changes of augmented targets": """
class A: pass
a = A(); a.n = 1; a.items = [1]
def f():
    global a
    for i in range(6):
        a.n += i
        a.items[0] += 1
        a.items += [i]
        x = [0] * 3
        x[i % 3] -= 1
    return a.n, a.items, x
print(f())
""",
    "unpacking": """
def f(pairs):
    for i, (a, *b), in pairs:
        [c, d], e = (a, b), i
        first = second = [c]
        x, y = d, e
    return c, d, e, first is second, x, y
print(f([(1, (2, 3, 4)), (5, "ab")] * 4))
""",
    "many functions in functions": """
def a(n):
    def b(m):
        def c(k):
            def d(j):
                total = 0
                for i in range(j):
                    total += i
                return total
            return d(k) + 1
        return c(m) + 1
    return b(n) + 1
print([a(i) for i in range(7)])
""",
    "deeply nested loops": """
count = 0
for a in range(3):
    for b in range(3):
        for c in range(3):
            for d in range(3):
                for e in range(3):
                    count += a * b * c * d * e
                    if count > 100 and e == 1:
                        break
print(count)
""",
    "an assertion fails": """
def check(x):
    for i in range(9):
        assert i < x, f"too big: {i}"
    return True
print(check(20))
check(5)
""",
    "warnings are given once": """
import warnings
def f(n):
    for i in range(n):
        warnings.warn("careful")
    return n is 5
print(f(5))
""",
    "the source of a class is on one line": """
class A: x = 1; y = x + 1
def f(): return 1
if A.x: a = 1; b = 2
else: a = 3
for i in range(4): a += i
while a < 50: a += 20
try: 1 / 0
except ZeroDivisionError: b = 5
finally: b += 1
with open("/dev/null") as h: c = h.read()
print(a, b, f(), c)
""",
    "a context manager that swallows": """
class Swallow:
    def __enter__(self): return self
    def __exit__(self, *error): return True
def f(n):
    for i in range(5):
        with Swallow() as s, Swallow():
            if i == n:
                raise ValueError
            last = i
    return last
print([f(n) for n in range(6)])
""",
    "syntax errors": "def f(:\n    pass\n",
    "a return outside of a function": "x = 1\nreturn x\n",
    "a null byte": "x = 1\0\n",
    "an empty program": "",
    "only a comment": "# nothing\n",
    "only a docstring": '"""text"""',
}
