#!/bin/bash
# matrix.sh OUT.tsv [REPS] - the whole comparison in one go (about 20 minutes with
# 3 repetitions on 2 cores).  PEERLIST adds or restricts peers, e.g.
#   PEERLIST="postfix postern" ./matrix.sh /tmp/cmp.tsv 3
# Rows are appended to OUT; ./summary.py OUT.tsv prints min/median/max tables.
set -u
cd "$(dirname "$0")" || exit 1
export OUT=${1:?output file}; R=${2:-3}; L=${PEERLIST:-postfix opensmtpd postern}
export QUIET=${QUIET:-30} LIMIT=${LIMIT:-60}
# OpenSMTPD relays some 20 messages/s (see README): W1 with it has a short list.
fast=$(tr ' ' '\n' <<<"$L" | grep -v opensmtpd | tr '\n' ' ')
run() { ./run-peers.sh "$@" | tail -n +2 | cut -f1-6,9,11,16; }
want() { [[ " ${ONLY:-W0 W1 W2 W3 W4 size} " == *" $1 "* ]]; }      # ONLY="W1 W3" restricts
want W0 && for c in 10 50; do run W0 $c 10240 5000 "$R"; done
want W1 && for c in 1 10 50 200; do run W1 $c 10240 1000 "$R" $fast; done
want W3 && for c in 1 10 50 200; do run W3 $c 10240 1000 "$R" $L; done
want W2 && for c in 1 10 50; do run W2 $c 10240 1000 "$R" $L; done
want W4 && for c in 10 50; do run W4 $c 10240 1000 "$R" $L; done
want size && for w in W1 W2; do l=$L; [ $w = W1 ] && l=$fast
  run $w 50 1024 1000 "$R" $l; run $w 10 1048576 100 "$R" $l
done
want W1 && case " $L " in *" opensmtpd "*) for c in 1 50; do run W1 $c 10240 250 "$R" opensmtpd; done;; esac
exit 0
