"""The eight programs on which tracing is measured, each for a number of line events."""

from __future__ import annotations

__all__ = ["PROGRAMS", "SIZES", "program"]

LOOP = """\
def run(n):
    state = 12345
    total = 0
    for i in range(n):
        state = (state * 1103515245 + 12345) % 2147483648
        if state % 3 == 0:
            total += state % 1000
    return total

print(run({n}))
"""

FIB = """\
def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)

print(fib({n}))
"""

SIEVE = """\
def sieve(limit):
    prime = [True] * (limit + 1)
    prime[0] = prime[1] = False
    p = 2
    while p * p <= limit:
        if prime[p]:
            for k in range(p * p, limit + 1, p):
                prime[k] = False
        p += 1
    return sum(prime)

print(sieve({n}))
"""

LCS = """\
def lcs(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                table[i][j] = table[i - 1][j - 1] + 1
            else:
                table[i][j] = max(table[i - 1][j], table[i][j - 1])
    return table[-1][-1]

size = {n}
print(lcs("abcbdab" * size, "bdcaba" * size))
"""

COUNT = """\
text = "the quick brown fox jumps over the lazy dog and the cat sat on the mat "
words = (text * {n}).split()
counts = {{}}
for word in words:
    key = word.strip(".,")
    if key not in counts:
        counts[key] = 0
    counts[key] += 1
print(sorted(counts.items(), key=lambda pair: -pair[1])[:3])
"""

STRING = """\
def encode(text):
    out = ""
    run = 1
    for i in range(1, len(text) + 1):
        if i < len(text) and text[i] == text[i - 1]:
            run += 1
        else:
            out += text[i - 1] + str(run)
            run = 1
    return out

print(len(encode("aaabbbbcddddde" * {n})))
"""

DIJKSTRA = """\
import heapq

def shortest(graph, start):
    distance = {{start: 0}}
    queue = [(0, start)]
    while queue:
        cost, node = heapq.heappop(queue)
        if cost > distance[node]:
            continue
        for other, weight in graph[node]:
            new = cost + weight
            if other not in distance or new < distance[other]:
                distance[other] = new
                heapq.heappush(queue, (new, other))
    return distance

def build(n):
    return {{i: [((i * 7 + k * 13 + 1) % n, (i * k) % 17 + 1) for k in range(5)] for i in range(n)}}

print(sum(shortest(build({n}), 0).values()))
"""

DSU = """\
class DisjointSets:
    def __init__(self, n):
        self.parent = list(range(n))
        self.size = [1] * n

    def find(self, x):
        while self.parent[x] != x:
            self.parent[x] = self.parent[self.parent[x]]
            x = self.parent[x]
        return x

    def union(self, a, b):
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        if self.size[a] < self.size[b]:
            a, b = b, a
        self.parent[b] = a
        self.size[a] += self.size[b]
        return True

def run(n):
    sets = DisjointSets(n)
    merged = 0
    for i in range(n):
        if sets.union(i, (i * 31 + 7) % n):
            merged += 1
    return merged

print(run({n}))
"""

PROGRAMS = {
    "loop": (LOOP, (3_000, 90_000, 3_000_000)),
    "fib": (FIB, (17, 24, 31)),
    "sieve": (SIEVE, (2_500, 60_000, 2_000_000)),
    "lcs": (LCS, (8, 46, 270)),
    "count": (COUNT, (180, 5_400, 180_000)),
    "string": (STRING, (200, 6_000, 200_000)),
    "dijkstra": (DIJKSTRA, (450, 13_000, 430_000)),
    "dsu": (DSU, (800, 24_000, 800_000)),
}
"""Name to the source and the numbers that make about 10^4, 3*10^5 and 10^7 line events."""

SIZES = {"S": 0, "M": 1, "L": 2}


def program(name: str, size: str) -> str:
    """Return the source of a program in one of the sizes S, M and L."""
    source, numbers = PROGRAMS[name]
    return source.format(n=numbers[SIZES[size]])
