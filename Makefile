# Two commands matter: `make demo` and `make test`. Both set up everything they need in .venv.
PYTHON := .venv/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-network lint format types web-check unit explore screenshots bench survey test-jupyter package clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/ready: pyproject.toml constraints.txt hatch_build.py scripts/setup.sh $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)
	@sh scripts/setup.sh

demo: .venv/ready  ## train, look inside and show it in the browser (ARGS="--quick", "--no-open", …)
	@.venv/bin/convscope demo $(ARGS)

test: lint  ## every check: linters, types, unit, property and browser tests
	@$(MAKE) --no-print-directory -j2 --output-sync=target types web-check
	@$(MAKE) --no-print-directory unit

lint: .venv/ready  ## style
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/ready  ## rewrite the sources in the project's style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	$(PYTHON) scripts/npm.py run format

types: .venv/ready  ## mypy --strict
	.venv/bin/mypy

web-check: .venv/ready  ## linter, types and unit tests of the front end
	$(PYTHON) scripts/npm.py run lint
	$(PYTHON) scripts/npm.py run check
	$(PYTHON) scripts/npm.py run test

unit: .venv/ready  ## pytest, with a real Chromium
	$(PYTHON) scripts/browser.py
	.venv/bin/pytest -n 3 --durations=25 --dist loadfile --no-loadscope-reorder --browser-again -rR $(ARGS)

explore: .venv/ready  ## the property tests with other, and many more, examples than in `make test`
	.venv/bin/pytest -n 2 -m 'not browser and not network and not jupyterlab' --hypothesis-profile=explore $(ARGS) \
		$(shell grep -l '^from hypothesis' tests/test_*.py)

test-jupyter: .venv/ready  ## the widgets in a real JupyterLab, which it installs
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt 'jupyterlab>=4.4,<5'
	.venv/bin/pytest -m jupyterlab

test-network: .venv/ready  ## fetch weights and data sets from their sources of today (90 MB)
	.venv/bin/pytest -m network

screenshots: .venv/ready  ## make the pictures of README and docs anew from a run of the demo
	$(PYTHON) scripts/browser.py
	$(PYTHON) scripts/screenshots.py $(ARGS)

bench: .venv/ready  ## the paired benchmarks (IMAGES=FOLDER for those that need JPEG files); see benchmarks/RESULTS.md
	.venv/bin/pip install --quiet -c constraints.txt -e '.[bench]'
	$(PYTHON) benchmarks/recording.py
	$(PYTHON) benchmarks/watch.py
	$(PYTHON) benchmarks/networks.py
	$(PYTHON) benchmarks/orders.py
	$(PYTHON) benchmarks/ablation.py
	$(PYTHON) benchmarks/volume.py
	$(PYTHON) benchmarks/embedding.py tsne
	$(PYTHON) benchmarks/embedding.py neighbours --half
	$(PYTHON) benchmarks/embedding_page.py
ifdef IMAGES
	$(PYTHON) benchmarks/inspecting.py $(IMAGES)
	$(PYTHON) benchmarks/embedding.py extraction --data $(IMAGES)
	$(PYTHON) benchmarks/projecting.py $(IMAGES) --networks alexnet,vgg16
endif

survey: .venv/ready  ## look into every network of torchvision and 300 of timm's; makes docs/architectures.md anew
	$(PYTHON) scripts/survey.py -o docs/architectures.md

package: .venv/ready  ## sdist and wheel in dist/
	$(PYTHON) -m build

clean:  ## remove what was built, not what was recorded
	rm -rf .venv web/node_modules src/convscope/view/static dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
