#!/usr/bin/env python3
"""A folder includes only what its CMakeLists.txt declares: its sources DEPS and PRIVATE_DEPS, its headers DEPS."""
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
KEYWORDS = ("SOURCES", "DEPS", "PRIVATE_DEPS")


def libraries(files):
    """name -> (folder, {keyword: words})"""
    found = {}
    for path in files:
        if os.path.basename(path) != "CMakeLists.txt" or path.startswith("tests/"):
            continue
        text = re.sub(r"#.*", "", open(path).read())
        for name, rest in re.findall(r"coho_library\((\w+)([^)]*)\)", text):
            words, keyword = {k: [] for k in KEYWORDS}, None
            for word in rest.split():
                if word in KEYWORDS:
                    keyword = word
                elif keyword:
                    words[keyword].append(word)
            found[name] = (os.path.dirname(path), words)
    return found


def complaints(files):
    found = libraries(files)
    library_of = {folder: name for name, (folder, _) in found.items()}
    for name, (folder, words) in sorted(found.items()):
        for path in sorted(files):
            if os.path.dirname(path) != folder or not path.endswith((".h", ".cc")):
                continue
            allowed = set(words["DEPS"])
            if path.endswith(".cc"):
                allowed |= set(words["PRIVATE_DEPS"])
            for other in re.findall(r'^#include "((?:common|worker|operator)(?:/[^"/]+)*)/[^"/]+"', open(path).read(), re.M):
                if other != folder and library_of.get(other) not in allowed:
                    kind = "DEPS" if path.endswith(".h") else "DEPS or PRIVATE_DEPS"
                    yield f"{path} includes from {other}/, which {kind} of {name} in {folder}/CMakeLists.txt do not name"


def main():
    os.chdir(ROOT)
    files = [f for f in subprocess.check_output(["git", "ls-files"], text=True).split() if os.path.exists(f)]
    bad = sorted(set(complaints(files)))
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
