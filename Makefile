# A thin door to tools/dev.py, where everything is explained. Arguments: make test ARGS="tests/wire -x"
PYTHON ?= python3
ARGS ?=

.PHONY: help up test nightly check bench screenshots lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up:  ## install what is needed, then start Baseload (ARGS="--port 9000")
	@$(PYTHON) tools/dev.py up $(ARGS)

test:  ## install the developers' tools too, then run the tests (ARGS="tests/wire -x")
	@$(PYTHON) tools/dev.py test $(ARGS)

nightly:  ## the long tests of money, for a night (ARGS="200" for 200 times as long)
	@$(PYTHON) tools/dev.py nightly $(ARGS)

check:  ## format, lint, types, import borders, duplicates (ARGS="types")
	@$(PYTHON) tools/dev.py check $(ARGS)

bench:  ## run the benchmarks
	@$(PYTHON) tools/dev.py bench $(ARGS)

screenshots:  ## make the pictures of README and docs anew
	@$(PYTHON) tools/dev.py screenshots

lock:  ## write locks/ anew from pyproject.toml (ARGS="--upgrade" for newer versions)
	@$(PYTHON) tools/dev.py lock $(ARGS)

clean:  ## remove the environment and caches, never a home with its books
	@$(PYTHON) tools/dev.py clean
