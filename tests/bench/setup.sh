#!/bin/bash
# setup.sh - installs the peers and builds the tools (root, Debian 12).
# Postfix is installed (its user and the smtp-source/smtp-sink tools are needed); OpenSMTPD conflicts with it and is only unpacked under $PEERS.
set -eu
cd "$(dirname "$0")"
export PEERS=${PEERS:-/var/tmp/peers} DEBIAN_FRONTEND=noninteractive
mkdir -p "$PEERS"/{deb,bin,run,tls,aptlists/partial}; chmod 755 "$PEERS"
# No service may start by itself.
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get update -q
apt-get install -y -q --no-install-recommends postfix unbound strace gcc libc6-dev libssl-dev liblmdb-dev libevent-2.1-7 libdb5.3
# OpenSMTPD 7 from backports, read with lists of our own.
archive=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)
echo "deb $archive bookworm-backports main" >"$PEERS/bp.list"
BP="-o Dir::Etc::sourcelist=$PEERS/bp.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PEERS/aptlists"
apt-get $BP update -q || true
( cd "$PEERS/deb"; rm -f opensmtpd_*.deb; apt-get $BP download -q opensmtpd || apt-get download -q opensmtpd )
rm -rf "$PEERS/opensmtpd"; mkdir -p "$PEERS/opensmtpd"
dpkg -x "$PEERS"/deb/opensmtpd_*.deb "$PEERS/opensmtpd"
# Users the peers want, and mount points for their fixed paths.
for u in opensmtpd opensmtpq benchmail; do
  getent passwd $u >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin $u
done
chgrp opensmtpq "$PEERS/opensmtpd/usr/sbin/smtpctl"; chmod 2555 "$PEERS/opensmtpd/usr/sbin/smtpctl"  # smtpctl insists on its group
mkdir -p /var/spool/smtpd /usr/libexec/opensmtpd /var/lib/opensmtpd/empty; chmod 755 /var/lib/opensmtpd/empty
# Test keys.
( cd "$PEERS/tls"
  [ -e rsa.key ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.crt -days 3650 -subj /CN=mx.bench.test 2>/dev/null
  [ -e ec.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key -out ec.crt -days 3650 -subj /CN=mx.bench.test 2>/dev/null
  for k in rsa ec; do cat $k.key $k.crt >$k.pem; done; chmod 600 ./*.key ./*.pem )
# Tools.
gcc -O2 -Wall -Wno-format-truncation -o "$PEERS/bin/smtpload" src/smtpload.c -lssl -lcrypto -lpthread
gcc -O2 -Wall -o "$PEERS/bin/smtpsink" src/smtpsink.c -lssl -lcrypto -lpthread
gcc -O2 -Wall -o "$PEERS/bin/diskprobe" src/diskprobe.c -lpthread
gcc -O2 -Wall -o "$PEERS/bin/lmdbprobe" src/lmdbprobe.c -llmdb
export BENCH=$PWD
for p in peers/*.sh; do ( . "$p"; n=$(basename "$p" .sh); peer_available && echo "$n $(peer_version)" || echo "$n: not available" ); done
