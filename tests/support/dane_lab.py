"""A small internet for DANE on loopback: signed zones in NSD, a validating unbound before them, and mail servers on port 25.

It needs a network namespace of its own (in_namespace() starts the program again in one): every 127.x.y.z is a machine, port 25 and 53
are free, and nothing gets out. In the namespace /etc/resolv.conf names the validating resolver, for programs that read it.

One zone under lab. for each state an answer may have: good (signed), plain (not signed), bad (signatures are wrong), fail (SERVFAIL),
dead (its name server is silent).
"""
import base64, os, shutil, socket, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mailcheck import run  # noqa: E402

AUTHORITY, VALIDATING, STRIPPING, LYING, SILENT = "127.0.0.53", "127.0.0.1", "127.0.0.54", "127.0.0.55", "127.0.0.66"
ZONES = {"secure": "good.lab", "insecure": "plain.lab", "bogus": "bad.lab", "servfail": "fail.lab", "timeout": "dead.lab"}
MARK = "POSTERN_TEST_NAMESPACE"


def in_namespace():
    """Starts this program again in network and mount namespaces of its own, unless it runs in them already."""
    if os.geteuid() != 0:
        return  # mailcheck.main() says so
    if os.environ.get(MARK):
        run(["ip", "link", "set", "lo", "up"])
        run(["mount", "--make-rprivate", "/"])
        return
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--fork", "--kill-child", sys.executable] + sys.argv)


def use_resolver(folder, address):
    """Makes `address` the resolver of every program in the namespace that asks the C library."""
    path = folder + "/resolv.conf"
    with open(path, "w") as f:
        f.write("nameserver %s\noptions edns0 trust-ad timeout:4 attempts:1\n" % address)
    run(["mount", "--bind", path, "/etc/resolv.conf"])


