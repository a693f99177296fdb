# lib.sh - shared by inside.sh: namespaces, scratch, accounting, generators.
PEER_GEN_OPTS=()           # more smtpload options a peer needs
CG=/sys/fs/cgroup/cpuacct/bench-$$-$PEER

die() { echo "inside.sh: $*" >&2; tail -5 "$W/peer.log" >&2; exit 1; }

namespace_setup() {           # loopback only; names resolve without a DNS server
  ip link set lo up; hostname mx.bench.test
  mkdir -p "$PEERS/ns"
  printf '127.0.0.1 localhost mx.bench.test sink.test\n' >"$PEERS/ns/hosts"
  printf 'lookup file\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$PEERS/ns/resolv.conf"
  printf 'hosts: files dns\npasswd: files\ngroup: files\nshadow: files\n' >"$PEERS/ns/nsswitch.conf"
  for f in hosts resolv.conf nsswitch.conf; do mount --bind "$PEERS/ns/$f" /etc/$f; done
  mount -t tmpfs tmpfs /run
  ulimit -n 20000
}
scratch_setup() {             # on the real disk: the queue must be durable
  rm -rf "$W"; mkdir -p "$W" "$D" "$W/mail"; chmod 755 "$PEERS" "$PEERS/run" "$W" "$D"
  chown benchmail: "$W/mail"; sync
}
cgroups_setup() { mkdir -p "$CG/mta" "$CG/load"; mkdir -p /sys/fs/cgroup/cpuacct 2>/dev/null; }
in_cgroup() { local g=$1; shift; echo $BASHPID >"$CG/$g/cgroup.procs"; "$@"; }

