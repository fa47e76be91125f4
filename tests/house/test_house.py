"""The house rules that a machine can check: imports, sizes, names, docstrings, rules."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tokenize
from pathlib import Path

import pytest

import fornax

PACKAGE = Path(fornax.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: rooms from the ground up; a room may import those before it, and itself
ROOMS = (
    "_native", "errors", "source", "lazy", "given", "record", "settings", "observe", "pytree",
    "scalars", "ir", "transforms", "primitives", "partition", "compiler", "backends", "runtime",
    "api", "numpy", "lax", "random", "nn", "scipy", "example_libraries", "experimental", "compat",
    "cli",
)  # fmt: skip
#: the rooms of the public surface, which use one another
SURFACE = ("numpy", "lax", "random", "nn", "scipy")
#: packages that may be imported inside a function: heavy, or only for some users
LATE = {"llvmlite", "scipy", "mpmath", "sklearn", "matplotlib", "ctypes", "ctypes.util"}
#: loads LLVM: only when something is compiled for the first time
LATE_OWN = {"fornax.runtime.compile"}
LONGEST = 600
#: primitives that a compiled program runs by their reference, between kernels
HOST = {
    "cholesky", "cholesky_update", "custom_lin", "debug_callback", "eig", "eigh", "fft", "geqrf",
    "hessenberg", "householder_product", "io_callback", "lu", "lu_pivots_to_permutation", "ormqr",
    "pure_callback", "qr", "rng_uniform", "schur", "sort", "svd", "top_k", "triangular_solve",
    "tridiagonal", "tridiagonal_solve",
}  # fmt: skip


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imports_of(tree: ast.AST):
    """(module, node, whether inside a function) for every import."""
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside.update(id(n) for n in ast.walk(node))
    checking = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            checking.update(id(n) for n in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node, id(node) in inside
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "fornax":
                for alias in node.names:
                    yield f"fornax.{alias.name}", node, id(node) in inside
            else:
                yield node.module, node, id(node) in inside


def code_lines(path: Path) -> int:
    """Lines with code on them: no comments, blank lines or docstrings."""
    kept: set[int] = set()
    skip = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENCODING, tokenize.ENDMARKER,
    }  # fmt: skip
    openers = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL}
    before = None
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            opens = before is None or before in openers
            if token.type == tokenize.STRING and opens:
                before = token.type
                continue
            if token.type not in skip:
                kept.update(range(token.start[0], token.end[0] + 1))
            if token.type != tokenize.COMMENT:
                before = token.type
    return len(kept)


def test_rooms_import_only_what_lies_below():
    wrong = []
    for path in FILES:
        room = room_of(path)
        if room not in ROOMS:
            continue  # thin public files
        for module, node, _ in imports_of(ast.parse(path.read_text())):
            parts = module.split(".")
            if parts[0] != "fornax" or len(parts) < 2 or parts[1] not in ROOMS:
                continue
            other = parts[1]
            same_level = room in SURFACE and other in SURFACE
            if ROOMS.index(other) > ROOMS.index(room) and not same_level:
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_imports_inside_functions_are_heavy_or_optional():
    wrong = []
    for path in FILES:
        for module, node, inside in imports_of(ast.parse(path.read_text())):
            if inside and module.split(".")[0] not in LATE and module not in LATE | LATE_OWN:
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_records_instead_of_dataclasses():
    """A dataclass takes a millisecond of every start; `fornax.record` makes the same classes."""
    users = {"record.py", "registry.py", "tree.py"}  # who deals with dataclasses of others
    found = {
        path.name for path in FILES
        for module, _, _ in imports_of(ast.parse(path.read_text())) if module == "dataclasses"
    }  # fmt: skip
    assert found <= users


def test_files_are_short():
    long = {str(p.relative_to(PACKAGE)): n for p in FILES if (n := code_lines(p)) > LONGEST}
    assert not long, long


def test_file_names_say_what_is_inside():
    vague = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert not [p for p in FILES if p.name in vague]


#: no Python, runs a command, changes what `import jax` means
UNUSUAL = ("fornax._native", "fornax.__main__", "fornax.as_jax")


def all_modules():
    for info in pkgutil.walk_packages([str(PACKAGE)], "fornax."):
        if info.name not in UNUSUAL:
            yield info.name


def test_every_module_imports_and_says_what_it_is_for():
    silent = [n for n in all_modules() if not importlib.import_module(n).__doc__]
    assert not silent, silent


PUBLIC = ("fornax", "fornax.numpy", "fornax.lax", "fornax.nn", "fornax.random", "fornax.tree_util",
          "fornax.tree", "fornax.dtypes", "fornax.nn.initializers")  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_public_functions_have_docstrings(module):
    module = importlib.import_module(module)
    names = getattr(module, "__all__", None) or [n for n in dir(module) if n[0] != "_"]
    silent = [
        n for n in names
        if callable(getattr(module, n)) and not (getattr(module, n).__doc__ or "").strip()
        and not n.endswith("_p")
    ]  # fmt: skip
    assert not silent, silent


def test_every_primitive_has_a_meaning_and_a_way_to_be_compiled():
    from fornax.compiler.canonical import CONTROL
    from fornax.compiler.kernels import KERNELS
    from fornax.ir.primitive import REGISTRY, Primitive

    for name in all_modules():
        importlib.import_module(name)
    bare, stuck = [], []
    for name, primitive in REGISTRY.items():
        kind = type(primitive)
        if kind.reference is Primitive.reference and not primitive.has_expand:
            bare.append(name)
        ways = (
            primitive.has_element, primitive.has_expand, name in KERNELS, name in CONTROL,
            type(primitive).inlined is not Primitive.inlined, primitive.named_axes,
        )  # fmt: skip
        if not any(ways) and name not in HOST:
            stuck.append(name)
    assert not bare, bare
    assert not stuck, stuck


def test_rooms_have_a_readme():
    missing = [
        room for room in ROOMS
        if (PACKAGE / room).is_dir() and not (PACKAGE / room / "README.md").is_file()
    ]  # fmt: skip
    assert not missing, missing
