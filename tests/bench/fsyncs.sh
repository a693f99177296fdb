#!/bin/bash
# fsyncs.sh [PEER...] - counts sync calls, renames and links per message with strace,
# 50 messages one after the other, for W1, W2 and W3.  Shows who acknowledges mail
# that is not yet on the disk.
cd "$(dirname "$0")" || exit 1
N=50; T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
for p in ${*:-postfix opensmtpd postern}; do
  for w in W1 W2 W3; do
    TRACE=$T/t QUIET=0 LIMIT=30 GEN=smtpload ./run-peers.sh $w 1 10240 $N 1 $p >/dev/null 2>&1; [ -s "$T/t" ] || continue
    printf '%-10s %s per message:' $p $w
    for c in fsync fdatasync sync_file_range syncfs msync rename link unlink; do
      n=$(grep -cE " $c(at2?|2)?\(" "$T/t"); [ "$n" = 0 ] || awk -v c=$c -v n=$n -v N=$N 'BEGIN{printf "  %s %.2f", c, n/N}'
    done
    echo; rm -f "$T/t"
  done
done
