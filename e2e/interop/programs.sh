#!/usr/bin/env bash
# The programs of the system that the interop tests run beside Cambio: Chromium,
# and nginx with njs. Installs what is missing, or fails with the line that does.
#
# CHROMIUM=/path/to/chromium uses that browser instead of looking for one.
set -euo pipefail

# Bash 3.2, which macOS ships, must be able to read this file.

say() { printf 'programs.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

missing() {
	local name found=''
	for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
		if [[ -n $name ]] && command -v "$name" >/dev/null; then found=$name; fi
	done
	[[ -n $found ]] || echo chromium
	PATH=$PATH:/usr/sbin command -v nginx >/dev/null || echo nginx-light
	[[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ]] || echo libnginx-mod-http-js
}

packages=$(missing | tr '\n' ' ')
packages=${packages% }
[[ -n $packages ]] || exit 0
command -v apt-get >/dev/null ||
	die "not here: $packages (Debian's names). Install Chromium, and nginx with njs in /usr/lib/nginx/modules, or test on Debian"

line="apt-get update && apt-get install -y --no-install-recommends $packages"
sudo=() shown=$line
if [[ $EUID -ne 0 ]]; then
	shown="sudo sh -c '$line'"
	sudo=(sudo -n)
	sudo -n true 2>/dev/null || die "not here: $packages; install with: $shown"
fi
say "not here: $packages; running: $shown"

# The tests start an nginx of their own. Debian's package would start another,
# on port 80, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap '${sudo[@]+"${sudo[@]}"} rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | ${sudo[@]+"${sudo[@]}"} tee "$policy" >/dev/null
	${sudo[@]+"${sudo[@]}"} chmod +x "$policy"
fi
# Another run may be installing the same; its lock is waited for.
${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive sh -c "${line//apt-get /apt-get -o DPkg::Lock::Timeout=300 }" </dev/null >&2 ||
	die "that failed; install with: $shown"
[[ -z $(missing) ]] || die "still not here: $(missing | tr '\n' ' '); ran: $shown"
