"""Two small problems that tests share."""

from codeenv.problems import CallTest, Problem, StdioTest

ADD_ONE = Problem(
    "test/add-one",
    "Write f(x) that returns x + 1.",
    "call",
    "f",
    public_tests=(CallTest((1,), {}, 2), CallTest((5,), {}, 6)),
    private_tests=(CallTest((31337,), {}, 31338), CallTest((-1,), {}, 0)),
    correct_solutions=("def f(x):\n    return x + 1\n",),
    incorrect_solutions=("def f(x):\n    return x\n",),
)
ECHO = Problem(
    "test/écho",
    "Read a line — any Unicode — and print it. 🙂",
    "stdio",
    public_tests=(StdioTest("héllo 漢\n", "héllo 漢\n"),),
    private_tests=(StdioTest("🙂\n", "🙂\n"),),
    correct_solutions=("print(input())\n",),
    incorrect_solutions=("print('héllo 漢')\n", "print(int(input()))\n"),
)
