#!/usr/bin/env bash
# Makes the secrets docker-compose.yml reads, in deploy/secrets/, each once: what
# is there already is kept.
#
# Compose mounts these files as they are, with their owner and mode, and the
# containers' users (65532 for Cambio) own none of them. So each file is readable
# to all, and the folder, which containers never see, to its owner alone.
set -euo pipefail

cd "$(dirname "$0")"
mkdir -p secrets
chmod 0700 secrets
cd secrets

# make NAME COMMAND…: what COMMAND prints becomes secret NAME, unless there is one.
make() {
	local name=$1 value
	shift
	if [[ -s $name ]]; then
		echo "kept deploy/secrets/$name"
		return
	fi
	value=$("$@")
	# Whole or not at all, and without a final newline.
	printf '%s' "$value" >"$name.new"
	chmod 0644 "$name.new"
	mv "$name.new" "$name"
	echo "made deploy/secrets/$name"
}

key() { head -c 32 /dev/urandom | base64; }

# Clients disagree on how to encode anything but letters and digits, in HTTP Basic
# as in a URL.
password() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# Within the compose network, which PostgreSQL does not leave; hence no TLS.
database_url() {
	printf 'postgres://cambio:%s@postgres:5432/cambio?sslmode=disable' "$(cat postgres_password)"
}

make secret_key key
make operator_client_secret password
make postgres_password password
make database_url database_url
make grafana_password password
