# Two commands do everything on a fresh Linux machine with Python 3.11 or newer:
#   make demo    environment, dashboard in the browser, the built-in study
#   make test    environment, all tests
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
CURRENT := .venv/.current
# What was changed is compiled once, and not by every process that the tests start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check setup peers lock clean
.DEFAULT_GOAL := setup

demo: setup
	$(BIN)/whichlayers run tune_configs/demo.yaml --serve

test: setup peers
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(CURRENT)

# uv installs the locked versions in seconds; its own version stands in the lock, too, and so does what builds our own
# package. All is compiled here: a container, or where PYTHONDONTWRITEBYTECODE is set, would do it at every start of a
# process, and Ray starts a dozen.
# A venv that could not be finished (Debian has a package of its own for it) has a python but no pip.
$(CURRENT): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) found. Try: make PYTHON=python3.12"; exit 2; }
	@begun=$$(date +%s); set -e; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
		{ echo "No virtual environment could be made. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 2; }; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"; \
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	$(BIN)/python -m compileall -q engine dashboard whichlayers; \
	touch $(CURRENT); \
	echo "Environment made in $$(($$(date +%s) - begun)) s."

# The tests drive Debian's chromium, and a real reverse proxy; without the right to install them, they say what to install.
peers:
	@missing=""; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="chromium"; \
	command -v nginx >/dev/null || test -x /usr/sbin/nginx || missing="$$missing nginx-light"; \
	test -z "$$missing" || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes $$missing >/dev/null; \
		else \
			echo "The tests need $$missing: sudo apt-get install $$missing"; exit 2; \
		fi; }

# Not after `setup`, which needs the lock that is to be made.
lock:
	@test -x $(BIN)/uv || $(MAKE) setup
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate \
		--group dev pyproject.toml --output-file requirements.lock --quiet

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
