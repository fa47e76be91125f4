"""A module that asks the registry for operations imports the modules that define them.

Otherwise it works only where something else was imported before. Each module is imported in a
process of its own, forked where nothing but `fornax` is there.
"""

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"

PROGRAM = r"""
import importlib, os, re, sys
from pathlib import Path
import fornax
from fornax.ir.primitive import REGISTRY

NAMED = re.compile(r'REGISTRY\[\s*"(\w+)"\s*\]|primitive_named\("(\w+)"\)')
root = Path(sys.argv[1])
for path in sorted(root.rglob("*.py")):
    module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
    names = {a or b for a, b in NAMED.findall(path.read_text(encoding="utf-8"))}
    # what compiles programs meets only operations that were imported to make them
    if not names or module.startswith("fornax.compiler"):
        continue
    child = os.fork()
    if not child:
        importlib.import_module(module.removesuffix(".__init__"))
        missing = sorted(names - set(REGISTRY))
        if missing:
            print(module, *missing, flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(module, "cannot be imported")
print("done")
"""


def test_names_of_operations_are_registered_by_imports():
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, SOURCES / "fornax"],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCES)},
    )  # fmt: skip
    assert found.stdout == "done\n", found.stdout + found.stderr
