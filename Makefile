# People and CI call the same targets. `make run` and `make test` are the two that a newcomer needs.

VENV    := .venv
PYTHON  := $(VENV)/bin/python
SYSTEM_PYTHON ?= python3.11

# Settings, each with its default: `IMAGES=~/Pictures make run`
IMAGES  ?=
DATA    ?= ../shared/data/flickr8k
OPEN    ?= ../shared/data/open-world
INDEX   ?= data/index
MODEL   ?= models/retrieval
RETRIEVAL_MODEL ?= models/retrieval
CAPTION_MODELS  ?= models/caption-vit-bert,models/caption-gru
WORKERS ?= auto
comma := ,
ENCODERS   = $(RETRIEVAL_MODEL)
CAPTIONERS = $(subst $(comma), ,$(CAPTION_MODELS))
GALLERY := data/gallery
DRAWN   := .cache/gallery-train
FLOATING := .cache/models
QUANTIZE = $(PYTHON) -m training.quantize --photos "$(DATA)" --drawn $(DRAWN)
WIDEN    = $(PYTHON) -m training.open_captions --photos "$(DATA)" --drawn $(DRAWN) --open "$(OPEN)"
FOLDER   = $(if $(IMAGES),$(IMAGES),$(GALLERY)/Images)

.PHONY: help install install-dev run prepare gallery index test test-fast check docs fix train-data train-retrieval train-captioner train-clip-scratch evaluate meteor custom-set bench bench-quick compose-test clean

help:            ## show this list
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run
install: $(VENV)/.run            ## everything that `make run` needs, into .venv

$(VENV)/.run: pyproject.toml constraints.txt
	scripts/install $(SYSTEM_PYTHON) $(VENV) run
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	scripts/install $(SYSTEM_PYTHON) $(VENV) run,ray,training,dev
	@touch $@ $(VENV)/.run

run: install prepare index       ## caption, retrieval, gateway and the page on this machine; Ctrl-C ends all
	@exec $(PYTHON) -m honcho -f Procfile start

prepare: install                 ## export the models and choose their engines, once
	@$(PYTHON) -m imagetext.models.prepare indexing:$(MODEL) $(ENCODERS:%=encoder:%) $(CAPTIONERS:%=captioner:%)

gallery: install                 ## draw the sample gallery (300 scenes), once
	@$(PYTHON) -m gallery --out $(GALLERY) --number 300 --seed 18

index: install $(if $(IMAGES),,gallery)   ## index a folder: IMAGES=dir make index
	@$(PYTHON) -m indexer build --images "$(FOLDER)" --index "$(INDEX)" --model "$(MODEL)"

clean:                           ## remove what was built, keep what was trained
	rm -rf $(VENV) data build *.egg-info

##@ Develop
install-dev: $(VENV)/.dev        ## everything above, and what tests, checks and training need

test: install-dev                ## all tests that this machine can run, in parallel
	scripts/test-programs
	$(PYTHON) -m pytest -n $(WORKERS)

test-fast: install-dev           ## what fails soonest, in less than a minute
	$(PYTHON) -m pytest -n $(WORKERS) --fast

compose-test: install-dev        ## the main journey in containers; needs a Docker engine
	$(PYTHON) -m pytest tests/compose --run-compose

check: install-dev docs          ## formatting, lint, types, links, docker-compose.yml
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PYTHON) scripts/check_compose.py

docs: install-dev                ## the documentation as a site in build/docs; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs --quiet build
	@PYTHONPATH=. $(PYTHON) scripts/openapi.py build/docs/openapi/openapi.json

fix: install-dev                 ## repair what ruff can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

##@ Train
train-data: install-dev          ## draw the scenes that the models are trained with, once
	@$(PYTHON) -m gallery --out $(DRAWN) --number 3300 --seed 1000 --split --dev 300

