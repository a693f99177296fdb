"""Real name servers for a test: NSD with zones signed by ldns, and a validating unbound in front of it. Loopback ports chosen by the kernel.

    with NameServers({"example": [("pass.example.", "TXT", '"v=spf1 -all"')]}) as names:
        names.port      the resolver to ask
        names.stop_authority(); names.start_authority()
The zones are an island: unbound trusts their keys and knows no other server."""
import glob, os, shutil, socket, subprocess, tempfile

from daemon import wait_until

NSD, UNBOUND, KEYGEN, SIGN = "/usr/sbin/nsd", "/usr/sbin/unbound", "/usr/bin/ldns-keygen", "/usr/bin/ldns-signzone"


def free_udp_port():
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(("127.0.0.1", udp.getsockname()[1]))
                return udp.getsockname()[1]
            except OSError:
                continue


def txt(value):
    """A TXT record's data: strings of at most 255 octets (RFC 1035 §3.3.14)."""
    return " ".join('"%s"' % value[i:i + 250].replace("\\", "\\\\").replace('"', '\\"') for i in range(0, max(len(value), 1), 250))


class NameServers:
    def __init__(self, zones, unsigned=()):
        self.folder = tempfile.mkdtemp(prefix="postern-dns-", dir="/var/tmp")
        self.nsd_port, self.port = free_udp_port(), free_udp_port()
        self.zones, self.unsigned = zones, unsigned
        self.anchors, self.processes = [], {}

    # -- files --------------------------------------------------------------------------------------------------------
    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def write_zone(self, zone, records):
        lines = ["$ORIGIN %s." % zone, "$TTL 60", "@ SOA ns hostmaster 1 3600 900 86400 5", "@ NS ns", "ns A 127.0.0.1"]
        lines += ["%s %s %s" % record for record in records]
        path = self.write(zone + ".zone", "\n".join(lines) + "\n")
        if zone in self.unsigned:
            return path
        made = subprocess.run([KEYGEN, "-a", "ECDSAP256SHA256", "-k", zone], cwd=self.folder, check=True, capture_output=True, text=True)
        key = made.stdout.strip()
        subprocess.run([SIGN, "-f", path + ".signed", path, self.path(key)], cwd=self.folder, check=True, capture_output=True)
        with open(self.path(key + ".key")) as f:
            self.anchors.append(f.read().strip())
        return path + ".signed"

    def write_files(self):
        nsd = ["server:", '  ip-address: "127.0.0.1@%d"' % self.nsd_port, '  username: ""', '  chroot: ""', '  pidfile: ""', '  logfile: "%s"' % self.path("nsd.log"),
               '  zonesdir: "%s"' % self.folder, '  database: ""', '  zonelistfile: "%s"' % self.path("zone.list"), '  xfrdfile: "%s"' % self.path("xfrd.state"),
               '  xfrdir: "%s"' % self.folder, "  server-count: 1", "  rrl-ratelimit: 0", "  rrl-whitelist-ratelimit: 0", "remote-control:", "  control-enable: no"]
        for zone, records in self.zones.items():
            nsd += ["zone:", '  name: "%s"' % zone, '  zonefile: "%s"' % self.write_zone(zone, records)]
        self.write("nsd.conf", "\n".join(nsd) + "\n")
        unbound = ["server:", "  interface: 127.0.0.1", "  port: %d" % self.port, '  username: ""', '  chroot: ""', '  pidfile: ""', '  directory: "%s"' % self.folder,
                   "  use-syslog: no", '  logfile: "%s"' % self.path("unbound.log"), "  do-ip6: no", "  do-not-query-localhost: no", "  do-daemonize: no",
                   '  module-config: "validator iterator"', "  num-threads: 1", "  qname-minimisation: no", "  infra-host-ttl: 1", "  cache-max-negative-ttl: 1",
                   "  access-control: 127.0.0.0/8 allow"]
        unbound += ['  trust-anchor: "%s"' % anchor.split(";")[0].strip().replace("\t", " ") for anchor in self.anchors]
        unbound += ['  local-zone: "%s." nodefault' % zone for zone in self.zones if zone.endswith("arpa")]
        unbound += ['  domain-insecure: "%s"' % zone for zone in self.unsigned]
        for zone in self.zones:
            unbound += ["stub-zone:", '  name: "%s"' % zone, "  stub-addr: 127.0.0.1@%d" % self.nsd_port]
        unbound += ["remote-control:", "  control-enable: no"]
        self.write("unbound.conf", "\n".join(unbound) + "\n")

    # -- life ---------------------------------------------------------------------------------------------------------
    def start(self):
        self.write_files()
        self.start_authority()
        self.run("unbound", [UNBOUND, "-d", "-c", self.path("unbound.conf")], self.port)
        return self

    def start_authority(self):
        self.run("nsd", [NSD, "-d", "-c", self.path("nsd.conf")], self.nsd_port)

    def stop_authority(self):
        self.end("nsd")

    def stop_resolver(self):
        self.end("unbound")

    def run(self, name, command, port):
        with open(self.path(name + ".out"), "ab") as out:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        wait_until("%s answers" % name, lambda: self.answers(name, port))

    def answers(self, name, port):
        if self.processes[name].poll() is not None:
            raise AssertionError("%s ended:\n%s" % (name, self.said(name)))
        with socket.socket() as tcp:
            return tcp.connect_ex(("127.0.0.1", port)) == 0

    def said(self, name):
        text = ""
        for path in glob.glob(self.path(name + ".*")):
            if path.endswith((".out", ".log")):
                with open(path, errors="replace") as f:
                    text += f.read()[-2000:]
        return text

    def end(self, name):
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)

    def close(self):
        for name in list(self.processes):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    __enter__ = start

    def __exit__(self, *exc):
        self.close()
