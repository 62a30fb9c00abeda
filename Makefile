# What a stranger needs: `make quickstart` to see it work, `make test` to check it, `make help` for the rest.
# Everything is installed into $(VENV), with the versions of constraints.txt; nothing outside this folder changes,
# but for the generated clips, which are kept in the user's cache (AVSSL_CACHE moves it).

PYTHON ?= python3
VENV ?= .venv
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
FUZZ_ARGS ?= --files 2000 --folders 10 --sets 300 --runs 300
MUTANTS ?=
BENCH ?=
QUICK ?=

BIN := $(VENV)/bin
RUN := runs/quickstart
CONFIG := configs/small/av-correspondence-world.yaml

.DEFAULT_GOAL := help
.PHONY: help quickstart install install-dev test test-slow test-oldest test-newest test-newest-av package lint format coverage mutants fuzz bench bench-gpu docs clean

# Both ends of what pyproject.toml allows are proved in environments of their own. UV resolves to the lowest versions,
# which pip cannot; where there is none, pip brings it.
UV ?= $(shell uv --version > /dev/null 2>&1 && command -v uv || echo $(VENV)-tools/bin/uv)
OLDEST_PYTHON ?= $(PYTHON)
NEWEST_PYTHON ?= $(shell .ci/newest-python $(PYTHON))
# One process, one thread: CPU seconds of several would not compare.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
ENDS := tests/media tests/samplers tests/networks tests/trainer tests/cli

# $(call timed,what it is and how long it takes,command): says what begins, runs it, says how long it took.
define timed
@printf '\n== %s\n' "$(1)"; begin=$$(date +%s); { $(2); }; status=$$?; \
printf '== %s after %s s\n' "$$([ $$status -eq 0 ] && echo done || echo FAILED)" "$$(($$(date +%s) - begin))"; exit $$status
endef

# $(call borrow,environment): it finds what it lacks in $(VENV), through a .pth file. That calls addsitedir, as a mere
# path would not be searched for the .pth file by which avssl is found.
define borrow
$(BIN)/python -c 'import site; print("import site; site.addsitedir(" + repr(site.getsitepackages()[0]) + ")")' > \
"$$($(1)/bin/python -c 'import site; print(site.getsitepackages()[0])')/tested.pth"
endef

help:  ## this list
	@echo "avssl: self-supervised learning from videos"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=$(PYTHON) names the interpreter (3.11 or later), VENV=$(VENV) where things are installed"

quickstart: install  ## install, generate clips, train one model that tells, finds and points, print the controls: about ten minutes on two cores
	$(call timed,Training av-correspondence on generated clips and its controls; about eight minutes on two cores,\
	$(BIN)/avssl train av-correspondence --config $(CONFIG) --out $(RUN))
	$(call timed,Where the sound comes from in a held-out clip; some seconds,\
	$(BIN)/avssl localize --run $(RUN) -o $(RUN)/localized.mp4)
	@echo "Next, what it answers: $(BIN)/avssl show av-correspondence --run $(RUN) -o sheet.png"
	@echo "      your own videos: $(BIN)/avssl train av-correspondence --data VIDEOS --out runs/mine"
	@echo "     without a clone: docs/install.md names the same steps for uvx, pipx, pip and Docker"

install: $(VENV)/.installed  ## the package and what it needs

install-dev: $(VENV)/.installed-dev  ## the same with the tools of test and lint

test: install-dev  ## environment, install, pytest of all but the slow tests
	$(call timed,Running the tests on $(PYTEST_WORKERS) processes; some minutes,\
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --durations=15 -m "not slow" $(PYTEST_ARGS))

test-slow: install-dev  ## the slow tests: notebooks, pages in a browser, every config and protocol, several processes and machines
	$(call timed,Running the slow tests on $(PYTEST_WORKERS) processes; some minutes,\
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --durations=15 -m slow $(PYTEST_ARGS))

test-oldest: $(VENV)-oldest/.installed  ## the lowest versions that pyproject.toml allows: environment, tests; about eight minutes
	$(call timed,Running tests with the lowest versions,\
	$(VENV)-oldest/bin/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(ENDS) $(PYTEST_ARGS))

test-newest: $(VENV)-newest/.installed  ## the newest versions that it allows, without constraints.txt: environment, tests; about eight minutes
	$(call timed,Running tests with the newest versions,\
	$(VENV)-newest/bin/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(ENDS) $(PYTEST_ARGS))

test-newest-av: $(VENV)-newest-av/.installed  ## the newest PyAV over the tested versions of all else: media tests and a short training
	$(call timed,Running the tests of media and of training with the newest PyAV,\
	$(VENV)-newest-av/bin/python -c 'import av$(comma) sys; print("PyAV"$(comma) av.__version__$(comma) "on Python"$(comma) sys.version.split()[0])' && \
	$(VENV)-newest-av/bin/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile -m "not slow" tests/media tests/trainer/test_resume.py tests/cli/test_commands.py $(PYTEST_ARGS))

package: install-dev  ## sdist and wheel into dist/, their content checked; the wheel installed beside $(VENV) and tried: under a minute
	$(call timed,Building sdist and wheel into dist and checking what is in them,\
	$(BIN)/python scripts/package.py dist)
	$(call timed,Installing the wheel into $(VENV)-package and trying it,\
	$(BIN)/python -m venv --clear $(VENV)-package && $(call borrow,$(VENV)-package) && \
	$(VENV)-package/bin/python -m pip install --quiet --no-deps --no-index --force-reinstall dist/avssl-*.whl && \
	$(VENV)-package/bin/python -I scripts/installed.py)

