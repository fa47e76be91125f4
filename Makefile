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
