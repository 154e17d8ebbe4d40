# Everything needed to try, test and change the workflow; needs Python >= 3.11 and GNU make only.

CORES ?= $(shell getconf _NPROCESSORS_ONLN)

# `make run`: the project, where it runs (PROFILE=slurm: on a cluster), and further arguments of Snakemake.
# `make archive`: the project and its dataset.
DIR := .
DATASET :=
# `make inspect`: the file to look into.
FILE :=
PROFILE :=
ARGS :=

PY := .venv/bin/python
RUN := $(PY) workflow/run.py

# A user's Python settings must not reach the environment. Bytecode is wanted: without it every job
# compiles its imports again, which takes longer than most jobs.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help env run inspect archive demo test test-slow test-slurm test-container test-site test-conda bench coverage mutants docs lint lock clean-cache

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

env: ## Make or update .venv from envs/requirements.lock (PYTHON=... chooses the interpreter)
	@sh envs/bootstrap.sh

run: env ## Analyse the project in DIR=..., here (CORES=...) or on a cluster (PROFILE=slurm); goes on after any end
	@$(RUN) --directory "$(DIR)" $(if $(PROFILE),--workflow-profile $(PROFILE),--cores $(CORES)) $(ARGS)

inspect: env ## Say what the two-time file FILE=... holds: layout, q, angles, frames, and rows for datasets.tsv
	@$(PY) workflow/inspect_file.py --directory "$(DIR)" "$(FILE)"

archive: env ## Pack DATASET=... of the project in DIR=.. with all that makes it again: results/DATASET.tar.gz
	@$(PY) workflow/archive.py --directory "$(DIR)" "$(DATASET)"

demo: env ## Analyse the five datasets of config/ and print where the reports are (CORES=...)
	@$(RUN) --cores $(CORES)

test: env ## Run the quick tests (all tests: .venv/bin/python -m pytest)
	@$(PY) -m pytest tests -m "not slow" -n $(CORES) --dist loadfile --no-loadscope-reorder --durations=10

test-slurm: env ## Run the miniature project on a real SLURM, started here and taken down again (root, Debian)
	@tests/slurm/slurm-up.sh && { trap tests/slurm/slurm-down.sh EXIT; trap 'exit 130' INT TERM; \
	    $(PY) -m pytest tests/slurm/check_slurm.py; }

test-container: env ## Take the steps of Containerfile in a bare Debian, and run the small project in it (root, Debian)
	@tests/container/try-steps.sh

test-site: docs ## Build the site and look at each page in Chromium, at two widths and without a network (needs it installed)
	@$(PY) -m pytest tests/site/check_site.py

test-conda: env ## Run the miniature project with --sdm conda, on channels made of the locked wheels (needs Python 3.12)
	@$(PY) -m pytest tests/conda/check_conda.py --durations=3

test-slow: env ## Run the long studies: repetitions, starts from anywhere, pages in Chromium (needs it installed)
	@$(PY) -m pytest tests -m slow -n $(CORES) --dist loadfile --no-loadscope-reorder --durations=5

bench: env ## Measure each stage from file to report, what the workflow costs beside its work, derivatives, and fits, as tables
	@$(PY) benchmarks/bench_stages.py
	@$(PY) benchmarks/bench_overhead.py
	@$(PY) benchmarks/bench_derivatives.py
	@$(PY) benchmarks/bench_nlsq.py

coverage: env ## Count how often error bars contain the truth; hours (ARGS="--config replicas=20 frames=[100]": minutes)
	@mkdir -p build/coverage
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m snakemake --snakefile benchmarks/coverage/Snakefile \
	    --directory build/coverage --cores $(CORES) --quiet rules $(ARGS)
	@cat build/coverage/coverage.md build/coverage/posteriors.md build/coverage/truths.md build/coverage/angles.md

# `make mutants`: changes a room of the library, and the rooms.
N := 50
ROOMS := model likelihood sampling uncertainty

mutants: env ## Change N=50 formulas of each of ROOMS="model ...", one at a time, and see whether tests notice; hours
	@sh envs/bootstrap.sh mutants
	@rm -rf build/mutants && mkdir -p build/mutants
	@.venv-mutants/bin/python benchmarks/mutants.py "$(CURDIR)/$(PY)" build/mutants $(N) $(ROOMS)

docs: env build/docs/tutorial.md ## Build the site into build/site: documents, tutorial with outputs, a report of the demo
	@sh envs/bootstrap.sh docs
	@$(RUN) --cores $(CORES) results/couette_sim/report.html
	@# With --quiet there would be no warnings, which --strict counts.
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "make docs: build/site/index.html"

build/docs/tutorial.md: docs/tutorial.ipynb envs/requirements.lock $(shell find homodyne_lib -name '*.py') | env
	@mkdir -p $(@D)
	@PYTHONPATH="$(CURDIR)" $(PY) -m papermill --cwd docs --kernel python3 --no-progress-bar $< build/tutorial.ipynb
	@$(PY) -m nbconvert --log-level WARN --to markdown --output-dir $(@D) build/tutorial.ipynb

lint: env ## Check Python style, types of the interface, Snakefiles and workflow, workflows of the forge, shell, CITATION.cff
	@sh envs/bootstrap.sh docs
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/snakefmt --check Snakefile workflow
	$(PY) -m snakemake --lint
	PATH="$(CURDIR)/.venv-docs/bin:$$PATH" actionlint
	.venv-docs/bin/shellcheck --severity warning .ci/run envs/*.sh tests/*/*.sh
	.venv-docs/bin/cffconvert --validate

lock: env ## Compile envs/requirements.in, docs.in and mutants.in into their locks
	for name in requirements docs mutants; do \
	    $(PY) -m uv pip compile envs/$$name.in --output-file envs/$$name.lock \
	        --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	        --custom-compile-command "make lock" || exit; done

clean-cache: ## Forget the programs that JAX compiled; jobs compile them again
	@rm -rf .jax_cache
