# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For suites written in shell: source it, state checks, end with finish.
#
#	. "$(dirname "$0")/../suite.sh"
#	check "the server answers" curl -fs "$url"
#	refuse "an unknown key is refused" svsm-kms key show nosuch
#	contains "it says why" "not found" svsm-kms key show nosuch
#	finish
#
# $scratch is a directory of the suite's own, removed at the end.
suite_passed=0
suite_failed=0
suite_skipped=0
# shellcheck disable=SC2034 # for the suites
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

pass() { # sentence
	suite_passed=$((suite_passed + 1))
	printf 'ok      %s\n' "$1"
}

fail() { # sentence; what was seen comes from standard input
	suite_failed=$((suite_failed + 1))
	printf 'FAILED  %s\n' "$1"
	sed 's/^/        | /'
}

skip() { # sentence, reason
	suite_skipped=$((suite_skipped + 1))
	printf 'skipped %s: %s\n' "$1" "$2"
}

# The command succeeds.
check() { # sentence, command...
	sentence=$1
	shift
	if "$@" >"$scratch/.out" 2>&1; then pass "$sentence"; else fail "$sentence" <"$scratch/.out"; fi
}

# The command fails, and not by a signal or for being absent.
refuse() { # sentence, command...
	sentence=$1
	shift
	code=0
	"$@" >"$scratch/.out" 2>&1 || code=$?
	if [ $code -ne 0 ] && [ $code -lt 126 ]; then
		pass "$sentence"
	else
		echo "exit code $code" >>"$scratch/.out"
		fail "$sentence" <"$scratch/.out"
	fi
}

# The command's output, whatever its exit code, has a line that matches the extended expression.
contains() { # sentence, expression, command...
	sentence=$1
	expression=$2
	shift 2
	"$@" >"$scratch/.out" 2>&1 || true
	if grep -Eq -e "$expression" "$scratch/.out"; then pass "$sentence"; else fail "$sentence" <"$scratch/.out"; fi
}

# Leaves the suite as a whole, with the reason.
skip_all() { # reason
	echo "$1"
	exit 77
}

finish() {
	echo "$suite_passed passed, $suite_failed failed, $suite_skipped skipped"
	[ "$suite_failed" = 0 ]
	exit
}
