#!/bin/bash
# inside.sh - one run of one peer; called by run-peers.sh within fresh namespaces.
# Prints one TSV row (columns as in run-peers.sh).
set -u
. "$BENCH/lib.sh"
. "$BENCH/peers/$PEER.sh" 2>/dev/null
MTA_PORT=2501; SINK_PORT=2600; W=$PEERS/run/$PEER; D=$W/state; MAILDIR=$W/mail/Maildir
[ "${COUNT_MAX:-$COUNT}" -ge "$COUNT" ] || COUNT=$COUNT_MAX
namespace_setup; scratch_setup; cgroups_setup
trap finish EXIT
[ "$SPREAD" = 0 ] || { SINK_PORT=25; names_start; }

if [ "$WL" = W0 ]; then
  MTA_PORT=$SINK_PORT
else
  peer_config || die "config"
  in_cgroup mta peer_start >"$W/peer.log" 2>&1 &
  wait_port $MTA_PORT || die "peer does not listen"
  peer_ready 2>/dev/null
fi
# Warm up, so that the processes exist.  One sink serves warm-up and run: a sink
# which goes away would put the peer's route on hold.
case $WL in W0) sink_start 2000000000;; W1) sink_start $(( COUNT + 20 ));; esac
[ "$WL" = W0 ] || { generate 20 2 >/dev/null; sleep 2; }
WARM=0; case $WL in W2|W5) WARM=$(peer_delivered);; esac
[ -n "$TRACE" ] && trace_start
sync; sleep .3
sampler_start; snap before
T0=$EPOCHREALTIME
generate "$COUNT" "$CONC" >"$W/gen.out"; GEN_RC=$?
T1=$EPOCHREALTIME
case $WL in
  W1) if wait_pid "$SINK_PID" "$LIMIT"; then DELIVERED=$COUNT; T2=$EPOCHREALTIME
         else T2=$EPOCHREALTIME; kill -INT "$SINK_PID"; DELIVERED="<$COUNT"; fi;;
  W2|W5) END=$(( SECONDS + LIMIT )); [ "$GEN" = smtpload ] && ACCEPTED=$(sed -n 's/ok=\([0-9]*\).*/\1/p' "$W/gen.out")
      while DELIVERED=$(( $(peer_delivered) - WARM )); T2=$EPOCHREALTIME; [ "$DELIVERED" -lt "${ACCEPTED:-$COUNT}" ] && [ $SECONDS -lt $END ]; do sleep .05; done;;
  *) T2=$T1; DELIVERED=$COUNT;;
esac
snap after; sampler_stop
[ -n "$TRACE" ] && trace_stop
report