finish() {                    # everything but this shell dies; the pid namespace goes with it
  local p
  for p in $(cat "$CG"/*/cgroup.procs 2>/dev/null) ${SAMPLER:-}; do kill -KILL "$p" 2>/dev/null; done
  wait 2>/dev/null; sleep .2
  rmdir "$CG/mta" "$CG/load" "$CG" 2>/dev/null
  [ "$KEEP" = 1 ] || rm -rf "$W"
}
wait_port() { local i; for i in $(seq 300); do (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null && return 0; sleep .1; done; return 1; }
wait_pid() { local end=$(( SECONDS + $2 )); while kill -0 "$1" 2>/dev/null; do [ $SECONDS -ge $end ] && return 1; sleep .01; done; return 0; }

# SPREAD domains d0.sink.test, d1..., each with its own MX and address; the whole network 10.1.0.0/16 is this host.
names_start() {
  local i; ip address add 10.1.0.0/16 dev lo
  { printf 'server:\n  interface: 127.0.0.1\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  use-syslog: no\n  pidfile: ""\n  local-zone: "test." static\n  local-zone: "." static\n'
    for ((i = 0; i < SPREAD; i++)); do
      printf '  local-data: "d%d.sink.test. 3600 MX 10 mx.d%d.sink.test."\n  local-data: "mx.d%d.sink.test. 3600 A 10.1.%d.%d"\n' $i $i $i $((i / 200 + 1)) $((i % 200 + 1))
    done; } >"$W/unbound.conf"
  in_cgroup load unbound -d -c "$W/unbound.conf" >"$W/unbound.log" 2>&1 &
  wait_port 53 || die "unbound: $(tail -3 "$W/unbound.log")"
}
sink_start() {                # ends by itself after $1 messages
  if [ "$SPREAD$RELAY_TLS" != 00 ]; then
    in_cgroup load "$PEERS/bin/smtpsink" -p $SINK_PORT -n "$1" $([ "$RELAY_TLS" = 1 ] && echo -k "$PEERS/tls/$KEY.pem") >"$W/sink.out" 2>&1 &
  else in_cgroup load smtp-sink -u benchmail -M "$1" 127.0.0.1:$SINK_PORT 1024 >"$W/sink.out" 2>&1 &
  fi
  SINK_PID=$!; sleep .3; kill -0 $SINK_PID || die "sink: $(cat "$W/sink.out")"
}
generate() {                  # COUNT CONC
  local rcpt=${RCPT:-benchmail@sink.test} opt=()
  case $WL in W2|W5) rcpt=benchmail@local.test;; esac
  if [ "$GEN" = smtpload ]; then
    [ "$WL" = W4 ] && opt+=(-T)
    [ "$SPREAD" = 0 ] || opt+=(-d "$SPREAD")
    [ "$REUSE" = 1 ] && opt+=(-k 0)
    in_cgroup load "$PEERS/bin/smtpload" -p $MTA_PORT -c "$2" -n "$1" -l "$SIZE" -r "$rcpt" -w "$LIMIT" "${opt[@]}" "${PEER_GEN_OPTS[@]}" ${LOAD_OPTS:-}
  else
    [ "$REUSE" = 1 ] && opt+=(-d)
    in_cgroup load timeout "$LIMIT" smtp-source -4 -s "$2" -m "$1" -l "$SIZE" -f src@load.test -t "$rcpt" "${opt[@]}" 127.0.0.1:$MTA_PORT 2>&1
  fi
}
# generate runs in this shell, so it must not drag the shell into the cgroup
eval "$(declare -f generate | sed 's/^generate/generate_/')"
generate() { ( generate_ "$@" ); }

snap() {                      # counters into variables with prefix $1
  local u s busy
  read -r _ u < <(grep ^user "$CG/mta/cpuacct.stat"); read -r _ s < <(grep ^system "$CG/mta/cpuacct.stat")
  eval "$1_user=$u $1_sys=$s $1_load=$(cat "$CG/load/cpuacct.usage") $1_all=$(cat "$CG/cpuacct.usage")"
  eval "$1_busy=$(awk '/^cpu /{print $2+$3+$4+$7+$8+$9}' /proc/stat)"
  eval "$1_mta=$(cat "$CG/mta/cpuacct.usage")"
  set -- "$1" $(cat /sys/block/vda/stat)
  eval "$1_sect=${8} $1_flush=${17:-0}"
}
sampler_start() { python3 "$BENCH/sampler.py" "$CG/mta/cgroup.procs" "$W/mem" & SAMPLER=$!; }
sampler_stop() { kill -TERM $SAMPLER 2>/dev/null; wait $SAMPLER 2>/dev/null; }

trace_start() {               # which sync calls does the peer make?
  strace -f -q -o "$W/strace" -e trace=fsync,fdatasync,sync_file_range,syncfs,sync,msync,rename,renameat,renameat2,link,linkat,unlink,unlinkat \
    $(for p in $(cat "$CG/mta/cgroup.procs"); do echo "-p $p"; done) 2>/dev/null & STRACE=$!; sleep 1.5
}
trace_stop() { sleep 2; kill -INT $STRACE; wait $STRACE 2>/dev/null; cp "$W/strace" "$TRACE"; }

report() {
  local note="" acc done_ mem
  mem=$(cat "$W/mem" 2>/dev/null || echo "0 0 0")
  [ "$GEN" = smtpload ] && note=$(cat "$W/gen.out"); [ "$SPREAD$RELAY_TLS" = 00 ] || note="$note $(cat "$W/sink.out")"
  [ "$GEN_RC" = 0 ] || note="generator rc=$GEN_RC $(head -c 200 "$W/gen.out" | tr '\n\t' '  ')"
  local failed=0; [ "$GEN" = smtpload ] && failed=$(sed -n 's/.*fail=\([0-9]*\).*/\1/p' "$W/gen.out")
  awk -v OFS='\t' -v peer="$PEER" -v wl="$WL$([ "$WL$KEY" = W4ec ] && echo +ec)$([ "$TUNED" = 1 ] && echo +tuned)$([ "$REUSE" = 1 ] && echo +reuse)$([ "$SPREAD" = 0 ] || echo "+$SPREAD")$([ "$RELAY_TLS" = 1 ] && echo +tls)" -v c="$CONC" -v sz="$SIZE" -v n="$COUNT" -v rep="${REP:-1}" -v gen="$GEN" \
    -v t0="$T0" -v t1="$T1" -v t2="$T2" -v del="$DELIVERED" -v fail="${failed:-0}" \
    -v u=$((after_user-before_user)) -v s=$((after_sys-before_sys)) -v ld=$((after_load-before_load)) \
    -v m=$((after_mta-before_mta)) -v all=$((after_all-before_all)) -v busy=$((after_busy-before_busy)) \
    -v sect=$((after_sect-before_sect)) -v fl=$((after_flush-before_flush)) -v mem="$mem" -v note="$note" 'BEGIN{
      split(mem,q," "); a=t1-t0; d=t2-t0;
      # user/sys split is tick based; the total is exact
      tot=m/1e9; if (u+s>0) {us=tot*u/(u+s)} else us=tot;
      printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.3f\t%.0f\t%.3f\t%.0f\t%s\t%s\t%.2f\t%.2f\t%.3f\t%.2f\t%s\t%s\t%s\t%.1f\t%d\t%.2f\t%s\n",
        peer,wl,c,sz,n,rep,gen,a,n/a,d,n/d,del,fail,us,tot-us,tot*1000/n,ld/1e9,q[1],q[2],q[3],sect*512/1e6,fl,busy/100-all/1e9,note}'
}
maildir_count() { ls -f "$MAILDIR/new" 2>/dev/null | awk 'END{print (NR>2?NR-2:0)}'; }
