"""The first compile of a process may happen on several threads at once."""

import subprocess
import sys

CODE = """
import threading
import numpy as np
import fornax, fornax.numpy as fnp

out = []
def work(i):
    f = fornax.jit(lambda x: fnp.sin(x) * i)
    g = fornax.jit(lambda x: fornax.pure_callback(
        lambda v: np.asarray(v) + i, fornax.ShapeDtypeStruct((), np.float32), f(x)))
    out.append(float(g(0.0)))

threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(out))
"""


def test_first_compile_on_threads():
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
        assert done.stdout.strip() == "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]", done.stderr[-2000:]
