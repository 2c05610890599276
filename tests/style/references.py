#!/usr/bin/env python3
"""What the documents list, the sources have, and the other way round: metrics, flags, start steps, conditions, variables, the scripts'
options. Figures in sentences are those of the sources."""
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def read(path):
    return open(path, errors="replace").read()


def sources(*patterns):
    files = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], text=True)
    return "\n".join(read(f) for f in files.split("\n") if os.path.isfile(f))


def section(document, title):
    return re.search(rf"(?ms)^## {title}$(.*?)(?=^## |\Z)", read(document)).group(1)


def listed(text, pattern):
    """What matches in the first cells of the tables' rows."""
    cells = re.findall(r"(?m)^\| (.*?) \|", text)
    return {found for cell in cells for found in re.findall(pattern, cell)}


def differences(document, what, said, there):
    for name in sorted(said - there):
        yield f"{document}: {what} {name} is not in the sources"
    for name in sorted(there - said):
        yield f"{document}: {what} {name} is missing"


def metrics():
    for document, room, pattern in (
        ("docs/worker.md", "worker", r"coho_[a-z_]+"),
        ("docs/operator.md", "operator", r"(?:coho_operator|controller_runtime|workqueue|rest_client|leader_election)_[a-z_]+"),
    ):
        there = set(re.findall(rf'"({pattern})"', sources(f"{room}/*.cc", f"{room}/*.h")))
        yield from differences(document, "metric", listed(section(document, "Metrics"), rf"`({pattern})(?:\{{[a-z,]+\}})?`"), there)


def flags():
    contract = dict(re.findall(r'(kFlag\w+)\[\] = "(--[a-z-]+)"', read("common/contract/worker_command.h")))
    for document, path in (("docs/worker.md", "worker/flags.cc"), ("docs/operator.md", "operator/options.cc")):
        added = re.findall(r'add_(?:option|flag|version_flag)\(\s*"?([^",]+(?:,![^",]+)?)', read(path)) + re.findall(r'set_version_flag\("([^"]+)', read(path))
        there = {flag.strip("!") for one in added for flag in contract.get(one.strip(), one).split(",")}
        said = listed(section(document, "Flags"), r"`(--[a-z-]+)") - {"--help"}
        yield from differences(document, "flag", said, {f for f in there if f.startswith("--")})


def start_steps():
    there = set()
    for first, second in re.findall(r'(?:\bStep\("([a-z-]+)"|\.name = "([a-z-]+)",\s*\.task)', sources("worker/*.cc")):
        there.add(first or second)
    yield from differences("docs/worker.md", "start step", listed(section("docs/worker.md", "Start"), r"`([a-z-]+)`"), there)


def conditions():
    there = set(re.findall(r'"([A-Z][a-zA-Z]+)"', read("operator/report/conditions.cc"))) - {"True", "False", "Unknown"}
    said = set(re.findall(r"`([A-Z][a-zA-Z]+)`", read("docs/operator.md")))
    yield from differences("docs/operator.md", "condition or reason", said & there, there)


# What scripts and tests tell those that they run; and what is no variable.
TOLD = {"COHO_ROOT", "COHO_LOCK_HOLDER", "COHO_STEP_TIMES", "COHO_STEP_DEPTH", "COHO_CRASH_TEST_DIRECTORY",
        "COHO_CRASH_TEST_SEED", "COHO_MUTANT", "COHO_SOMETIMES"}  # fmt: skip


def variables():
    code = sources("common", "worker", "operator", "tests", ":!tests/style", "examples")
    scripts = sources("hack", "tests", ":!tests/style", ".ci")
    there = set(re.findall(r'"(COHO_[A-Z_]+)"', code)) | set(re.findall(r"\$\{(COHO_[A-Z_]+):?-", scripts))
    there -= TOLD | set(re.findall(r'"(COHO_[A-Z_]+)"', read("common/contract/worker_command.h")))
    said = listed(section("docs/contributing.md", "Environment"), r"`(COHO_[A-Z_]+)`")
    yield from differences("docs/contributing.md", "variable", said, {v for v in there if not v.endswith("_")})


