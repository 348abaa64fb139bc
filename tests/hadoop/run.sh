#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real Hadoop clients, a real HDFS and Hadoop's own server tests against the server in $SVSM_KMS_CMD.
#
# usage: run.sh [--hadoop 3.4.1|3.3.6] [--suite client|hdfs|secure|testkms|all] [--against reference] [--test CLASS[.METHOD]]
#
# Without --hadoop both versions run; "all" leaves all but client to the newer one. "--against reference" puts the original
# Java server in place of ours: that checks the tests. The jars come from Maven, once; later runs need no network.
# SVSM_KMS_CMD is the server (default: svsm-kms in the build directory), called as "serve --conf DIR --data DIR --listen
# ADDRESS:PORT". SVSM_KMS_ABLE lists what it can do beyond http and simple authentication, of: tokens proxyuser kerberos
# https zookeeper. Tests that need more are skipped.
# The last line is "N passed, N failed, N skipped".
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(cd "$root" && mkdir -p "${SVSM_BUILD:-build}" && cd "${SVSM_BUILD:-build}" && pwd)/hadoop || exit
newest=3.4.1

versions="$newest 3.3.6"
suite=all
only=
command=${SVSM_KMS_CMD:-${build%/hadoop}/svsm-kms}
able=${SVSM_KMS_ABLE-tokens proxyuser kerberos https}

passed=0 failed=0 skipped=0

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

usage() {
	sed -n '/^# usage/s/^# //p' "$0" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--hadoop) versions=$2 ;;
	--suite) suite=$2 ;;
	--against) [ "$2" = reference ] || usage; command="" able="tokens proxyuser kerberos https zookeeper" ;;
	--test) only=$2 ;;
	*) usage ;;
	esac
	shift 2
done
case $suite in client | hdfs | secure | testkms | all) ;; *) usage ;; esac

