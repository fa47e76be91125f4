"""The tables of names that packages load lazily are exactly what their modules define."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import fornax

#: package -> modules with an `__all__` that is not the package's
PACKAGES = {
    "fornax.numpy": {"dynamic_slices", "fft", "linalg", "promotion", "refs", "universal_ways"},
    "fornax.numpy.ufuncs": {"publishing"},
    "fornax.lax": {"carry", "linalg", "polar", "python_loops", "refs"},
    "fornax.random": {"sampler", "standard"},
    "fornax.nn": {"initializers"},
}


def modules_of(package: str) -> dict[str, list[str]]:
    folder = Path(fornax.__file__).parent.joinpath(*package.split(".")[1:])
    found = {}
    files = [f for f in folder.iterdir() if f.suffix == ".py" or (f / "__init__.py").is_file()]
    for name in sorted(f.stem for f in files if not f.name.startswith("_")):
        module = importlib.import_module(f"{package}.{name}")
        if name not in PACKAGES[package] and hasattr(module, "__all__"):
            found[name] = list(module.__all__)
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_of_the_modules_is_the_packages_and_no_other(name):
    package = importlib.import_module(name)
    owners: dict[str, list[str]] = {}
    for module, names in modules_of(name).items():
        for public in set(names):
            owners.setdefault(public, []).append(module)
    assert not {n: m for n, m in owners.items() if len(m) > 1}, "two modules own a name"
    exported = {n for n in package.__all__ if not hasattr(getattr(package, n), "__path__")}
    exported -= {n for n in package.__all__ if f"{name}.{n}" in sys.modules}  # public modules
    assert exported == set(owners)
    for public, (module,) in owners.items():
        assert getattr(package, public) is getattr(sys.modules[f"{name}.{module}"], public)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_hides_a_name(name):
    """Importing a module binds it in its package, over a function that is called the same."""
    assert not set(modules_of(name)) & {n for names in modules_of(name).values() for n in names}


@pytest.mark.parametrize("name", ["fornax", *PACKAGES, "fornax.scipy"])
def test_lazy_packages_behave_like_others(name):
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is getattr(package, public)
    namespace: dict = {}
    exec(f"from {name} import *", namespace)
    assert set(package.__all__) <= set(namespace)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'no_such'") as e:
        package.no_such  # noqa: B018
    assert e.value.name == "no_such" and e.value.obj is package


def test_functions_can_be_pickled():
    for function in (fornax.numpy.sin, fornax.numpy.sum, fornax.random.normal, fornax.lax.add):
        assert pickle.loads(pickle.dumps(function)) is function


def fresh(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(fornax.__file__).parent.parent)},
    )
    assert not result.returncode, result.stderr
    return result.stdout.strip()


def test_importing_loads_nothing_and_the_first_use_little():
    code = """
import sys, fornax, fornax.numpy as fnp
print("numpy" in sys.modules, "fornax._native" in sys.modules)
x = fnp.arange(4.0)
x + 1
loaded = {m for m in sys.modules if m.startswith("fornax.")}
print(sorted(loaded & {"fornax.numpy.statistics", "fornax.runtime.compile", "fornax.api.grad"}))
print(fornax.numpy.linalg.norm(x) > 3)
"""
    assert fresh(code).splitlines() == ["False False", "[]", "True"]


def test_a_module_loaded_while_tracing_leaves_no_trace():
    """Names load at first use, also inside of a traced function: importing computes nothing."""
    code = """
import importlib, pkgutil, fornax
from fornax.ir import trace
class Refusing(trace.Trace):
    def process(self, primitive, operands, params):
        raise AssertionError(f"{primitive} at import")
import fornax.numpy.methods
with trace.running(Refusing()), fornax.enable_x64(True):
    for info in pkgutil.walk_packages(fornax.__path__, "fornax."):
        if not info.name.endswith("_native"):
            importlib.import_module(info.name)
print(fornax.numpy.arange(3).dtype, fornax.numpy.arange(3.0).dtype)
"""
    assert fresh(code) == "int32 float32"


def test_a_module_loads_the_operations_that_it_names():
    """Modules load at first use, in any order: each imports what it looks up in the registry."""
    code = """
import os, pathlib, re
from importlib import import_module
import fornax.numpy.methods
root = pathlib.Path(fornax.__file__).parent
for path in sorted(root.rglob("*.py")):
    names = set(re.findall(r'REGISTRY.["](\\w+)["].', path.read_text()))
    if not names:
        continue
    child = os.fork()
    if not child:
        parts = path.relative_to(root.parent).with_suffix("").parts
        import_module(".".join(parts).removesuffix(".__init__"))
        from fornax.ir.primitive import REGISTRY
        missing = sorted(names - set(REGISTRY))
        if missing:
            print(*parts, "looks up", *missing, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print("done")
"""
    assert fresh(code) == "done"