def scripts():
    named = set(re.search(r"scripts for people: `([^`]+)`", read("README.md")).group(1).split())
    there = {f for f in os.listdir("hack") if os.path.isfile(f"hack/{f}") and os.access(f"hack/{f}", os.X_OK)}
    yield from differences("README.md", "script hack/", named, there)
    for name in sorted(there):
        done = subprocess.run([f"hack/{name}", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 or not re.match(r"(?s).*usage: hack/", done.stdout):
            yield f"hack/{name} --help says no usage"
        text = read(f"hack/{name}")
        taken = {o for label in re.findall(r"(?m)^\s*((?:[\w=*'-]+ \| )*--[a-z-]+(?: \| [\w=*'-]+)*)\)", text)
                 for o in re.findall(r"--[a-z-]+", label)} - {"--help"}  # fmt: skip
        said = set(re.findall(r"--[a-z-]+", done.stdout)) - {"--help"}
        for option in sorted(taken - said):
            yield f"hack/{name} --help does not tell {option}"
        rest = text.replace(done.stdout, "")
        for option in sorted(said):
            if option not in rest:
                yield f"hack/{name} --help tells {option}, which the script does not know"


# A figure that a document tells, and where it comes from.
FIGURES = (
    ("docs/worker.md", r"cannot be started for (\d+) s", "worker/worker.cc", r"kProblemGrace = std::chrono::seconds\((\d+)\)"),
    ("docs/worker.md", r"has not gone round for (\d+) s", "worker/admin/admin_server.cc", r"kLivenessBound = std::chrono::seconds\((\d+)\)"),
    ("docs/worker.md", r"not done after (\d+) s is given up", "worker/drain_state.h", r"kDrainMost = std::chrono::seconds\((\d+)\)"),
    ("docs/worker.md", r"for (\d+) s at most", "worker/drain_state.h", r"kDrainMostAfterFailure = std::chrono::seconds\((\d+)\)"),
    ("docs/worker.md", r"grace\s+period of (\d+) s", "operator/manifests/pod_template.cc", r'"terminationGracePeriodSeconds", (\d+)'),
    ("docs/operator.md", r"renew\s+its Lease for (\d+) s", "operator/kube/lease_state.h", r"renew_deadline =\s+std::chrono::seconds\((\d+)\)"),
    ("docs/operator.md", r"did not change for (\d+) s", "operator/kube/lease_state.h", r"duration =\s+std::chrono::seconds\((\d+)\)"),
    ("docs/operator.md", r"reconcile takes more than (\d+) minutes", "operator/operator.cc", r"kLongestReconcile = std::chrono::minutes\((\d+)\)"),
    ("docs/operator.md", r"put right within (\d+) minutes", "operator/reconciler.cc", r"kRepairEvery = std::chrono::minutes\((\d+)\)"),
    ("docs/operator.md", r"made again within (\d+) minutes", "operator/reconciler.cc", r"kRepairEvery = std::chrono::minutes\((\d+)\)"),
    ("docs/operator.md", r"fits on no node, for (\d+) s", "operator/report/worker_state.h", r"kUnschedulableGrace = std::chrono::seconds\((\d+)\)"),
    ("docs/operator.md", r"same event again within (\d+) minutes", "operator/kube/event_series.cc", r"kSeriesEndsAfter = std::chrono::minutes\((\d+)\)"),
    ("docs/operator.md", r"in their text (\d+) in", "operator/kube/event_series.cc", r"kSinglesPerBurst = (\d+)"),
    ("docs/operator.md", r"in their text \d+ in (\d+) minutes", "operator/kube/event_series.cc", r"kBurstLasts = std::chrono::minutes\((\d+)\)"),
    ("docs/operator.md", r"gets (\d+) at once", "operator/kube/event_series.h", r"bucket\{1\.0 / \d+, (\d+)\}"),
    ("docs/operator.md", r"at once, then one every (\d+) s", "operator/kube/event_series.h", r"bucket\{1\.0 / (\d+), \d+\}"),
    ("docs/operator.md", r"read again every (\d+) s", "operator/kafka_secrets.cc", r"kReadAgainAfter = std::chrono::seconds\((\d+)\)"),
)  # fmt: skip


def figures():
    for document, sentence, path, constant in FIGURES:
        said, there = re.findall(sentence, read(document)), re.findall(constant, read(path))
        if len(said) != 1 or said != there:
            yield f"{document}: \"{sentence}\" is {said}, {path} has {there}"


def main():
    os.chdir(ROOT)
    found = [c for check in (metrics, flags, start_steps, conditions, variables, scripts, figures) for c in check()]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
