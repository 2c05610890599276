"""The workers of one job, each a process with a disk; worker 0 coordinates, too."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from .common import Failure, get, note, wait_until, worker_binary

PARTITIONS = 6
FLUSH = 2.0
HEARTBEAT = 0.3
SESSION = 3.0
HOMECOMING = 6.0
# From a kill back to the last write-back that must have happened: commit, write-back and a busy machine.
SLACK = 4.0
# What a supervisor starts again: Kafka away, another process on the disk. Others are defects here.
EXPECTED_EXITS = (69, 75)


class Job:
    def __init__(self, directory, name, broker, guarantee):
        self.name = name
        self.broker = broker
        self.guarantee = guarantee
        self.exactly_once = guarantee == "ExactlyOnce"
        self.input = name + "-in"
        self.output = name + "-out"
        self.changelog = name + "-counts-changelog"
        self.group = "chaos." + name
        self.file = directory / "job.yaml"

    def write(self, workers):
        self.workers = workers
        self.file.write_text(f"""\
apiVersion: coho.dev/v1alpha1
kind: StreamJob
metadata: {{name: {self.name}, namespace: chaos}}
spec:
  image: none
  task: {{name: count}}
  kafka: {{bootstrapServers: "{self.broker.address}", topicPrefix: {self.name}}}
  inputs: [{{topic: {self.input}, key: string, value: bytes}}]
  outputs: [{{topic: {self.output}, key: string, value: string, partitions: {PARTITIONS}}}]
  stores: [{{name: counts, key: string, value: int64}}]
  workers: {{count: {workers}, runLoops: 2}}
  storage: {{flushInterval: {int(FLUSH * 1000)}ms}}
  processing: {{guarantee: {self.guarantee}, commitInterval: 50ms}}
  failover:
    heartbeatInterval: {int(HEARTBEAT * 1000)}ms
    sessionTimeout: {int(SESSION * 1000)}ms
    homecomingTimeout: {int(HOMECOMING * 1000)}ms
