# `make demo` shows it (of one recording: `make demo AUDIO="my file.wav"`), `make test` checks it. Everything is set up in .venv on the way.

PYTHON ?= python3
BIN = .venv/bin
DEMO = test-audio/sentence.wav test-audio/speech.m4a test-audio/speech.mp4 test-audio/silence.wav

export AUDIO

.PHONY: demo test lint unit bench clean

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
	$(BIN)/python -m pytest

bench: .venv/test
	$(BIN)/python tests/benchmarks

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[offline]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/demo
