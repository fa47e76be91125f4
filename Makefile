# Development commands. `make native` builds the extension module in place.
PYTHON ?= $(firstword $(wildcard $(CURDIR)/.venv/bin/python) python3)
BUILD ?= build/native

.PHONY: native
# The new module replaces the old one in one step, and only if it can be loaded.
native:
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
	@ln -sfn $(CURDIR)/build/module-sanitize/_native*.so build/module-sanitize/fornax/
	@touch build/module-sanitize/fornax/__init__.py
	@LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=build/module-sanitize \
	  $(PYTHON) -m pytest -q -p no:cacheprovider -o pythonpath= tests/native
