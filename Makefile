# make help lists these. Everything a fresh Debian 12 with a Swift toolchain lacks is installed by the target that needs it.
#
#   make run      install, build a release, start `vedette up` in the foreground on this host
#   make test     install, build, run every test (unit, tidy, simulation, conformance, scenarios)
#   make demo     a real container is OOM-killed; watch it seen, kept, told and healed
#   make build    the release binary: .build/release/vedette
#   make lint     formatting and house rules
#   make bench    the micro-benchmarks (NAME=… for one)
#   make fuzz     the fuzzers (NAME=… SEED=… EVENTS=…)
#   make deb      Debian packages in .build/deb
#   make clean    remove what was built

SHELL := /bin/bash
CONFIGURATION ?= release
# Colours are arguments of the compiler: without the flag a terminal and a pipe would each build everything anew.
BUILD := swift build -c $(CONFIGURATION) --explicit-target-dependency-import-check error --no-color-diagnostics
TEST := swift test -c $(CONFIGURATION) --skip-build
BIN := .build/$(CONFIGURATION)/vedette

.PHONY: help run test demo build build-tests lint bench fuzz deb clean install install-tests

help:
	@sed -n 's/^#   \(make .*\)/  \1/p' Makefile

install:
	@scripts/install.sh build

install-tests: install
	@scripts/install.sh tests

build: install
	$(BUILD) --product vedette

build-tests: install-tests
	$(BUILD) --build-tests

run: build
	$(BIN) up

test: build-tests
	@scripts/test.sh $(CONFIGURATION)

demo: install-tests
	$(BUILD) --product vedette
	$(BUILD) --product vedette-demo
	@scripts/with-tools.sh .build/$(CONFIGURATION)/vedette-demo --binary $(BIN) $(DEMO_ARGUMENTS)

lint:
	swift format lint --strict --recursive Package.swift Sources Tests
	$(BUILD) --build-tests
	$(TEST) --filter TidyTests

bench: build
	$(BIN) bench $(NAME)

fuzz: build-tests
	FUZZ_NAME=$(NAME) FUZZ_SEED=$(SEED) FUZZ_EVENTS=$(EVENTS) $(TEST) --filter 'uzz|smoke|DamageTests|LineJoiner|SpoolTests'

deb: build
	@scripts/make-deb.sh $(BIN) .build/deb

clean:
	rm -rf .build
