#!/bin/bash
# run-peers.sh WORKLOAD CONCURRENCY SIZE COUNT [REPS [PEER...]]
#
# Runs one workload against every peer (or the named ones), REPS times each
# (default 3), interleaved peer by peer so that noise hits all alike.  Every
# single run is made in fresh network, mount, pid and uts namespaces: nothing can
# leave loopback, ports never clash, and no process outlives its run.
#
#   W1  accept + durable queue + relay to smtp-sink
#   W2  accept + delivery to one user's Maildir
#   W5  accept + delivery into the peer's own store (Postern only; compare with the W2 of others)
#   W3  accept + durable queue only (hold / delivery off)
#   W4  as W3, STARTTLS with a fresh handshake for every message (smtpload)
#   W0  smtp-source straight to smtp-sink: the generator's own ceiling
#
# SPREAD=200 (W1) relays to so many domains, each with an MX and an address of its own, asked of a real unbound;
# RELAY_TLS=1 (W1) to sinks with STARTTLS.
#
# Environment: PEERS=/var/tmp/peers (install tree), REUSE=1 (many messages per
# connection), GEN=smtpload|smtp-source, KEY=rsa|ec (W4), TUNED=1 (peers' own
# throughput settings instead of stock ones), LIMIT=180 (seconds per run),
# LOAD_OPTS=... (more smtpload options), OUT=file (append TSV rows), KEEP=1 (keep scratch and logs), QUIET=60 (before each
# run wait so many seconds at most for other work on the machine to stop; a run
# during which others used more than 0.15 cores is repeated up to TRIES-1 (2) times and, if it
# stays so, kept with "NOISY" in its note).
set -u
cd "$(dirname "$0")" || exit 1
[ $# -ge 4 ] || { sed -n 2,24p "$0"; exit 2; }
export PEERS=${PEERS:-/var/tmp/peers} BENCH=$PWD
export WL=$1 CONC=$2 SIZE=$3 COUNT=$4; REPS=${5:-3}; shift $(( $# > 5 ? 5 : $# ))
export REUSE=${REUSE:-0} GEN=${GEN:-smtpload} KEY=${KEY:-rsa} TUNED=${TUNED:-0} LIMIT=${LIMIT:-180} KEEP=${KEEP:-0} SPREAD=${SPREAD:-0} RELAY_TLS=${RELAY_TLS:-0} TRACE=${TRACE:-}
[ "$WL" = W4 ] && GEN=smtpload
OUT=${OUT:-/dev/null}
if [ "$WL" = W0 ]; then LIST="none"; else LIST=${*:-postfix opensmtpd postern}; fi
HEAD="peer workload conc size count rep gen accept_s accept_rate done_s done_rate delivered failed cpu_user cpu_sys cpu_ms_per_msg load_cpu rss_mb pss_mb procs disk_mb disk_flushes other_cpu note"
echo "$HEAD" | tr ' ' '\t'
# Seconds of CPU used by all on this machine in one second, as 1/100 cores.
busy() { awk '/^cpu /{print $2+$3+$4+$7+$8+$9}' /proc/stat; }
wait_quiet() { local i a; for ((i = 0; i < QUIET; i++)); do a=$(busy); sleep 1; [ $(( $(busy) - a )) -le 12 ] && return; done; }
QUIET=${QUIET:-60} TRIES=${TRIES:-3}
for rep in $(seq "$REPS"); do
  for p in $LIST; do
    [ "$p" = none ] || { [ -r peers/$p.sh ] && ( . peers/$p.sh; peer_available && peer_can "$WL" ) || continue; }
    for ((try = 0; try < TRIES; try++)); do
    wait_quiet
    row=$(PEER=$p REP=$rep unshare --net --mount --pid --uts --fork --mount-proc --kill-child bash ./inside.sh 2>"$PEERS/run-$p.err") ||
      row="$p	$WL	$CONC	$SIZE	$COUNT	$rep	RUN FAILED, see $PEERS/run-$p.err"
    noisy=$(awk -F'\t' '{print ($10>0 && $23/$10>0.15) ? 1 : 0}' <<<"$row")
    [ "$noisy" = 0 ] || [ "$QUIET" = 0 ] && break
    done
    [ "$noisy" = 1 ] && row="$row NOISY"
    echo "$row" | tee -a "$OUT"
  done
done
