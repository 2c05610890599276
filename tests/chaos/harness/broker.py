"""A broker of one's own, which may be killed; and reading its topics with kcat, a client independent of ours."""
import collections
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

from .common import ROOT, Failure, note
from .second_broker import SecondBroker

Record = collections.namedtuple("Record", "partition offset key value")


def _port_is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def _free_offset():
    # In any order, so that two runs that begin at once do not choose the same.
    for offset in random.sample(range(1000, 9000, 100), 80):
        if all(_port_is_free(19091 + offset + i) for i in range(4)):
            return offset
    raise Failure("no free ports for a broker")


class Broker:
    def __init__(self, directory):
        self.offset = _free_offset()
        self.address = f"127.0.0.1:{19092 + self.offset}"
        self.environment = dict(
            os.environ,
            COHO_RUN_DIR=str(directory),
            COHO_KAFKA_PORT_OFFSET=str(self.offset),
            COHO_KAFKA_POD_ADDRESS="",
            COHO_KAFKA_HEAP="384m",
        )
        self.directory = directory / f"kafka-{self.offset}"
        # (begin, end) of every time that it did not answer.
        self.outages = []
        self.second = SecondBroker(self)

    def _script(self, *arguments, timeout=180):
        done = subprocess.run(
            [ROOT / "hack/kafka", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        if done.returncode != 0:
            raise Failure(f"hack/kafka {' '.join(arguments)}:\n{done.stdout}")
        return done.stdout

    def up(self):
        # It gives up after a minute, which a very busy machine may need.
        for attempt in range(3):
            try:
                self._script("up")
                return
            except Failure:
                if attempt == 2:
                    raise

    def down(self):
        self.second.end()
        self._signal(signal.SIGCONT)
        self._script("down", "--fresh")

    def tool(self, tool, *arguments):
        return self._script("tool", tool, "--bootstrap-server", self.address, *arguments)

    def create_topic(self, topic, partitions):
        self.tool("org.apache.kafka.tools.TopicCommand", "--create", "--topic", topic,
                  "--partitions", str(partitions))  # fmt: skip

    def delete_group(self, group):
        """Its committed offsets, as if they had expired. A group that has none is as good."""
        answer = self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
                           "--delete", "--group", group)  # fmt: skip
        note(f"  group {group}: {answer.strip().splitlines()[-1] if answer.strip() else 'deleted'}")

    def command(self):
        """With which it was started."""
        return pathlib.Path(f"/proc/{self._pid()}/cmdline").read_text().split("\0")[:-1]

    def metadata(self, address=None):
        return json.loads(self._kcat(["kcat", "-L", "-J", "-b", address or self.address, "-m", "30"]))

    # --- faults ---------------------------------------------------------------------------------

    def _pid(self):
        try:
            return int((self.directory / "broker.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _signal(self, number):
        pid = self._pid()
        if pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill_and_restart(self, number, away_seconds):
        begin = time.time()
        self._signal(number)
        time.sleep(away_seconds)
        self.up()
        self.outages.append((begin, time.time()))

    def freeze(self, seconds):
        begin = time.time()
        self._signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._signal(signal.SIGCONT)
        self.outages.append((begin, time.time()))

    def before_outages(self, moment, span):
        """`moment` less `span`, not counting the time in which nothing could be committed."""
        start = moment - span
        for begin, end in reversed(self.outages):
            if end >= start:
                start = min(start, begin - span)
        return start

    # --- reading --------------------------------------------------------------------------------

    def read(self, topic, committed=True):
        """All records of a topic that nobody writes to at the moment; kcat may not find the end of a busy one."""
        level = "committed" if committed else "uncommitted"
        command = ["kcat", "-C", "-q", "-b", self.address, "-t", topic, "-e", "-m", "30",
                   "-o", "beginning", "-f", "%p\t%o\t%k\t%s\n",
                   "-X", f"isolation.level=read_{level}"]  # fmt: skip
        for line in self._kcat(command).decode(errors="replace").split("\n"):
            parts = line.split("\t", 3)
            if len(parts) == 4:
                yield Record(int(parts[0]), int(parts[1]), parts[2], parts[3])

    def count_since(self, topic, partitions, since):
        """How many offsets there are since a time in seconds: those of records, dead ones too, and of transactions' ends."""
        begins = self._offsets(topic, partitions, int(since * 1000))
        ends = self._offsets(topic, partitions, -1)
        return sum(ends[p] - begins[p] for p in partitions if begins[p] >= 0)

    def _offsets(self, topic, partitions, time_ms):
        command = ["kcat", "-Q", "-b", self.address]
        for partition in partitions:
            command += ["-t", f"{topic}:{partition}:{time_ms}"]
        answer = self._kcat(command)
        found = re.findall(rb"\[(\d+)\] offset (-?\d+)", answer)
        offsets = {int(partition): int(offset) for partition, offset in found}
        if set(offsets) != set(partitions):
            raise Failure(f"kcat does not tell the offsets of {topic}: {answer.decode()}")
        return offsets

    def _kcat(self, command):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            raise Failure(f"no answer in 120 s: {' '.join(command)}")
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
        return done.stdout