""")


def _elsewhere():
    """The value of --coordinator for a worker that does not coordinate."""
    usage = subprocess.run([worker_binary(), "--help"], capture_output=True, text=True).stdout
    values = re.search(r"--coordinator\s.*?\{([^}]*)\}", usage, re.DOTALL).group(1).split(",")
    return next(v.strip() for v in values if v.strip() != "in-process")


class Worker:
    """One process."""

    def __init__(self, fleet, number, state, environment):
        self.number = number
        self.state = state
        fleet.starts += 1
        self.log = fleet.directory / f"worker-{number}.{fleet.starts:03}.log"
        command = [worker_binary(), "--job", str(fleet.job.file), "--worker-id", str(number),
                   "--state-dir", str(state), "--http-address", "127.0.0.1:0",
                   "--log-format", "json"]  # fmt: skip
        if number > 0:
            command += ["--coordinator", fleet.elsewhere]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, **environment), cwd=fleet.directory,
            )  # fmt: skip
        self.started = time.time()
        self._port = None

    def ended(self):
        return self.process.poll() is not None

    def signal(self, number):
        if not self.ended():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def port(self):
        if self._port is None:
            found = re.search(rb'"serving http".*?"port":"?(\d+)', self.log.read_bytes())
            if found:
                self._port = int(found.group(1))
        return self._port

    def page(self):
        """/v1/tasks, or None."""
        body = get(self.port(), "/v1/tasks") if self.port() else None
        return json.loads(body) if body else None

    def is_ready(self):
        return bool(self.port()) and get(self.port(), "/readyz") is not None

    def metric(self, name):
        body = get(self.port(), "/metrics")
        found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", body or "", re.MULTILINE)
        if not found:
            raise Failure(f"worker {self.number} has no metric {name}")
        return sum(float(value) for value in found)

    def last_lines(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-4:])


class Fleet:
    def __init__(self, directory, job):
        self.directory = directory
        self.job = job
        self.elsewhere = _elsewhere()
        self.workers = {}
        self.starts = 0
        self.deaths = {}  # worker -> (when it was killed first since all was well, its tasks then)
        self.owners = {}  # task -> worker, when all was well last
        self.generation = 0
        self.replayed = self.allowed = 0

    def state_of(self, number):
        return self.directory / f"state-{number}"

    def start(self, number, **environment):
        self.workers[number] = Worker(self, number, self.state_of(number), environment)

    def start_all(self):
        for number in range(self.job.workers):
            self.start(number)

    def kill(self, number):
        self.note_death(number)
        self.workers[number].kill()

    def note_death(self, number):
        tasks = sorted(t for t, owner in self.owners.items() if owner == number)
        self.deaths.setdefault(number, (time.time(), tasks))

    def stop(self, number):
        """As a supervisor does it; it has to say goodbye properly."""
        worker = self.workers.pop(number)
        worker.signal(signal.SIGTERM)
        try:
            code = worker.process.wait(40)
        except subprocess.TimeoutExpired:
            raise Failure(f"worker {number} does not stop on SIGTERM: {worker.last_lines()}")
        if code != 0:
            raise Failure(f"worker {number} ended with {code} on SIGTERM: {worker.last_lines()}")

    def stop_all(self):
        # The coordinator last, so that the others can hand over to it.
        for number in sorted(self.workers, reverse=True):
            self.stop(number)

    def end(self):
        for worker in self.workers.values():
            worker.kill()

    def wipe_all(self):
        for path in self.directory.glob("state-*"):
            shutil.rmtree(path)
        self.deaths = {}

    def adopt(self, worker):
        """Another process takes a worker's place, with its disk."""
        old = self.workers[worker.number]
        old.kill()
        shutil.rmtree(self.state_of(worker.number), ignore_errors=True)
        worker.kill()
        worker.state.rename(self.state_of(worker.number))
        self.start(worker.number)

    # --- how it goes ----------------------------------------------------------------------------

    def _restart_ended(self):
        for number, worker in list(self.workers.items()):
            if not worker.ended():
                continue
            code = worker.process.returncode
            if code not in EXPECTED_EXITS:
                raise Failure(f"worker {number} ended with {code}: {worker.last_lines()}")
            note(f"  worker {number} ended with {code}; starting it again")
            self.note_death(number)
            time.sleep(0.5)
            self.start(number)

    def _look(self):
        """(owners, generation, positions), if every task runs once, all are ready, and loads are balanced."""
        self._restart_ended()
        owners, positions, generations = {}, {}, set()
        loads = []
        for number, worker in self.workers.items():
            page = worker.page()
            if page is None or not worker.is_ready():
                return self._not_yet(f"worker {number} is not ready")
            running = [t for t in page["tasks"] if t["state"] == "Running"]
            loads.append(len(running))
            generations.add(page["generation"])
            for task in running:
                if task["task"] in owners:
                    return self._not_yet(f"task {task['task']} runs on two workers")
                owners[task["task"]] = number
                positions[task["task"]] = [(i["next"], i["end"]) for i in task["inputs"]]
        if sorted(owners) != list(range(PARTITIONS)):
            return self._not_yet(f"tasks {sorted(owners)} run")
        if len(generations) != 1 or max(loads) - min(loads) > 1:
            return self._not_yet(f"loads {loads} in generations {sorted(generations)}")
        return owners, generations.pop(), positions

    def _not_yet(self, why):
        self.why = why
        return None

    # Longer than the minute in which a worker that was lost while it came back again and again has to prove itself.
    def await_settled(self, seconds=150):
        """All is well again: each task in one place, and the records that were there at that moment are processed."""
        owners, generation, positions = wait_until(seconds, lambda: f"all is well; {self.why}", self._look)
        ends = {task: [max(i) for i in inputs] for task, inputs in positions.items()}

        def caught_up():
            now = self._look()
            if now and all(at >= end for task in ends for (at, _), end in zip(now[2][task], ends[task])):
                return now
            if now:
                self._not_yet("records are not processed")
            return None

        owners, generation, _ = wait_until(seconds, lambda: f"records are processed; {self.why}", caught_up)
        self._check_replays(owners)
        self.owners, self.generation = owners, generation

    def _check_replays(self, owners):
        """Who came home to its own tasks replayed only what was not written back before it died."""
        for number, (when, tasks) in self.deaths.items():
            if number not in self.workers or tasks != sorted(t for t, o in owners.items() if o == number):
                continue
            since = self.job.broker.before_outages(when, FLUSH + SLACK)
            allowed = self.job.broker.count_since(self.job.changelog, tasks, since)
            replayed = int(self.workers[number].metric("coho_restore_records_total"))
            self.replayed += replayed
            self.allowed += allowed
            if replayed > allowed:
                raise Failure(f"worker {number} replayed {replayed} records; since {when - since:.0f} s before it "
                              f"died its changelogs got {allowed}")  # fmt: skip
        self.deaths = {}

    def forget_deaths(self):
        """Tasks moved: who gets one replays all of it."""
        self.deaths = {}

    def check_same_owners(self, before, what):
        if self.owners != before:
            raise Failure(f"{what}: tasks moved from {before} to {self.owners}")