# What a run would have been, when it cannot be. A test that takes parameters counts once here.
tests_in() {
	case $1 in
	hdfs) grep -c '^ *@Test' "$here/src/svsmkms/hadoop/HdfsTest.java" ;;
	secure) cat "$here"/src/svsmkms/hadoop/{Kerberos,SecureHdfs}Test.java | grep -c '^ *@Test' ;;
	client) cat "$here"/src/svsmkms/hadoop/*Test.java | grep -c '^ *@Test' ;;
	testkms) echo 1 ;;
	esac
}

suites_of() {
	if [ "$suite" != all ]; then
		echo "$suite"
	elif [ "$1" = "$newest" ]; then
		echo client hdfs secure testkms
	else
		echo client
	fi
}

skip_version() {
	local s
	echo "skipped Hadoop $1: $2"
	for s in $(suites_of "$1"); do
		skipped=$((skipped + $(tests_in "$s")))
	done
}

# The class path of one version, asked from Maven when the pom or a jar has changed.
resolve() {
	local version=$1 dir=$2 list=$2/classpath jar
	if [ "$list" -nt "$here/pom.xml" ]; then
		local complete=yes
		for jar in $(tr ':' ' ' <"$list"); do
			[ -f "$jar" ] || complete=no
		done
		[ $complete = yes ] && return
	fi
	local tool
	for tool in mvn javac; do
		command -v $tool >/dev/null || { echo "$tool is not installed" >"$dir/maven.log"; return 1; }
	done
	echo "resolving Hadoop $version with Maven"
	local mode
	for mode in --offline --update-snapshots; do
		mvn --batch-mode --quiet $mode -f "$here/pom.xml" -Dhadoop.version="$version" -Dbuild.dir="$dir" \
			dependency:build-classpath -Dmdep.outputFile="$list.new" >"$dir/maven.log" 2>&1 </dev/null &&
			mv "$list.new" "$list" && return
	done
	return 1
}

compile() {
	local dir=$1
	if [ -f "$dir/compiled" ] && [ -z "$(find "$here/src" "$dir/classpath" -newer "$dir/compiled")" ]; then
		return
	fi
	rm -rf "$dir/classes" && mkdir -p "$dir/classes" &&
		find "$here/src" -name '*.java' -print0 | xargs -0 javac -nowarn -encoding UTF-8 \
			-cp "$(cat "$dir/classpath")" -d "$dir/classes" && touch "$dir/compiled"
}

# The private KDC of the suite "secure"; without one its tests are skipped. Clients' and daemons' keys are in one keytab.
realm=
make_realm() {
	local kdc=(python3 "$here/../kerberos/kdc.py")
	"${kdc[@]}" start --dir "$1" >/dev/null || return 1
	realm=$1
	"${kdc[@]}" keytab --dir "$1" --out "$1/users.keytab" alice bob carol oozie yarn hdfs/localhost >/dev/null &&
		"${kdc[@]}" keytab --dir "$1" --out "$1/http.keytab" HTTP/localhost >/dev/null
}

end_realm() {
	[ -z "$realm" ] || python3 "$here/../kerberos/kdc.py" stop --dir "$realm"
	realm=
}

run() {
	local version=$1 dir=$2 s=$3
	local counts=$2/counts work=$2/work/$3 path java
	path=$dir/classes:$(cat "$dir/classpath")
	rm -rf "$work" "$counts" && mkdir -p "$work/logs" || exit
	if [ "$s" = testkms ]; then
		# These write certificates beside their own class file, so it must not be in a jar.
		mkdir "$work/unpacked"
		(cd "$work/unpacked" && jar xf "$(tr ':' '\n' <"$dir/classpath" | grep 'hadoop-kms-.*-tests\.jar$')")
		path=$dir/classes:$work/unpacked:$(cat "$dir/classpath")
	fi
	java=(java -Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true -Dfile.encoding=UTF-8)
	# What Hadoop of this age reaches into; later JDKs have it closed.
	java+=(--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED)
	java+=(--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED)
	java+=(-Dkms.command="$command" -Dkms.able="$able" -Dkms.only="$only" -Dsvsmkms.work="$work")
	java+=(-Dtest.build.dir="$work/tmp" -Dtest.build.data="$work/tmp")
	java+=(-Dlog4j.configuration="file:$here/log4j.properties" -Dsvsmkms.log="$work/logs/client.log")
	if [ "$s" = secure ] && make_realm "$work/realm"; then
		java+=(-Dsvsmkms.realm="$work/realm" -Djava.security.krb5.conf="$work/realm/krb5.conf")
	fi
	# Some of Hadoop's tests write into the working directory.
	(cd "$work" && exec timeout -k 10 900 "${java[@]}" -cp "$path" svsmkms.hadoop.Main "$s" "$counts" 2>logs/stderr) &
	# In the background, so that a signal to this script ends the tests, and they their servers.
	local tests=$!
	trap 'kill $tests; end_realm; exit 1' INT TERM
	wait $tests
	local code=$? p=0 f=0 k=0 state=
	end_realm
	[ -f "$counts" ] && read -r p f k state <"$counts"
	if [ "$state" != "done" ]; then
		f=$((f + 1))
		echo "FAILED  $s ended early with code $code, see $work/logs/stderr"
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + k))
	[ "$f" -gt 0 ] || rm -rf "$work/tmp" "$work/target"
}

if [ -n "$command" ] && ! command -v "${command%% *}" >/dev/null; then
	echo "FAILED  there is no server at ${command%% *}: build it, or name it in SVSM_KMS_CMD"
	failed=1
	finish
fi

for version in $versions; do
	dir=$build/$version
	mkdir -p "$dir" || exit
	if ! resolve "$version" "$dir"; then
		sed 's/^/      /' "$dir/maven.log" | grep -v '^ *$' | head -5
		skip_version "$version" "its jars cannot be resolved"
		continue
	fi
	if ! compile "$dir"; then
		echo "FAILED  the tests do not compile against Hadoop $version"
		failed=$((failed + 1))
		continue
	fi
	for s in $(suites_of "$version"); do
		echo "Hadoop $version, $s, against ${command:-the reference}"
		run "$version" "$dir" "$s"
	done
done
if [ -n "$only" ] && [ $((passed + failed + skipped)) = 0 ]; then
	echo "FAILED  there is no test $only"
	failed=1
fi
finish
