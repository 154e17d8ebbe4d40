# Everything needed to try, test and change the workflow; needs Python >= 3.11 and GNU make only.

CORES ?= $(shell getconf _NPROCESSORS_ONLN)

PY := .venv/bin/python
# Beside a Snakefile at the root, Snakemake by itself looks for profiles/default only.
# Rules may call the programs of .venv by name.
SNAKEMAKE := PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m snakemake --workflow-profile workflow/profiles/default

# A user's Python settings must not reach the environment. Bytecode is wanted: without it every job
# compiles its imports again, which takes longer than most jobs.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help env demo test lint lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: ## Make or update .venv from envs/requirements.lock (PYTHON=... chooses the interpreter)
	@sh envs/bootstrap.sh

demo: env ## Analyse the three datasets of config/ and print where the reports are (CORES=...)
	@$(SNAKEMAKE) --cores $(CORES); status=$$?; echo; \
	for report in results/*/report.html results/summary.html; do \
	    if [ -f "$$report" ]; then echo "$(CURDIR)/$$report"; fi; \
	done; exit $$status

test: env ## Run the quick tests (all tests: .venv/bin/python -m pytest)
	@$(PY) -m pytest tests -m "not slow" --durations=10

lint: env ## Check the Python style, the Snakefile style and the workflow
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

lock: env ## Compile envs/requirements.in into envs/requirements.lock
	$(PY) -m uv pip compile envs/requirements.in --output-file envs/requirements.lock \
	    --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --custom-compile-command "make lock"
