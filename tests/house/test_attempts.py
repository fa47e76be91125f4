"""What a user can do wrong is told with what to try: the sources are read for it, C++ as well.

Wherever an exception is made, its words come from `located` or `message` with an `attempt`, which
stands there as text. Not so the two classes that no user's mistake has: `InternalError`, which says
itself what to do, and `Signal`, which is caught inside Fornax.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import fornax
from fornax import _native, errors

PACKAGE = Path(fornax.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: names that make the text, and the position of the attempt in their arguments
MAKERS = {"located": 2, "message": 3}
#: words that say nothing about what went wrong
FILLER = ("a different value", "something else", "valid value", "correct value", "check your",
          "fix the", "see the documentation")  # fmt: skip


@cache
def nodes() -> dict[Path, list[ast.AST]]:
    """The nodes of every file."""
    return {path: list(ast.walk(ast.parse(path.read_text()))) for path in FILES}


def name_of(function: ast.expr) -> str:
    """The last word of what is called."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def bases() -> dict[str, list[str]]:
    """The names of the base classes of every class of the package."""
    return {
        node.name: [name_of(base) for base in node.bases]
        for listed in nodes().values()
        for node in listed
        if isinstance(node, ast.ClassDef)
    }


@cache
def kinds() -> tuple[frozenset[str], frozenset[str]]:
    """Names of the classes that users see, and of those that they do not."""
    builtin = {
        name for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, Exception)
        and not issubclass(value, Warning | StopIteration | StopAsyncIteration)
    }  # fmt: skip
    seen, unseen = builtin | {"LinAlgError"}, {"InternalError", "Signal"}
    declared = bases()
    while True:
        more = {name for name, above in declared.items() if unseen & set(above)} - unseen
        others = {name for name, above in declared.items() if seen & set(above)} - seen - unseen
        if not more and not others - more:
            return frozenset(seen - unseen), frozenset(unseen)
        unseen |= more
        seen |= others - more


@cache
def texts() -> set[str]:
    """The names of functions that return a message with an attempt."""
    found: set[str] = set()
    for listed in nodes().values():
        for node in listed:
            if isinstance(node, ast.FunctionDef) and node.name != "located":
                returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
                calls = [v for v in returned if isinstance(v, ast.Call)]
                if calls and all(name_of(c.func) in MAKERS and given_to(c) for c in calls):
                    found.add(node.name)
    return found


def attempt_of(text: ast.expr) -> ast.expr | None:
    """What a call that makes a message says to try."""
    if isinstance(text, ast.Constant) and "\n  try:   " in str(text.value):
        return ast.Constant(text.value.partition("  try:   ")[2])  # where nothing is imported yet
    if not isinstance(text, ast.Call):
        return None
    if name_of(text.func) in texts():
        return text
    return given_to(text) if name_of(text.func) in MAKERS else None


def given_to(text: ast.Call) -> ast.expr | None:
    """The attempt among the arguments of one of `MAKERS`."""
    if any(isinstance(argument, ast.Starred) for argument in text.args):
        return text.args[-1]  # the whole advice, from a table
    for keyword in text.keywords:
        if keyword.arg == "attempt":
            return keyword.value
    position = MAKERS[name_of(text.func)]
    return text.args[position] if len(text.args) > position else None


def words_of(attempt: ast.expr) -> str | None:
    """The constant words of an attempt; None where it is worked out."""
    if isinstance(attempt, ast.Constant):
        return str(attempt.value)
    if isinstance(attempt, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in attempt.values)
    return None


@cache
def functions() -> frozenset[str]:
    """The names of functions and classes: `raise f(...)` is looked at in f."""
    return kinds()[1] | {
        node.name for listed in nodes().values() for node in listed
        if isinstance(node, ast.FunctionDef)
    }  # fmt: skip


def calls_in(listed: list[ast.AST]) -> Iterator[ast.Call]:
    """The calls that make an exception, or raise what a variable is."""
    seen, _ = kinds()
    raised = {id(node.exc) for node in listed if isinstance(node, ast.Raise)}
    for node in listed:
        if isinstance(node, ast.Call):
            name = name_of(node.func)
            # a class in a variable: `raise kind(...)`; functions are looked at where they are
            if name in seen or name and id(node) in raised and name not in functions():
                yield node


def assigned(listed: list[ast.AST], text: ast.Name) -> ast.expr | None:
    """What the function around a variable assigns to it."""
    for function in listed:
        if isinstance(function, ast.FunctionDef) and text in (inside := list(ast.walk(function))):
            for node in inside:
                if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == text.id:
                    return node.value
    return None