train-retrieval: $(FLOATING)/caption-gru ## train models/retrieval: DATA=dir make train-retrieval
	$(PYTHON) -m training.retrieval --photos "$(DATA)" --drawn $(DRAWN) --out $(FLOATING)/retrieval
	$(PYTHON) -m training.retrieval --config training/retrieval_again.toml --photos "$(DATA)" --drawn $(DRAWN) \
	  --work .cache/retrieval-again --out $(FLOATING)/retrieval-again
	$(QUANTIZE) --model $(FLOATING)/retrieval-again --out $(FLOATING)/retrieval-int8
	$(PYTHON) -m training.concepts --photos "$(DATA)" --drawn $(DRAWN) --open "$(OPEN)" \
	  --model $(FLOATING)/retrieval-int8 --out models/retrieval
	$(PYTHON) -m training.relevance --photos "$(DATA)" --open "$(OPEN)" --drawn $(DRAWN) --model models/retrieval --write

train-captioner: $(FLOATING)/caption-gru ## train models/caption-gru, and models/caption-vit-bert, which it teaches
	$(PYTHON) -m training.captioner vit-bert --photos "$(DATA)" --drawn $(DRAWN) --out $(FLOATING)/caption-vit-bert
	$(PYTHON) -m training.captioner vit-bert --config training/vit_bert_again.toml --photos "$(DATA)" --drawn $(DRAWN) \
	  --work .cache/vit-bert-again --out $(FLOATING)/caption-vit-bert
	$(QUANTIZE) --model $(FLOATING)/caption-gru --out $(FLOATING)/caption-gru-int8
	$(QUANTIZE) --model $(FLOATING)/caption-vit-bert --out $(FLOATING)/caption-vit-bert-int8
	$(WIDEN) --model $(FLOATING)/caption-gru-int8 --config training/open_captions_gru.toml --out models/caption-gru
	$(WIDEN) --model $(FLOATING)/caption-vit-bert-int8 --out models/caption-vit-bert
	for model in models/caption-gru models/caption-vit-bert; do \
	  $(PYTHON) -m training.confidence --photos "$(DATA)" --open "$(OPEN)" --model $$model --write || exit 1; done

$(FLOATING)/caption-gru: | train-data
	$(PYTHON) -m training.captioner gru-attention --photos "$(DATA)" --drawn $(DRAWN) --out $@

train-clip-scratch: install-dev  ## train a small CLIP from random weights, on Flickr8k alone
	$(PYTHON) -m training.clip scratch --photos "$(DATA)" --out models/clip-scratch

custom-set: install-dev          ## 1000 sentences by the offline grammar; docs/custom-set.md goes on from there
	$(PYTHON) -m training.collect sentences --grammar --number 1000 --out data/custom/sentences.jsonl

##@ Measure
evaluate: train-data             ## score the models on the dev split; the page is .cache/report/index.html
	@$(PYTHON) -m training.evaluate --photos "$(DATA)" --drawn $(DRAWN) --retrieval "$(MODEL)" \
	  --captioner models/caption-vit-bert --captioner models/caption-gru
	@[ ! -d "$(OPEN)" ] || $(PYTHON) -m training.evaluate_open --photos "$(DATA)" --open "$(OPEN)" --model "$(MODEL)"
	@[ ! -d "$(OPEN)" ] || for model in models/caption-vit-bert models/caption-gru; do \
	  $(PYTHON) -m training.confidence --photos "$(DATA)" --open "$(OPEN)" --model $$model || exit 1; done

meteor: install-dev              ## METEOR's jar for the evaluation (104 MB); needs Java
	$(VENV)/bin/pip install --no-deps pycocoevalcap==1.2

bench: install-dev               ## measure every work against its rival; RESUME=1 make bench goes on after Ctrl-C
	@$(PYTHON) -m bench $(if $(RESUME),--resume)

bench-quick: install-dev         ## the speed gate: fails if a ratio is 25 % below the kept one in bench/latest
	@$(PYTHON) -m bench --quick
