# SPDX-License-Identifier: Apache-2.0
# The front door. `make help` lists what there is.
BUILD ?= build

.PHONY: help build
help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# make build        only build
build:
	@cmake -S . -B $(BUILD) -G Ninja > /dev/null && ninja -C $(BUILD)
