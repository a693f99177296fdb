"""A whole Postern for a test or the demo: configuration, users, processes, log, posternctl. Loopback only; ports chosen by the kernel.

    with Daemon(bin_dir) as d:
        d.ctl("domain", "add", "demo.example")
        ...
The log is read as it comes: wait_log() returns when a line arrives, it does not poll.
"""
import json, os, pwd, re, shutil, signal, socket, subprocess, tempfile, threading, time

ROLES = ["signer", "resolver", "mailbox", "queue", "remote", "verifier-out", "verifier-in", "control", "web", "listener"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_users(prefix="postern-"):
    """The users of the processes, as the package makes them. Needs root."""
    for role in ROLES:
        try:
            pwd.getpwnam(prefix + role)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", prefix + role],
                           check=True, stdout=subprocess.DEVNULL)


def toml_value(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (list, tuple)):
        return "[" + ", ".join(toml_value(x) for x in v) + "]"
    return str(v) if isinstance(v, int) else json.dumps(v)


class Daemon:
    def __init__(self, bin_dir, settings=None, folder=None, echo=False, executables=None):
        self.bin = os.path.abspath(bin_dir)
        self.executables = executables or self.bin  # another folder to start from, e.g. with one process replaced
        self.root = os.geteuid() == 0
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="postern-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.folder, 0o755)
        self.smtp_port, self.web_port = free_port(), free_port()
        self.settings = {
            "server.host_name": "mx.demo.example", "server.state_dir": self.folder + "/state", "server.run_dir": self.folder + "/run",
            "smtp.listen": ["127.0.0.1:%d" % self.smtp_port], "web.listen": ["127.0.0.1:%d" % self.web_port],
            "smtp.relay_networks": ["127.0.0.0/8"], "resolver.upstreams": ["127.0.0.1:%d" % free_port()],
        }
        self.settings.update(settings or {})
        self.echo = echo
        self.lines, self.arrived = [], threading.Condition()
        self.process = None

    # -- life ---------------------------------------------------------------------------------------------------------
    def write_config(self):
        sections = {}
        for key, value in self.settings.items():
            section, name = key.split(".", 1)
            sections.setdefault(section, []).append("%s = %s" % (name, toml_value(value)))
        self.config = self.folder + "/postern.toml"
        with open(self.config, "w") as f:
            for section, rows in sections.items():
                f.write("[%s]\n%s\n\n" % (section, "\n".join(rows)))

    def start(self, patience=60):
        self.write_config()
        if self.root:
            make_users(self.settings.get("server.user_prefix", "postern-"))
        command = [self.executables + "/postern", "-c", self.config] + ([] if self.root else ["--unprivileged"])
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.wait_log(r'event="postern is up"', patience)
        return self

    def _read(self):
        for line in self.process.stderr:
            with self.arrived:
                self.lines.append(line.rstrip("\n"))
                self.arrived.notify_all()
            if self.echo:
                print(line, end="", flush=True)
        with self.arrived:
            self.lines.append("(the daemon has ended)")
            self.arrived.notify_all()

    def stop(self, patience=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        return self.process.returncode if self.process else None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
        finally:
            if kind is not None:
                print("---- the daemon's last log lines ----\n" + "\n".join(self.lines[-40:]), flush=True)
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    # -- the log ------------------------------------------------------------------------------------------------------
    def wait_log(self, pattern, patience=30, since=0):
        """The first line from `since` on that matches; waits for it. Fails when the daemon ends or time runs out."""
        regex, end, at = re.compile(pattern), time.monotonic() + patience, since
        with self.arrived:
            while True:
                while at < len(self.lines):
                    if regex.search(self.lines[at]):
                        return self.lines[at]
                    if self.lines[at] == "(the daemon has ended)":
                        raise AssertionError("the daemon ended before %r:\n%s" % (pattern, "\n".join(self.lines[-30:])))
                    at += 1
                left = end - time.monotonic()
                if left <= 0 or not self.arrived.wait(left):
                    raise AssertionError("no log line %r in %ds:\n%s" % (pattern, patience, "\n".join(self.lines[-30:])))

    def mark(self):
        with self.arrived:
            return len(self.lines)

    # -- asking and telling -------------------------------------------------------------------------------------------
    def ctl(self, *words, check=True, stdin=None, as_json=True):
        command = [self.bin + "/posternctl"] + list(words) + ["--socket", self.folder + "/run/control.sock"] + (["--json"] if as_json else [])
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError("posternctl %s: exit %d: %s" % (" ".join(words), done.returncode, done.stderr.strip()))
        if not as_json or not check:
            return done
        return json.loads(done.stdout) if done.stdout.strip() else None

    def status(self):
        return {p["name"]: p for p in self.ctl("status")["processes"]}

    def pid(self, role):
        return self.status()[role]["pid"]

    def kill(self, role, how=signal.SIGKILL):
        os.kill(self.pid(role), how)


def wait_until(what, condition, patience=30):
    """Waits for a condition that nobody announces; for what other programs do."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not in %ds: %s" % (patience, what))
        time.sleep(0.05)
