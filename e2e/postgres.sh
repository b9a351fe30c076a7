#!/usr/bin/env bash
# A throw-away PostgreSQL for the tests.
#
#   e2e/postgres.sh run COMMAND [ARGUMENT…]
#   e2e/postgres.sh programs
#
# "programs" prints where the server's programs are, installing them first if
# there are none, and whom they run as (an empty line: as the caller). It is for
# tests that start, kill and restart servers themselves.
#
# Starts a server of its own on 127.0.0.1, exports CAMBIO_TEST_POSTGRES_URL (a
# superuser's), runs COMMAND, takes the server and its data away again and
# exits with COMMAND's status. With CAMBIO_TEST_POSTGRES_URL already set, that
# server is used and none is started.
#
# Loopback needs no password: any user of this machine can reach the server
# while COMMAND runs. It holds test data only.
set -euo pipefail

# Bash 3.2, which macOS ships, must be able to read this file.

dir=''        # everything of this run: data, socket, log
bin=''        # folder of initdb, postgres and pg_ctl
server_user='' # whom the server runs as; empty: as the caller
child=''      # COMMAND's process

say() { printf 'postgres.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

usage() {
	echo 'usage: e2e/postgres.sh run COMMAND [ARGUMENT…] | programs' >&2
	exit 2
}

# PostgreSQL refuses to run as root, and complains about a working directory
# that its user cannot read.
as_server() {
	(
		cd "${dir:-/}"
		export LC_ALL=C
		if [[ -z $server_user ]]; then
			exec "$@"
		elif setpriv --reuid="$server_user" --clear-groups true 2>/dev/null; then
			exec setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" --clear-groups -- "$@"
		else
			exec su -s /bin/sh "$server_user" -c "$(printf '%q ' "$@")"
		fi
	)
}

usable() {
	local program
	for program in initdb postgres pg_ctl; do
		[[ -x $1/$program ]] || return 1
		as_server "$1/$program" --version >/dev/null 2>&1 || return 1
	done
}

# Where to look, best first, one folder a line.
candidates() {
	local found version
	# Through a link in PATH to where the three programs stand together.
	if found=$(command -v postgres); then
		dirname "$(readlink -f "$found" 2>/dev/null || echo "$found")"
		dirname "$found"
	fi
	pg_config --bindir 2>/dev/null || true
	# Newest first; these are where Debian, Fedora, Alpine and Homebrew keep them.
	for version in {30..12}; do
		printf '%s\n' "/usr/lib/postgresql/$version/bin" "/usr/pgsql-$version/bin" \
			"/usr/libexec/postgresql$version" "/opt/homebrew/opt/postgresql@$version/bin" \
			"/usr/local/opt/postgresql@$version/bin"
	done
}

find_programs() {
	local folder
	while IFS= read -r folder; do
		if usable "$folder"; then
			bin=$folder
			return 0
		fi
	done < <(candidates)
	return 1
}

install_line() {
	if command -v apt-get >/dev/null; then
		echo 'apt-get update && apt-get install -y --no-install-recommends postgresql'
	elif command -v dnf >/dev/null; then
		echo 'dnf install -y postgresql-server'
	elif command -v apk >/dev/null; then
		echo 'apk add postgresql'
	elif command -v brew >/dev/null; then
		echo 'brew install postgresql@17'
	fi
}

install_programs() {
	local line
	line=$(install_line)
	[[ -n $line ]] || die 'no PostgreSQL server programs here (initdb, postgres, pg_ctl): install PostgreSQL and put them in PATH'

	local sudo=() shown=$line
	if [[ $line != brew* && $EUID -ne 0 ]]; then
		shown="sudo sh -c '$line'"
		sudo=(sudo -n)
		sudo -n true 2>/dev/null || die "no PostgreSQL server programs here; install them with: $shown"
	fi
	say "no PostgreSQL server programs here; running: $shown"
	# Another run may be installing the same; its lock is waited for.
	[[ $line != apt-get* ]] || line=${line//apt-get /apt-get -o DPkg::Lock::Timeout=300 }
	# stdout belongs to COMMAND.
	${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive sh -c "$line" >&2 </dev/null ||
		die "that failed; install PostgreSQL's server programs with: $shown"
	find_programs || die "still no initdb, postgres and pg_ctl after: $shown"
}

make_folder() {
	# A socket's path may have 103 bytes, and the server's user must be able to
	# get there: /tmp serves where TMPDIR does not.
	local base=${TMPDIR:-/tmp}
	if [[ ${#base} -gt 60 ]] || ! as_server test -x "$base"; then
		base=/tmp
	fi
	dir=$(mktemp -d "${base%/}/cambio-postgres.XXXXXX")
	[[ -z $server_user ]] || chown "$server_user" "$dir"
}

start_server() {
	# Losing the machine while initdb runs loses nothing worth keeping. The
	# server itself keeps fsync: tests of durability are to mean something.
	as_server "$bin/initdb" -D "$dir/data" --username=cambio --auth=trust \
		--encoding=UTF8 --no-locale --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die 'initdb failed'; }

	local port try
	for try in {1..20}; do
		# Below the range the system takes outgoing ports from. Whether it is
		# free the server finds out by binding it, so two runs cannot collide.
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		as_server tee "$dir/data/postgresql.auto.conf" >/dev/null <<-CONF
			listen_addresses = '127.0.0.1'
			port = $port
			unix_socket_directories = '$dir'
			max_connections = 500
			fsync = on
		CONF
		: >"$dir/log"
		if as_server "$bin/pg_ctl" start -D "$dir/data" -w -t 60 -s >>"$dir/log" 2>&1 </dev/null; then
			export CAMBIO_TEST_POSTGRES_URL="postgres://cambio@127.0.0.1:$port/postgres?sslmode=disable"
			return 0
		fi
		grep -q 'could not create any TCP/IP sockets' "$dir/log" || break
		say "port $port is taken (try $try)"
	done
	cat "$dir/log" >&2
	die 'PostgreSQL did not start'
}

# shellcheck disable=SC2317 # a trap calls it
clean_up() {
	local status=$?
	trap '' INT TERM HUP
	if [[ -n $dir ]]; then
		if [[ -f $dir/data/postmaster.pid ]]; then
			# The data go anyway: no checkpoint, no waiting for clients.
			as_server "$bin/pg_ctl" stop -D "$dir/data" -m immediate -w -t 20 -s >/dev/null 2>&1 </dev/null || true
		fi
		rm -rf -- "$dir"
	fi
	exit "$status"
}

# COMMAND has the time to end by itself before it is made to.
# shellcheck disable=SC2317 # a trap calls it
interrupted() {
	local signal=$1 status=$2
	trap '' INT TERM HUP
	if [[ -n $child ]]; then
		kill -s "$signal" "$child" 2>/dev/null || true
		for _ in {1..100}; do
			kill -0 "$child" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$child" 2>/dev/null || true
	fi
	exit "$status"
}

mode=${1:-}
[[ $mode == run && $# -ge 2 || $mode == programs && $# -eq 1 ]] || usage
shift

if [[ $mode == run && -n ${CAMBIO_TEST_POSTGRES_URL:-} ]]; then
	exec "$@"
fi

if [[ $EUID -eq 0 ]]; then
	server_user=nobody
	if id postgres >/dev/null 2>&1; then server_user=postgres; fi
fi

trap clean_up EXIT
trap 'interrupted INT 130' INT
trap 'interrupted TERM 143' TERM
trap 'interrupted HUP 129' HUP

if ! find_programs; then
	install_programs
	# The package brings the user that fits it.
	if [[ -n $server_user ]] && id postgres >/dev/null 2>&1; then server_user=postgres; fi
fi
if [[ $mode == programs ]]; then
	printf '%s\n%s\n' "$bin" "$server_user"
	exit 0
fi
make_folder
start_server

# In the background, so that a signal is heard at once and not only when COMMAND
# has ended; with the terminal's input and its Ctrl-C all the same, both of which
# the shell takes from what it starts so.
(
	trap - INT QUIT
	exec "$@"
) <&0 &
child=$!
status=0
wait "$child" || status=$?
child=''
exit "$status"
