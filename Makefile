# `make demo` shows it (of one recording: `make demo AUDIO="my file.wav"`), `make test` checks it. Everything is set up in .venv on the way.

PYTHON ?= python3
# Of tests, which wait most of the time.
PROCESSES ?= $(shell echo $$((2 * $$(nproc))))
BIN = .venv/bin
DEMO = test-audio/sentence.wav test-audio/speech.m4a test-audio/speech.mp4 test-audio/silence.wav

export AUDIO

.PHONY: demo test lint unit drill soak bench queue-figures clean

demo: .venv/demo
	@$(BIN)/scriberrd demo $(if $(AUDIO),"$$AUDIO",$(DEMO))

test: lint unit

# Style, types and floors.
lint: .venv/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/test
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup

# All faults, the slow ones too; prints what was promised and what was seen.
drill: .venv/test
	$(BIN)/python -m pytest tests/drills -m "" --table

# Ten thousand recordings under random kills, each accounted for.
soak: .venv/test
	$(BIN)/python tests/soak.py $(ARGS)

bench: .venv/test
	$(BIN)/python tests/benchmarks $(ARGS)

# What the queue costs, beside other queues; these are for the comparison alone.
queue-figures: .venv/test
	$(BIN)/pip install --quiet --disable-pip-version-check huey litequeue persist-queue
	@$(BIN)/python tests/benchmarks/queue_figures.py

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	@echo 'installing scriberrd and what it needs into .venv (once; about 250 MB):'
	$(BIN)/pip install --disable-pip-version-check --editable .
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/demo