class Lab:
    """`records`: zone name ("good.lab") to lines of a zone file."""

    def __init__(self, records):
        self.folder = tempfile.mkdtemp(prefix="lab-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.records, self.running, self.sockets, self.anchor = records, [], [], None

    def __enter__(self):
        try:
            self._make_zones()
            self._start_authority()
            self._start_silent()
            self.start_resolver(VALIDATING, True)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for program in reversed(self.running):
            program.terminate()
        for program in self.running:
            program.wait(20)
        for own in self.sockets:
            try:
                own.shutdown(socket.SHUT_RDWR)  # wakes who waits in it
            except OSError:
                pass  # not connected: it has done so all the same
            own.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- zones --------------------------------------------------------------------------------------------------------
    def _make_zones(self):
        for zone, lines in self.records.items():
            if zone not in (ZONES["servfail"], ZONES["timeout"]):
                self._write(zone, ["@ NS ns.lab."] + lines)
        ds = {zone: self._sign(zone) for zone in (ZONES["secure"], ZONES["bogus"])}
        self._spoil(ZONES["bogus"])
        lab = ["@ NS ns.lab.", "ns A " + AUTHORITY, "silent A " + SILENT]
        for zone in ZONES.values():
            lab.append("%s. NS %s.lab." % (zone, "silent" if zone == ZONES["timeout"] else "ns"))
            lab += ds.get(zone, [])
        self._write("lab", lab)
        ds["lab"] = self._sign("lab")
        self._write(".", ["@ NS ns.lab.", "ns.lab. A " + AUTHORITY, "lab. NS ns.lab."] + ds["lab"])
        self.anchor, = [line for line in self._sign(".") if " 2 " in line.replace("\t", " ")][:1] or [None]

    def path(self, zone):
        return "%s/%s.zone" % (self.folder, zone if zone != "." else "root")

    def _write(self, zone, lines):
        with open(self.path(zone), "w") as f:
            f.write("$ORIGIN %s\n$TTL 60\n@ SOA ns.lab. root.lab. 1 3600 600 86400 5\n%s\n" % (zone if zone == "." else zone + ".", "\n".join(lines)))

    def _sign(self, zone):
        """Signs the zone's file in place. Its DS records, as lines."""
        def key(*options):
            name = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", *options, zone], cwd=self.folder, check=True, capture_output=True, text=True)
            return self.folder + "/" + name.stdout.strip()
        ksk, zsk = key("-k"), key()
        run(["ldns-signzone", "-f", self.path(zone) + ".signed", self.path(zone), zsk, ksk])
        os.replace(self.path(zone) + ".signed", self.path(zone))
        with open(ksk + ".ds") as f:
            return [line.strip() for line in f if line.strip()]

    def _spoil(self, zone):
        """Turns one bit in every signature but those of the keys, so that the zone is found and nothing in it holds."""
        lines = []
        with open(self.path(zone)) as f:
            for line in f:
                fields = line.split()
                if fields[3:4] == ["RRSIG"] and fields[4] != "DNSKEY":
                    raw = bytearray(base64.b64decode(fields[-1]))
                    raw[-1] ^= 1
                    line = line.rstrip("\n")[:-len(fields[-1])] + base64.b64encode(bytes(raw)).decode() + "\n"
                lines.append(line)
        with open(self.path(zone), "w") as f:
            f.writelines(lines)

    # -- programs -----------------------------------------------------------------------------------------------------
    def _run(self, name, command, address):
        path = "%s/%s.log" % (self.folder, name)
        with open(path, "w") as log:
            program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(program)
        end = time.monotonic() + 30
        while True:  # it listens on TCP as soon as it answers
            with socket.socket() as s:
                s.settimeout(5)
                if s.connect_ex((address, 53)) == 0:
                    return
            if program.poll() is not None or time.monotonic() > end:
                with open(path) as f:
                    raise AssertionError("%s does not come up:\n%s" % (name, f.read()))
            time.sleep(0.05)

    def _start_authority(self):
        zones = [".", "lab"] + [z for z in self.records if z != ZONES["timeout"]]
        if ZONES["servfail"] not in zones:
            zones.append(ZONES["servfail"])
        at = self.folder
        with open(at + "/nsd.conf", "w") as f:
            f.write('server:\n ip-address: %s\n username: ""\n chroot: ""\n zonesdir: "%s"\n pidfile: ""\n database: ""\n zonelistfile: "%s/nsd.list"\n'
                    ' xfrdfile: "%s/xfrd.state"\n xfrdir: "%s"\n server-count: 1\n logfile: "%s/nsd.out"\n rrl-ratelimit: 0\n hide-version: yes\n'
                    'remote-control:\n control-enable: no\n' % (AUTHORITY, at, at, at, at, at))
            for zone in zones:  # the zone that fails has no file: NSD answers SERVFAIL
                f.write('zone:\n name: "%s"\n zonefile: "%s"\n' % (zone, self.path(zone)))
        self._run("nsd", ["nsd", "-d", "-c", at + "/nsd.conf"], AUTHORITY)

    def start_resolver(self, address, validates):
        """unbound at `address`; one that does not validate never says AD."""
        at = "%s/unbound-%s" % (self.folder, address)
        os.mkdir(at)
        with open(at + "/hints", "w") as f:
            f.write(". 3600 NS ns.lab.\nns.lab. 3600 A %s\n" % AUTHORITY)
        with open(at + "/unbound.conf", "w") as f:
            f.write('server:\n interface: %s\n do-daemonize: no\n username: ""\n chroot: ""\n directory: "%s"\n pidfile: ""\n use-syslog: no\n logfile: ""\n'
                    ' do-not-query-localhost: no\n do-ip6: no\n root-hints: "%s/hints"\n module-config: "%siterator"\n access-control: 127.0.0.0/8 allow\n access-control: 192.0.2.0/24 allow\n'
                    ' num-threads: 1\n outgoing-range: 2000\n num-queries-per-thread: 1500\n jostle-timeout: 20000\n log-servfail: no\n verbosity: 1\n%s'
                    'remote-control:\n control-enable: no\n'
                    % (address, at, at, "validator " if validates else "", ' trust-anchor: "%s"\n' % self.anchor if validates else ""))
        self._run("unbound-" + address, ["unbound", "-d", "-c", at + "/unbound.conf"], address)

    def _start_silent(self):
        """A name server that takes questions and says nothing."""
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets.append(silent)
        silent.bind((SILENT, 53))

    def start_liar(self, behind):
        """A resolver that says AD of everything `behind` answers (UDP)."""
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets.append(own)
        own.bind((LYING, 53))

        def serve():
            while True:
                try:
                    question, client = own.recvfrom(4096)
                except OSError:
                    return
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                    out.settimeout(10)
                    out.sendto(question, (behind, 53))
                    try:
                        answer = bytearray(out.recv(4096))
                    except OSError:
                        continue
                answer[3] |= 0x20
                own.sendto(bytes(answer), client)

        threading.Thread(target=serve, daemon=True).start()
