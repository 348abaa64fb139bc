# SPDX-License-Identifier: Apache-2.0
# The front door: what a newcomer types. Each goal installs the packages it needs (tools/deps) and
# hands over to CMake or to a script in tools/; there is no build logic here.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
DATA = run-data
ARGS =
SECONDS = 60
T =

# Build quietly: cmake speaks only when it fails, ninja shows one moving line.
configure = log=$$(mktemp) && { cmake -S . -B $(1) -G Ninja $(2) >"$$log" 2>&1 || { cat "$$log"; rm -f "$$log"; exit 1; }; } && rm -f "$$log"
sanitize = -DSAN=ON -DCMAKE_C_COMPILER=clang
MAKEFLAGS += --no-print-directory

.PHONY: help run build test check bench vm vm-test vm-test-strict bench-vm deb fuzz fmt tcb install uninstall clean
help:
	@sed -n 's/^## //p' Makefile

## make run          install what is missing, build, serve on http://127.0.0.1:9600/kms
##                   (ARGS="--listen 127.0.0.1:9700" and the like go to the server; DATA=directory)
run:
	@tools/deps build
	@$(call configure,$(BUILD)) && ninja --quiet -C $(BUILD) svsm-kms svsm-kms-service
	@exec $(BUILD)/svsm-kms serve --data $(DATA) --hints $(ARGS)

## make build        build everything, run nothing
build:
	@tools/deps build
	@$(call configure,$(BUILD)) && ninja -C $(BUILD)

## make test         install what is missing, build, run every test; the last line counts them
test:
	@tools/deps build test package java vm
	@SVSM_BUILD=$(BUILD) tests/run $(ARGS)

## make check        the quick one: both compilers, unit tests under sanitizers, corpora, source checks
check:
	@tools/deps build test
	@SVSM_BUILD=$(BUILD) tests/run --quick $(ARGS)

## make bench        measure, side by side with what the numbers are compared to
bench:
	@test -x tools/bench || { echo "make bench: there is no tools/bench in this tree"; exit 1; }
	@tools/deps build bench java
	@$(call configure,$(BUILD)) && ninja --quiet -C $(BUILD)
	@SVSM_BUILD=$(BUILD) tools/bench $(ARGS)

## make fuzz T=name  fuzz one parser for SECONDS=60 (T=all: each in turn; without T: list them)
fuzz:
	@tools/deps build test
	@tools/fuzz "$(T)" "$(SECONDS)"

## make vm           the whole stack in one VM on the SEV-SNP emulator, forwarded to http://127.0.0.1:9600/kms
##                   (ARGS="--plain", "--cpus 4", "--io strict"...: see vm/run --help)
vm:
	@tools/deps build vm
	@SVSM_BUILD=$(BUILD) vm/build $(filter --plain,$(ARGS))
	@SVSM_BUILD=$(BUILD) exec vm/run $(ARGS)

## make vm-test      the suites of the VM alone (part of `make test`); vm-test-strict: all I/O through #VC and GHCB
vm-test vm-test-strict:
	@tools/deps build test vm
	@SVSM_BUILD=$(BUILD) SVSM_VM_IO=$(if $(findstring strict,$@),strict,fast) tests/run vm $(ARGS)

## make bench-vm     count crossings, copies, the parts of one call; boot, sizes; beside the process isolation
bench-vm:
	@tools/deps build bench vm
	@SVSM_BUILD=$(BUILD) vm/build --test
	@SVSM_BUILD=$(BUILD) tools/bench-vm $(ARGS)

## make fmt          put the lines you changed into the project's format
fmt:
	@tools/deps test
	@tools/check-format --fix

## make tcb          count the trusted source lines
tcb:
	@tools/tcb

## make install      PREFIX=/usr/local, DESTDIR= for packagers
install: build
	@tools/install "$(BUILD)" "$(DESTDIR)$(PREFIX)"

## make uninstall    remove what `make install` put there
uninstall:
	@tools/install --remove "$(DESTDIR)$(PREFIX)"

## make deb          Debian packages of server and driver, in $(BUILD)/deb
deb: build
	@tools/deps package
	@tools/deb "$(BUILD)" "$(BUILD)/deb"

## make clean        remove all build directories (never your data)
clean:
	@rm -rf $(BUILD) build-san build-fuzz build-tsan
