"""`import jax` answered by Fornax, and the command that runs programs so.

Each case is a process of its own: what is imported cannot be taken back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fornax

SOURCE = str(Path(fornax.__file__).parents[1])
EXAMPLES = Path(__file__).parents[2] / "examples"


def python(*arguments, code=None):
    """(exit status, standard output, standard error) of a process."""
    given = [sys.executable, *arguments, *(["-c", textwrap.dedent(code)] if code else [])]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(given, capture_output=True, text=True, env=environment, timeout=120)
    return done.returncode, done.stdout, done.stderr


#: programs that print "ok" at their end
PROGRAMS = {
    "the modules are Fornax's": """
        import fornax, fornax.as_jax
        import jax, jax.numpy as jnp, jaxlib, jax.numpy.linalg
        from jax import lax, tree_util
        from jax.experimental import checkify
        assert jax.__version__ == jaxlib.__version__ == jax.version.__version__ == "0.10.2"
        assert jax.__version_info__ == (0, 10, 2)
        assert jax.jit is fornax.jit and jnp.sin is fornax.numpy.sin
        assert jax.Array is fornax.Array and jnp.ndarray is fornax.Array
        assert lax.add is fornax.lax.add and checkify.check is fornax.experimental.checkify.check
        assert jnp.linalg is jax.numpy.linalg and "jnp" not in dir(jax)
        assert isinstance(jnp.ones(3), jax.Array) and "grad" in dir(jax)
        assert float(jax.grad(lambda x: jnp.sum(x**2))(jnp.ones(2))[0]) == 2
    """,
    "versions for importlib.metadata": """
        import fornax.as_jax
        from importlib import metadata
        assert metadata.version("jax") == metadata.version("jaxlib") == "0.10.2"
        assert metadata.version("numpy")
    """,
    "absent names are named": """
        import fornax.as_jax, jax
        def message(error, code):
            try: exec(code)
            except error as e: return str(e)
            raise AssertionError(code)
        for error, code, name in [
            (AttributeError, "jax.numpy.nothing", "jax.numpy.nothing"),
            (ImportError, "from jax.numpy import nothing", "jax.numpy.nothing"),
            (ModuleNotFoundError, "import jax.experimental.pallas", "jax.experimental.pallas"),
            (ImportError, "from jax._src import nothing", "jax._src.nothing"),
        ]:
            text = message(error, code)
            assert "Fornax" in text and name in text and "roadmap" in text, text
        assert not hasattr(jax, "nothing")
    """,
    "installing twice": """
        import fornax.as_jax
        fornax.as_jax.install()
        import jax
        fornax.as_jax.install()
    """,
    "another jax came first": """
        import sys, types
        sys.modules["jax"] = types.ModuleType("jax")
        try: import fornax.as_jax
        except ImportError as e: assert "has been imported already" in str(e) and e.name == "jax"
        else: raise AssertionError
    """,
    "views can be patched": """
        import fornax, fornax.as_jax, jax
        from unittest import mock
        with mock.patch.object(jax, "devices", lambda: "patched"):
            assert jax.devices() == "patched"
        assert jax.devices() == fornax.devices()
    """,
    "libraries know a jitted function": """
        import fornax.as_jax, inspect, jax
        f = jax.jit(lambda x, n=1: x)
        assert "PjitFunction" in str(type(f))
        for follow in (True, False):
            assert str(inspect.signature(f, follow_wrapped=follow)) == "(x, n=1)"
    """,
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    status, out, err = python(code=textwrap.dedent(PROGRAMS[name]) + "\nprint('ok')")
    assert (status, out, err) == (0, "ok\n", "")


def write(folder, text):
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_run_is_like_python(tmp_path):
    """Arguments, name, folder on the path, and tracebacks from the program's first line on."""
    (tmp_path / "beside.py").write_text("value = 3\n")
    path = write(tmp_path, """
        import sys, beside, jax
        assert __name__ == "__main__" and sys.modules["__main__"].__dict__ is globals()
        print(jax.__name__, sys.argv[1:], beside.value)
        def fail(): raise ValueError("mine")
        fail()
    """)  # fmt: skip
    status, out, err = python("-m", "fornax", "run", path, "-x", "run")
    assert (status, out) == (1, "jax ['-x', 'run'] 3\n")
    lines = err.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and path in lines[1]
    assert lines[-1] == "ValueError: mine" and "runpy" not in err


@pytest.mark.parametrize("ending, expected", [("sys.exit(7)", 7), ("sys.exit()", 0), ("pass", 0)])
def test_exit_status(tmp_path, ending, expected):
    assert python("-m", "fornax", "run", write(tmp_path, f"import sys\n{ending}"))[0] == expected


def test_modules_and_the_commands_own_arguments(tmp_path):
    status, out, _ = python("-m", "fornax", "run", "-m", "platform", "--terse")
    assert status == 0 and out.strip()
    assert python("-m", "fornax", "--version")[1] == f"fornax {fornax.__version__}\n"
    assert "usage: fornax" in python("-m", "fornax", "--help")[1]
    assert "usage: fornax run" in python("-m", "fornax", "run", "--help")[1]
    for mistake in (["run"], ["run", "-m"], ["run", str(tmp_path / "absent.py")], ["walk"]):
        status, _, err = python("-m", "fornax", *mistake)
        assert status == 2 and "fornax" in err


@pytest.mark.parametrize("name", ["jax_quickstart", "jax_gaussian_process"])
def test_examples(name):
    status, _, err = python("-m", "fornax", "run", str(EXAMPLES / f"{name}.py"))
    assert (status, err) == (0, "")
