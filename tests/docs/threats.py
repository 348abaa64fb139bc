#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The threat model and the tests agree. Prints what does not; exit code 1 if there is something.

Each row `| T-nn | threat | why | shown by |` of docs/threat-model.md names tests as `file: name`, where
the file is in the tree and holds the name (or id), or says "no test". Each id in a test is in the page.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ID = re.compile(r"\bT-\d{2,3}\b")


def rows(text):
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
        if re.fullmatch(r"T-\d{2,3}", cells[0]):
            yield cells


def main():
    wrong = []
    seen = {}
    for cells in rows((ROOT / "docs/threat-model.md").read_text()):
        if len(cells) != 4:
            wrong.append(f"{cells[0]}: {len(cells)} cells instead of 4")
            continue
        if cells[0] in seen:
            wrong.append(f"{cells[0]}: twice")
        seen[cells[0]] = cells
        named = re.findall(r"`(tests/[^`: ]+): ([^`]+)`", cells[2] + " " + cells[3])
        if not named and "no test" not in cells[3]:
            wrong.append(f"{cells[0]}: neither a test nor `no test`")
        for path, name in named:
            file = ROOT / path
            if not file.is_file():
                wrong.append(f"{cells[0]}: {path} is not there")
            elif not re.search(rf"\b{re.escape(name)}\b", file.read_text()):
                wrong.append(f"{cells[0]}: {path} has no {name}")
    if not seen:
        wrong.append("docs/threat-model.md has no threats")
    for file in sorted((ROOT / "tests").rglob("*")):
        if not file.is_file() or file.is_relative_to(ROOT / "tests/docs") or file.suffix in (".json", ".log"):
            continue
        for name in sorted(set(ID.findall(file.read_text(errors="replace")))):
            if name not in seen:
                wrong.append(f"{file.relative_to(ROOT)}: {name} is not in docs/threat-model.md")
    print("\n".join(wrong) or f"{len(seen)} threats")
    return 1 if wrong else 0


sys.exit(main())
