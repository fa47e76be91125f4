# Every target makes what it needs: virtual environment, dependencies, native module.
#   make demo    train two networks on handwritten digits
#   make test    all tests
#   make oracle  compare every case with jax (installs it)
#   make hostile   call every public function with arguments that it cannot expect
#   make bench   measure against jax and numba (installs them into an environment of their own)
#   make conformance   other projects' test suites, here and on jax
#   make docs    the documentation as a site
PYTHON ?= $(CURDIR)/.venv/bin/python
BUILD ?= build/native
RUN = $(CURDIR)/.venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test test-all lint format types bench bench-smoke conformance fuzz hostile sweep oracle docs \
  clean setup
.DEFAULT_GOAL := test

setup: .venv/ready-test native

# One stamp per extra; each names what it installed from pyproject.toml.
.venv/ready-%: pyproject.toml tools/requirements.py
	@test -x .venv/bin/python || { echo "== making .venv"; python3 -m venv .venv; }
	@echo "== installing dependencies ($*)"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check \
	  $$(.venv/bin/python tools/requirements.py build $*)
	@touch $@

demo: .venv/ready-demo native
	@PYTHONPATH=src $(RUN) examples/digits.py

test: .venv/ready-test native
	$(RUN) -m pytest -q

# Also what is marked slow or sweep: minutes to hours.
test-all: .venv/ready-test native
	$(RUN) -m pytest -q -m ""

# Every case on Fornax and on jax, which runs in processes of its own. Only files that have such
# tests are collected: all others take minutes.
oracle: .venv/ready-test .venv/ready-oracle native
	$(RUN) -m pytest -q -m oracle $$(grep -rlF mark.oracle tests --include='*.py')

fuzz: .venv/ready-test native
	PYTHONPATH=src:. $(RUN) -m tests.fuzz $(ARGS)

hostile: .venv/ready-test native
	PYTHONPATH=src:. $(RUN) -m tests.hostile $(ARGS)

sweep: .venv/ready-test native
	$(RUN) -m pytest -q -m sweep

lint: .venv/ready-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: .venv/ready-dev
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: .venv/ready-dev native
	$(RUN) -m mypy

# jax, numba and matplotlib beside what Fornax needs, apart from the environment of the tests.
build/bench/ready: pyproject.toml tools/requirements.py
	@test -x build/bench/bin/python || { echo "== making build/bench"; python3 -m venv build/bench; }
	@echo "== installing dependencies (bench)"
	@build/bench/bin/python -m pip install --quiet --disable-pip-version-check \
	  $$(build/bench/bin/python tools/requirements.py bench)
	@touch $@

bench: build/bench/ready native
	PYTHONPATH=src JAX_PLATFORMS=cpu build/bench/bin/python -m benchmarks.run $(ARGS)

bench-smoke: .venv/ready-test native
	PYTHONPATH=src $(RUN) -m benchmarks.run --smoke

# Other projects' test suites on Fornax and on JAX; fetched into FORNAX_CONFORMANCE, by default
# ~/.cache/fornax/conformance. Writes docs/conformance.md.
conformance: .venv/ready-test native
	$(RUN) tools/conformance.py $(ARGS)

# The site, into build/site; broken links are errors.
docs: .venv/ready-docs native
	$(RUN) -m mkdocs build --quiet

clean:
	rm -rf build .venv src/fornax/_native*.so

.PHONY: native
# The new module replaces the old one in one step, and only if it can be loaded.
native: .venv/ready-build
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) -G Ninja -DPython_EXECUTABLE=$$(command -v $(PYTHON)) > $(BUILD).log 2>&1 \
	  || { cat $(BUILD).log; exit 1; }
	@cmake --build $(BUILD) --target _native
	@cd $(BUILD) && $(PYTHON) -c "import _native"
	@for module in $(BUILD)/_native*.so; do \
	  cp $$module src/fornax/.new.$$$$ && mv -f src/fornax/.new.$$$$ src/fornax/$$(basename $$module); done

.PHONY: native-test native-sanitize native-sanitize-module
# The C++ tests, plain and under the sanitizers.
native-test: SANITIZERS = none
native-sanitize: SANITIZERS = address,undefined thread
native-test native-sanitize:
	@mkdir -p build
	@for sanitizers in $(SANITIZERS); do \
	  folder=build/check-$$(echo $$sanitizers | tr , -); \
	  cmake -S . -B $$folder -G Ninja -DFORNAX_MODULE=OFF -DFORNAX_TESTS=ON \
	    -DFORNAX_SANITIZE=$$([ $$sanitizers = none ] || echo $$sanitizers) > $$folder.log 2>&1 \
	    || { cat $$folder.log; exit 1; }; \
	  cmake --build $$folder && ctest --test-dir $$folder --output-on-failure --timeout 300 || exit 1; \
	done

# The Python tests of the native room against a module built with the sanitizers.
native-sanitize-module:
	@mkdir -p build/module-sanitize/fornax
	@cmake -S . -B build/module-sanitize -G Ninja -DFORNAX_SANITIZE=address,undefined \
	  -DPython_EXECUTABLE=$$(command -v $(PYTHON)) > build/module-sanitize.log 2>&1 \
	  || { cat build/module-sanitize.log; exit 1; }
	@cmake --build build/module-sanitize --target _native
	@ln -sfn $(CURDIR)/src/fornax/* build/module-sanitize/fornax/
	@ln -sfn $(CURDIR)/build/module-sanitize/_native*.so build/module-sanitize/fornax/
	@LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=build/module-sanitize \
	  $(PYTHON) -m pytest -q -p no:cacheprovider -o pythonpath= tests/native
