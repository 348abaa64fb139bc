#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Relative links in all *.md point to a file of the tree, and their #anchors to a heading in it."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(```|~~~).*?^\1", re.S | re.M)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(path):
    found = set()
    for line in FENCE.sub("", path.read_text()).splitlines():
        if line.startswith("#"):
            title = re.sub(r"[`*]", "", line.lstrip("#").strip()).lower()
            found.add(re.sub(r" ", "-", re.sub(r"[^\w\- ]", "", title)))
    return found


def main():
    made = subprocess.run(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                          capture_output=True, text=True, check=False)
    names = made.stdout.split() or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.md")
                                    if not p.relative_to(ROOT).parts[0].startswith("build")]
    wrong = count = 0
    for name in sorted(names):
        page = ROOT / name
        if not page.is_file():
            continue
        for link in LINK.findall(FENCE.sub("", page.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            to, _, anchor = link.partition("#")
            target = (page.parent / to).resolve() if to else page
            if not target.is_relative_to(ROOT) or not target.exists():
                print(f"{name}: {link} is not there")
                wrong += 1
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                print(f"{name}: {link}: no such heading")
                wrong += 1
    print(f"{count} links")
    return 1 if wrong or not count else 0


sys.exit(main())
