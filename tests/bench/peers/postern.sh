# Postern, as built by `cmake --preset release` (POSTERN names another folder of executables). Durability as shipped.
POSTERN=${POSTERN:-$BENCH/../../build/release/bin}
peer_available() { [ -x "$POSTERN/postern" ]; }
peer_version() { "$POSTERN/postern" --version 2>/dev/null | awk '{print $NF; exit}'; }
peer_can() { case $1 in W[1-5]) true;; *) false;; esac; }
postern_ctl() { "$POSTERN/posternctl" "$@" --socket "$D/run/control.sock"; }
peer_config() {
  cat >"$D/postern.toml" <<C
[server]
host_name = "mx.bench.test"
state_dir = "$D/state"
run_dir = "$D/run"
[smtp]
listen = ["127.0.0.1:$MTA_PORT"]
relay_networks = ["127.0.0.0/8"]
[tls]
certificate = "$PEERS/tls/$KEY.crt"
key = "$PEERS/tls/$KEY.key"
[relay]
routes = [$([ "$SPREAD" = 0 ] && echo "\"*=127.0.0.1:$SINK_PORT\"")]
[resolver]
upstreams = ["127.0.0.1:53"]
[web]
listen = ["127.0.0.1:8025"]
[mailbox]
maildir = "$W/mail"
[queue]
hold_all = $(case $WL in W3|W4) echo true;; *) echo false;; esac)
C
  for r in signer resolver mailbox queue remote verifier-out verifier-in control web listener; do
    getent passwd postern-$r >/dev/null || useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin postern-$r
  done
}
peer_start() { exec "$POSTERN/postern" -c "$D/postern.toml"; }
peer_ready() {
  local delivery=store; [ "$WL" = W2 ] && delivery=maildir
  for i in $(seq 100); do postern_ctl status >/dev/null 2>&1 && break; sleep .1; done
  postern_ctl domain add local.test >/dev/null &&
    echo "bench password" | postern_ctl account add benchmail@local.test --password-stdin --delivery $delivery $([ $delivery = maildir ] && echo --maildir-folder Maildir) >/dev/null
}
# W5 (own store): what was accepted and is no longer in the queue lies in the mailbox, by the order of the two commits.
peer_delivered() {
  [ "$WL" = W5 ] || { maildir_count; return; }
  "$POSTERN/posternctl" mail folders benchmail@local.test --json --socket "$D/run/control.sock" | grep -oE '"messages": *[0-9]+' | awk -F: '{n += $2} END {print n + 0}'
}
