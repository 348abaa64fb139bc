#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/operations.md quotes as a message of the program is in the program.

Looked at: the first cells of the table under "Troubleshooting", and the quotes in the table under "What a
Hadoop cluster needs". A quote is found when its pieces (between "...") are parts of strings in the
sources, or a string of the sources, its %-places filled in, is at least half of it.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STRINGS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
PLACE = re.compile(r"%[-0-9.*]*(?:ll|z)?[a-z]")


def strings():
    for folder in ("proxy", "service", "channel"):
        for file in (ROOT / folder).glob("*.c"):
            for found in STRINGS.findall(re.sub(r"^\s*#.*$", "", file.read_text(), flags=re.M)):
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found))
                yield text.replace('\\"', '"').replace("\\n", "").replace("`", "")


def quotes(page, heading, cell):
    part = page.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    for line in part.splitlines():
        cells = line.strip().strip("|").split(" | ")
        if line.startswith("| ") and len(cells) == 2 and cells[0].strip() not in ("message", "needed for"):
            for quote in re.findall(r"`([^`]{25,})`", cells[cell]):
                yield quote


def main():
    page = (ROOT / "docs/operations.md").read_text()
    known = list(strings())
    whole = "\n".join(known)
    patterns = [(len(PLACE.sub("", k)), re.compile(".+?".join(re.escape(p) for p in PLACE.split(k))))
                for k in known if "%" in k]
    wrong = count = 0
    for quote in [*quotes(page, "Troubleshooting", 0), *quotes(page, "What a Hadoop cluster needs", 1)]:
        count += 1
        quote = re.sub(r"^(svsm-kms(-service)?|warning): ", "", quote)
        pieces = [p.strip(" .") for p in quote.split("...") if len(p.strip(" .")) >= 12]
        if (pieces and all(p in whole for p in pieces)) or any(2 * n >= len(quote) and p.search(quote) for n, p in patterns):
            continue
        print(f"no such message: {quote}")
        wrong += 1
    print(f"{count} messages")
    return 1 if wrong or not count else 0


sys.exit(main())