coverage: install-dev  ## the tests with line coverage, printed and written to coverage.xml
	$(call timed,Running the tests with coverage; about a quarter slower than make test,\
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --cov --cov-report=term --cov-report=xml $(PYTEST_ARGS))

mutants: $(VENV)/.installed-mutants  ## would the tests notice faults? six rooms, 160 small faults in each; more than an hour on two cores
	$(call timed,Trying mutants; MUTANTS=... names rooms or a smaller sample,\
	$(BIN)/python scripts/mutants --jobs $(PYTEST_WORKERS) $(MUTANTS))

fuzz: install-dev  ## 2,000 damaged files, folders of them for all commands, 300 prepared sets and 300 runs: half an hour
	$(call timed,Damaging and reading files; about half an hour on two cores,\
	PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ_ARGS))

bench: $(VENV)/.installed-bench  ## what reading, preparing and a step cost, beside peers; BENCH=NAME: one script; QUICK=1: that they run
	@failed=; for script in $(or $(BENCH:%=benchmarks/%.py),$(filter-out benchmarks/gpu_%,$(wildcard benchmarks/*.py))); do \
	printf '\n== %s\n' "$$script"; $(ONE_THREAD) $(BIN)/python $$script $(if $(QUICK),--quick) || failed="$$failed $$script"; done; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

bench-gpu: $(VENV)/.installed  ## steps on a CUDA device beside a bare loop on tensors in its memory
	@for script in $(or $(BENCH:%=benchmarks/%.py),$(wildcard benchmarks/gpu_*.py)); do \
	printf '\n== %s\n' "$$script"; $(BIN)/python $$script || exit $$?; done

lint: install-dev  ## ruff, mypy and the import contract: under a minute
	$(call timed,ruff: faults,$(BIN)/ruff check .)
	$(call timed,ruff: format,$(BIN)/ruff format --check .)
	$(call timed,mypy: types,$(BIN)/mypy)
	$(call timed,import-linter: rooms import downwards only,$(BIN)/lint-imports)

docs: install-dev  ## the documentation site, into build/site: under a minute
	$(call timed,mkdocs: pages$(comma) links$(comma) docstrings,NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet)

format: install-dev  ## format and fix with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and the tools' caches; runs are kept
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(VENV)-newest-av $(VENV)-package $(VENV)-tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info

# --- environment -----------------------------------------------------------------------------------------

# A stamp each, newer than what it was made from: installed once, and again when the requirements change.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(call timed,Installing avssl into $(VENV); PyTorch is large: two to six minutes the first time,\
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(call timed,Installing avssl and the tools of test and lint into $(VENV); two to six minutes the first time,\
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test$(comma)test-large$(comma)lint$(comma)docs$(comma)examples]')
	@touch $@ $(VENV)/.installed

$(VENV)-oldest/.installed: pyproject.toml | $(UV)
	$(call timed,Installing the lowest versions into $(VENV)-oldest; two to six minutes,\
	$(UV) venv --quiet --clear --python $(OLDEST_PYTHON) $(VENV)-oldest && \
	$(UV) pip install --quiet --python $(VENV)-oldest/bin/python --resolution lowest-direct -e '.[test]')
	@touch $@

$(VENV)-newest/.installed: pyproject.toml | $(UV)
	$(call timed,Installing the newest versions into $(VENV)-newest with $(NEWEST_PYTHON); two to six minutes,\
	$(UV) venv --quiet --clear --python $(NEWEST_PYTHON) $(VENV)-newest && \
	$(UV) pip install --quiet --python $(VENV)-newest/bin/python -e '.[test]')
	@touch $@

# Only PyAV is installed here; everything else, torch and avssl too, is found in $(VENV).
$(VENV)-newest-av/.installed: $(VENV)/.installed-dev
	$(call timed,Installing the newest PyAV beside $(VENV); some seconds,\
	$(BIN)/python -m venv --clear $(VENV)-newest-av && \
	$(VENV)-newest-av/bin/python -m pip install --quiet --upgrade --no-deps av && $(call borrow,$(VENV)-newest-av))
	@touch $@

$(VENV)-tools/bin/uv:
	$(PYTHON) -m venv $(VENV)-tools && $@ --version 2>/dev/null || $(VENV)-tools/bin/python -m pip install --quiet uv

# With the tool that makes mutants, which nothing else needs.
$(VENV)/.installed-mutants: pyproject.toml constraints.txt $(VENV)/.installed-dev
	$(call timed,Installing cosmic-ray into $(VENV); some seconds,\
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test$(comma)mutants]')
	@touch $@

# With the readers that avssl is compared with, and what reads sets from a server.
$(VENV)/.installed-bench: pyproject.toml constraints.txt $(VENV)/.installed
	$(call timed,Installing the peers of the benchmarks into $(VENV); some seconds,\
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench$(comma)remote]')
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(11 * (sys.version_info < (3, 11)))' || { if [ $$? -eq 11 ]; \
	then echo "avssl needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1): name another, as in: make PYTHON=python3.12 …"; \
	else echo "$(PYTHON) does not start, see above: name another Python, as in: make PYTHON=python3.12 …; one of pyenv has to be active first"; \
	fi >&2; exit 2; }
	$(call timed,Making a virtual environment in $(VENV); some seconds,$(PYTHON) -m venv $(VENV))

comma := ,
