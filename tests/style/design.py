#!/usr/bin/env python3
"""docs/design.md says where the code and the tests of each rule are: all of it exists.

In the rules' table a name without a slash lies beside the one before it in its cell, or, if it begins with a capital letter,
in that one's text; endings may be left out. Anywhere else in the documents a word in backticks that begins with a folder of ours
is a path."""
import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
RULES = [f"R{i}" for i in range(8)]
FOLDERS = ("charts/", "common/", "crds/", "docs/", "examples/", "hack/", "operator/", "tests/", "worker/")


def files_of(path):
    return [f for ending in ("", ".h", ".cc", ".sh") for f in glob.glob(path + ending)]


def exists(path):
    return bool(files_of(path))


def mentions(path, name):
    return any(re.search(rf"\b{name}\b", open(f).read()) for f in files_of(path) if os.path.isfile(f))


def complaints_of_table(lines):
    found = []
    for number, line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3 or not re.fullmatch(r"R\d", cells[0]):
            continue
        found.append(cells[0])
        for column, cell in zip(("code", "tests"), cells[1:]):
            path, names = "", re.findall(r"`([^`]+)`", cell)
            if not names:
                yield f"docs/design.md:{number}: {cells[0]} names no {column}"
            for name in names:
                if name[0].isupper():
                    if not mentions(path, name):
                        yield f"docs/design.md:{number}: {cells[0]}: {name} does not occur in {path}"
                    continue
                path = name if "/" in name else os.path.join(os.path.dirname(path), name)
                if not exists(path):
                    yield f"docs/design.md:{number}: {cells[0]}: {path} does not exist"
    told = [m[1] for _, line in lines if (m := re.match(r"\*\*(R\d) ", line))]
    if not found == told == RULES:
        yield f"docs/design.md: the rules are {RULES}, its table has {found}, its text {told}"


def complaints_of_text(document, lines):
    for number, line in lines:
        for word in re.findall(r"`([^`\s]+)`", line):
            if word.startswith(FOLDERS) and "<" not in word and not exists(word.rstrip(":")):
                yield f"{document}:{number}: {word} does not exist"


def main():
    os.chdir(ROOT)
    bad = []
    for document in ["README.md"] + sorted(glob.glob("docs/*.md")):
        lines = list(enumerate(open(document).read().splitlines(), 1))
        bad += complaints_of_text(document, [(n, l) for n, l in lines if not l.startswith("| R")])
        if document == "docs/design.md":
            bad += complaints_of_table(lines)
    for complaint in bad:
        print(complaint)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
