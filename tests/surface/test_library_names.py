"""Every name of JAX that two or more libraries use is there, or is said to come later, and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fornax

FOLDER = Path(__file__).parent
#: full name -> what it needs first
LATER = {
    "jax.distributed.initialize": "several processes",
    "jax.experimental.mesh_utils.create_device_mesh": "several devices",
    "jax.experimental.mesh_utils.create_hybrid_device_mesh": "several processes",
    "jax.experimental.multihost_utils.process_allgather": "several processes",
    "jax.experimental.multihost_utils.sync_global_devices": "several processes",
    "jax.lax.conv_general_dilated": "the primitive of convolutions",
    "jax.lax.conv_transpose": "the primitive of convolutions",
    "jax.lax.reduce_window": "the primitives of windows",
    "jax.profiler.StepTraceAnnotation": "a profiler that writes traces",
    "jax.sharding.auto_axes": "several devices",
}


def recorded() -> list[str]:
    modules = json.loads((FOLDER / "library_names.json").read_text())
    return [f"{module}.{name}" for module, names in modules.items() for name in names]


def test_what_libraries_use_is_there_or_comes_later():
    code = (
        "import json, sys, fornax.as_jax, library_names\n"
        "print(json.dumps(library_names.absent(json.load(sys.stdin))))\n"
    )
    source = Path(fornax.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(recorded()), capture_output=True, text=True,
        timeout=300, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (source, FOLDER)))},
    )  # fmt: skip
    absent = set(json.loads(done.stdout.splitlines()[-1]))
    assert absent - set(LATER) == set(), "used by two or more libraries, and not there"
    assert set(LATER) - absent == set(), "there, and still in LATER"


def test_the_record_names_what_two_libraries_use():
    modules = json.loads((FOLDER / "library_names.json").read_text())
    assert all(count >= 2 for names in modules.values() for count in names.values())
    assert len(recorded()) > 450
    assert {"jax.numpy.asarray", "jax.lax.scan", "jax.random.split", "jax.tree.map"} <= set(
        recorded()
    )
