# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What .ci/run and .ci/long share: steps with a clock. Sourced, from the top of
# the repository.

# No stamp of the checkout in what is built: a checkout of another user, or
# none, does just as well. And what is tested is not guided by the profile in
# cmd/emqttd, for which all the program is made of is compiled once more.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false -pgo=off"

logs=$(mktemp -d)
budget=0     # seconds this run may take
names=()     # of the steps taken
verdicts=()  # ok, FAIL, or what was left out and why
durations=() # seconds
failed=0     # how many steps failed
note=        # what a step adds to its verdict
cut=         # verdict of a step that the clock cut off; empty: it has failed
child=       # process that `bounded` waits for
broker=      # process that a caller left running

finish() {
	local pid
	for pid in $child $broker; do kill "$pid" 2>/dev/null || true; done
	rm -rf "$logs"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "$*"; }

# left prints the seconds until the run's end, never less than 0.
left() {
	local rest=$((budget - SECONDS))
	echo $((rest > 0 ? rest : 0))
}

# bounded SECONDS LOG COMMAND... runs a program in the time that is left, at
# most SECONDS; what it prints is shown and kept in LOG. Status 124: cut off.
bounded() {
	local limit=$1 log=$2 rest status=0 out tee
	shift 2
	rest=$(left)
	if ((limit > rest)); then limit=$rest; fi
	if ((limit == 0)); then
		say "no time left for: $*"
		return 124
	fi
	exec {out}> >(trap '' INT && exec tee -a "$log")
	tee=$!
	timeout --kill-after=15 "$limit" "$@" >&"$out" 2>&1 </dev/null {out}>&- &
	child=$!
	exec {out}>&-
	wait "$child" || status=$?
	child=
	for _ in {1..50}; do # a grandchild that holds the pipe does not hold us
		kill -0 "$tee" 2>/dev/null || break
		sleep 0.1
	done
	if ((status == 124 || status == 137)); then
		say "cut off after $limit s: $*"
		return 124
	fi
	return "$status"
}

# twice COMMAND... tries once more: what comes over a network may be late.
twice() {
	"$@" && return
	say "once more: $*"
	sleep 5
	"$@"
}

# step NAME FUNCTION [ARGUMENT...] runs one step and keeps its verdict and time.
# Errexit is off inside it, so that a function returns its status itself. What
# it could not do for want of something optional goes to `note`.
step() {
	local name=$1 from=$SECONDS status=0
	shift
	note=
	say
	say "== $name"
	"$@" || status=$?
	names+=("$name")
	durations+=($((SECONDS - from)))
	if ((status == 0)); then
		verdicts+=("ok${note:+, $note}")
	elif ((status == 124 && $(left) == 0)) && [ -n "$cut" ]; then
		verdicts+=("$cut")
		status=0
	else
		verdicts+=("FAIL${note:+, $note}")
		failed=$((failed + 1))
	fi
	say "-- $name: ${verdicts[-1]} (${durations[-1]} s)"
	return "$status"
}

summary() {
	local i
	say
	say "== summary, $((SECONDS / 60)) min $((SECONDS % 60)) s"
	for i in "${!names[@]}"; do
		printf '%6d s  %-24s %s\n' "${durations[i]}" "${names[i]}" "${verdicts[i]}"
	done
}

# tools installs what tests need beyond Go, where that is possible. Tests that
# want a program which is not there say so and skip, so nothing here is fatal;
# the race detector alone cannot do without a C compiler, and its step says so.
tools() {
	local want=() missing=()
	command -v "${CC:-cc}" >/dev/null || command -v gcc >/dev/null || want+=(gcc libc6-dev)
	command -v openssl >/dev/null || want+=(openssl)
	command -v mosquitto_pub >/dev/null || want+=(mosquitto-clients)
	command -v tshark >/dev/null || want+=(tshark)
	command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || want+=(mosquitto)
	command -v chromium >/dev/null || want+=(chromium) # the page's tests
	command -v node >/dev/null || want+=(nodejs npm)   # MQTT.js; the page's sources
	command -v mkfs.xfs >/dev/null || [ -x /usr/sbin/mkfs.xfs ] || want+=(xfsprogs) # power losses
	command -v mkfs.ext4 >/dev/null || [ -x /usr/sbin/mkfs.ext4 ] || want+=(e2fsprogs)
	if ((${#want[@]} > 0)) && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		twice install "${want[@]}" || true
	fi
	case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin ;; esac # mosquitto's place
	local tool
	for tool in gcc openssl mosquitto mosquitto_pub chromium node tshark; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	if ((${#missing[@]} > 0)); then note="without ${missing[*]}"; fi
	return 0
}

# install PACKAGE... with apt-get; services of the packages do not start.
install() {
	local quiet=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=60 -o Dpkg::Use-Pty=0)
	bounded 90 "$logs/apt" "${quiet[@]}" update || true # yesterday's lists may do
	bounded 300 "$logs/apt" "${quiet[@]}" install -y --no-install-recommends "$@"
}

modules() { twice bounded 300 "$logs/modules" go mod download; }

build() { bounded 600 "$logs/build" go build ./...; }

race_ready() {
	if [ "$(CGO_ENABLED=1 go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then return; fi
	say "the race detector needs a C compiler: install gcc and libc6-dev"
	return 1
}

# fuzz_targets prints "package target" lines.
fuzz_targets() {
	rm -f "$logs/fuzz-list"
	local status=0
	bounded 300 "$logs/fuzz-list" go test -list '^Fuzz' ./... >/dev/null || status=$?
	if ((status != 0)); then
		grep -v '^ok' "$logs/fuzz-list" >&2 || true
		return "$status"
	fi
	awk '/^Fuzz/ { targets[n++] = $1 }
		/^ok/ { for (i = 0; i < n; i++) print $2, targets[i]; n = 0 }' "$logs/fuzz-list"
}

# fuzz_one PACKAGE TARGET SECONDS fuzzes for that long, once the instrumented
# test is built, which on a fresh machine takes minutes. A run that ends with
# nothing but "context deadline exceeded" was stopped by its own clock between
# two inputs and found nothing; what it finds it tells as a "Failing input".
fuzz_one() {
	local log=$logs/fuzz-one status=0
	: >"$log"
	bounded 300 "$log" go test -c -o /dev/null -fuzz "^$2\$" "$1" || return
	: >"$log"
	bounded $(($3 + 60)) "$log" go test -run '^$' -fuzz "^$2\$" -fuzztime "$3s" "$1" || status=$?
	if ((status == 1)) && grep -q '^ *context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
		status=0
	fi
	return "$status"
}
