"""A second broker of the same cluster, for as long as a fault lasts: groups and transactions get another coordinator."""
import json
import re
import signal
import subprocess

from .common import Failure, wait_until

INTERNAL = ("__consumer_offsets", "__transaction_state")


class SecondBroker:
    """It follows the first one's controller, and leads nothing that it is not told to."""

    def __init__(self, first):
        self.first = first
        self.directory = first.directory.parent / "second-broker"
        self.address = f"127.0.0.1:{19094 + first.offset}"
        self._process = None

    def up(self):
        command = self.first.command()
        config = next(a for a in command if a.endswith("server.properties"))
        ours = self.directory / "server.properties"
        command = [str(ours) if a == config else a for a in command]
        if not ours.exists():
            self.directory.mkdir()
            self._write_properties(config, ours)
            self._format(command)
        with open(self.directory / "broker.log", "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # As long as the first one is given on a very busy machine.
        wait_until(180, "the second broker serves", lambda: self._is_dead() or 2 in self._brokers())
        if self._is_dead():
            raise Failure(f"the second broker did not start; its log is {self.directory}/broker.log")

    def _write_properties(self, of_first, ours):
        text = open(of_first).read()
        for name, value in {
            "process.roles": "broker",
            "node.id": "2",
            "listeners": f"HOST://{self.address}",
            "advertised.listeners": f"HOST://{self.address}",
            "log.dirs": str(self.directory / "data"),
        }.items():
            text, found = re.subn(rf"(?m)^{re.escape(name)}=.*$", f"{name}={value}", text)
            if found != 1:
                raise Failure(f"{of_first} names {name} {found} times")
        ours.write_text(text)

    def _format(self, command):
        """As hack/kafka does it, with the first one's cluster."""
        meta = (self.first.directory / "data/meta.properties").read_text()
        cluster = re.search(r"(?m)^cluster\.id=(.*)$", meta).group(1)
        classes = command[command.index("-cp") + 1]
        done = subprocess.run(
            ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classes, "kafka.tools.StorageTool", "format",
             f"--cluster-id={cluster}", "-c", command[-1]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failure(f"the second broker's disk: {done.stdout}{done.stderr}")

    def _is_dead(self):
        return self._process is None or self._process.poll() is not None

    def _brokers(self):
        return {broker["id"] for broker in self.first.metadata()["brokers"]}

    # --- who coordinates --------------------------------------------------------------------------

    def take_over(self):
        """Every group's and every transactional id's coordinator is the second broker afterwards; both have their state."""
        partitions = [{"topic": t, "partition": p, "replicas": [2, 1]} for t, p, _, _ in self._internal_partitions()]
        plan = self.directory / "reassignment.json"
        plan.write_text(json.dumps({"version": 1, "partitions": partitions}))
        self.first.tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
                        "--reassignment-json-file", str(plan), "--execute")  # fmt: skip
        wait_until(60, "both brokers have the coordinators' state",
                   lambda: all(in_sync == {1, 2} for _, _, _, in_sync in self._internal_partitions()))  # fmt: skip
        self.first.tool("org.apache.kafka.tools.LeaderElectionCommand",
                        "--election-type", "PREFERRED", "--path-to-json-file", str(plan))  # fmt: skip
        self.await_leader(2)

    def _internal_partitions(self, told_by=None):
        """(topic, partition, leader, in-sync replicas)"""
        for topic in self.first.metadata(told_by)["topics"]:
            if topic["topic"] in INTERNAL:
                for p in topic["partitions"]:
                    yield topic["topic"], p["partition"], p["leader"], {replica["id"] for replica in p["isrs"]}

    def await_leader(self, broker):
        """Each broker that runs knows it."""
        told_by = [self.first.address] + ([] if self._is_dead() else [self.address])

        def leads_all():
            found = [p for address in told_by for p in self._internal_partitions(address)]
            return {t for t, _, _, _ in found} == set(INTERNAL) and all(leader == broker for _, _, leader, _ in found)

        wait_until(60, f"broker {broker} coordinates everything", leads_all)

    def transactions(self):
        """How much is written down about transactions: more with every commit."""
        return sum(log.stat().st_size for log in (self.directory / "data").glob("__transaction_state-*/*.log"))

    def end(self, number=signal.SIGKILL):
        if not self._is_dead():
            self._process.send_signal(number)
            self._process.wait(60)