def problems_of(listed: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for the exceptions that a file makes."""
    for call in calls_in(listed):
        text: ast.expr | None = call.args[0] if call.args else None
        if isinstance(text, ast.Name):
            text = assigned(listed, text)
        attempt = text and attempt_of(text)
        if attempt is None:
            yield call.lineno, f"{ast.unparse(call)[:90]} does not say what to try"
            continue
        words = words_of(attempt)
        if words is not None and len(words) < 3:
            yield call.lineno, f"nothing to try: {words!r}"
        if words and any(filler in words.lower() for filler in FILLER):
            yield call.lineno, f"says nothing: {words!r}"
        if words and words.lower().startswith(("try ", "please ")):
            yield call.lineno, f"`try:` stands before it already: {words!r}"


def test_errors_say_what_to_try():
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {what}"
        for path, listed in nodes().items()
        for line, what in problems_of(listed)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("code, wrong", (
    ('raise ValueError("no")', True),
    ('raise ValueError(located("no"))', True),
    ('raise ValueError(located("no", "why"))', True),
    ('raise ValueError(located("no", attempt="check your arguments"))', True),
    ('raise kind("no")', True),
    ('def f():\n    text = located("no", "why", "x.T")\n    raise ValueError(text)', False),
    ('raise ValueError(located("no", "why", "x.T"))', False),
    ('raise errors.TypePromotionError(message("no", attempt="x.astype(float)"))', False),
    ('raise kind(located("no", attempt=advice))', False),
    ('raise InternalError("a bug")', False),
    ("raise NotImplementedError", False),
    ("raise", False),
))  # fmt: skip
def test_the_reader_finds_errors_without_a_try(code, wrong):
    assert bool(list(problems_of(list(ast.walk(ast.parse(code)))))) == wrong


def test_bugs_say_that_they_are_bugs():
    text = str(errors.InternalError("a step of the plan is unknown"))
    assert text.startswith("a step of the plan is unknown")
    assert "why:   this is a bug in Fornax" in text and "try:   report it" in text
    assert issubclass(errors.JaxprCheckError, errors.InternalError)
    assert not issubclass(errors.Signal, errors.FornaxError)


# --- the native core ------------------------------------------------------------------------------

NATIVE = Path(__file__).parents[2] / "native"
#: functions of CPython that make the text of an exception, and what C++ throws with one
RAW = re.compile(
    r"\b(PyErr_(?:Format|FormatV|SetString|BadArgument|WarnEx|WarnFormat)|PySequence_Fast"
    r"|throw\s+(?:std|nb|nanobind)::\w+)\s*\("
)
#: the function that sets a user's mistake, and the positions of why and attempt in its arguments
REFUSAL = re.compile(r"\brefuse\s*\(\s*(?!PyObject)")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: where the exceptions are made for the others
MAKER = "refusal.cpp"
#: throws again what is set already
PASSED_ON = "throw nb::python_error"


def arguments_of(text: str, start: int) -> list[str]:
    """The arguments of a call whose opening parenthesis is just before `start`."""
    found, depth, begin, position = [], 0, start, start
    while depth >= 0:
        letter = text[position]
        if letter == '"':
            position = LITERAL.match(text, position).end()
            continue
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0 or (letter == "," and not depth):
            found.append(text[begin:position].strip())
            begin = position + 1
        position += 1
    return found


def native_problems(text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for the exceptions that a C++ source makes."""
    text = re.sub(r"//[^\n]*", "", text)
    for raw in RAW.finditer(text):
        if raw.group(1) != PASSED_ON:
            yield text.count("\n", 0, raw.start()) + 1, f"{raw.group(1)} in place of refuse or bug"
    for call in REFUSAL.finditer(text):
        arguments = arguments_of(text, call.end())
        line = text.count("\n", 0, call.start()) + 1
        attempt = "".join(LITERAL.findall(arguments[2])) if len(arguments) > 3 else ""
        if len(attempt) < 3 and arguments[2:3] != ["attempt"]:
            yield line, "nothing to try"
        if any(filler in attempt.lower() for filler in FILLER):
            yield line, f"says nothing: {attempt!r}"
        if attempt.lower().startswith(("try ", "please ")):
            yield line, f"`try:` stands before it already: {attempt!r}"


def test_native_errors_say_what_to_try():
    sources = [p for p in sorted(NATIVE.glob("*.[ch]pp")) if p.name != MAKER]
    found = [
        f"native/{path.name}:{line}: {what}"
        for path in sources
        for line, what in native_problems(path.read_text())
    ]
    assert len(sources) > 30 and not found, "\n".join(found)


@pytest.mark.parametrize("code, wrong", (
    ('PyErr_SetString(PyExc_TypeError, "no");', True),
    ('throw std::runtime_error("no");', True),
    ('PySequence_Fast(x, "no");', True),
    ('refuse(PyExc_TypeError, "", "", "no %R", x);', True),
    ('refuse(PyExc_TypeError, "why", "check your arguments", "no");', True),
    ('refuse(PyExc_TypeError, "no");', True),
    ('refuse(PyExc_TypeError, "a, (why", "x.T " "(of rows)", "no %R", f(x, y));', False),
    ('bug(PyExc_TypeError, "no");', False),
    ("throw nb::python_error();", False),
    ('// throw std::runtime_error("no")', False),
    ("PyErr_Clear();", False),
))  # fmt: skip
def test_the_reader_finds_native_errors_without_a_try(code, wrong):
    assert bool(list(native_problems(code))) == wrong


def test_native_bugs_say_the_same_as_those_in_python():
    text = "".join(LITERAL.findall((NATIVE / MAKER).read_text()))
    with pytest.raises(TypeError) as raised:
        _native.reshape_view()
    words = str(errors.InternalError("a step of the plan is unknown")).splitlines()[1:]
    assert all(line.strip() in str(raised.value) for line in words)
    assert all(line.partition(":")[2].strip() in text for line in words)
