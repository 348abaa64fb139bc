#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pack.py GUEST.elf OUT.igvm: a launch image around a small test guest, as wire/launch.h lays it out.

The guest is an ELF file whose physical addresses lie in the monitor's range. The image has the launch information,
secrets, CPUID and parameter pages, the guest's segments, and a boot vCPU that enters it in long mode with RDI = the
launch information. Not a builder for anything else: the product's is image/.
"""
import struct
import sys
import zlib

BASE = 0x28000000
INFO, SECRETS, CPUID, PARAMS = BASE, BASE + 0x1000, BASE + 0x2000, BASE + 0x3000
CBIT = 1 << 39
NORMAL, T_SECRETS, T_CPUID = 0, 1, 2


def segments(elf):
    """(physical address, bytes) of each loadable segment, and the entry point."""
    assert elf[:6] == b"\x7fELF\x02\x01", "not a 64-bit ELF file"
    entry, phoff = struct.unpack_from("<QQ", elf, 24)
    phentsize, phnum = struct.unpack_from("<HH", elf, 54)
    found = []
    for i in range(phnum):
        p_type, _, off, _, paddr, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", elf, phoff + i * phentsize)
        if p_type == 1 and memsz:
            found.append((paddr, elf[off:off + filesz] + bytes(memsz - filesz)))
    return found, entry


def pages(found):
    out = {}
    for start, data in found:
        for i, byte_page in enumerate(range(start & ~0xFFF, start + len(data), 4096)):
            page = out.setdefault(byte_page, bytearray(4096))
            lo = max(byte_page, start)
            chunk = data[lo - start:byte_page + 4096 - start]
            page[lo - byte_page:lo - byte_page + len(chunk)] = chunk
    return out


def vmsa(entry, cr3):
    a = bytearray(4096)

    def seg(at, selector, attrib, limit=0xFFFFFFFF):
        struct.pack_into("<HHIQ", a, at, selector, attrib, limit, 0)

    for at in (0x00, 0x20, 0x30, 0x40, 0x50):
        seg(at, 0x10, 0xC93)
    seg(0x10, 0x08, 0xA9B)
    seg(0x60, 0, 0, 0)
    seg(0x70, 0, 0x82, 0)
    seg(0x80, 0, 0, 0)
    seg(0x90, 0, 0x8B, 0)
    for at, value in ((0xD0, 0x1D00), (0x148, 0x620), (0x150, cr3 | CBIT), (0x158, 0x80010033), (0x160, 0x400),
                      (0x168, 0xFFFF0FF0), (0x170, 2), (0x178, entry), (0x268, 0x0007040600070406),
                      (0x338, INFO), (0x3B0, 1), (0x3E8, 1)):
        struct.pack_into("<Q", a, at, value)
    struct.pack_into("<I", a, 0x408, 0x1F80)
    struct.pack_into("<HHH", a, 0x40C, 0x5555, 0, 0x37F)
    return bytes(a)


class Image:
    def __init__(self):
        self.headers, self.data, self.fixups = b"", b"", []

    def header(self, kind, body, data=None, offset_at=None):
        if data is not None:
            self.fixups.append((len(self.headers) + 8 + offset_at, len(self.data)))
            self.data += bytes(data)
        self.headers += struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)

    def page(self, gpa, data=None, kind=NORMAL):
        self.header(0x302, struct.pack("<QIIIHH", gpa, 1, 0, 0, kind, 0), data, 12)

    def write(self, path):
        headers = bytearray(self.headers)
        start = 24 + len(headers)
        for at, off in self.fixups:
            struct.pack_into("<I", headers, at, start + off)
        fixed = [0x4D564749, 1, 24, len(headers), start + len(self.data), 0]
        fixed[5] = zlib.crc32(struct.pack("<6I", *fixed) + bytes(headers))
        with open(path, "wb") as f:
            f.write(struct.pack("<6I", *fixed) + headers + self.data)


def main():
    elf = open(sys.argv[1], "rb").read()
    found, entry = segments(elf)
    body = pages(found)
    end = max(body) + 4096
    info = bytearray(4096)
    struct.pack_into("<QII", info, 0, 0x484C4D4B4D535653, 1, 1)
    struct.pack_into("<QQ", info, 16, min(body), end - min(body))
    struct.pack_into("<Q", info, 128, end)
    image = Image()
    image.header(0x1, struct.pack("<IBBHQ", 1, 0, 2, 1, 0))
    image.header(0x101, struct.pack("<QII", 0x30000, 1, 0))
    image.header(0x301, struct.pack("<QII", 4096, 0, 0))
    image.header(0x307, struct.pack("<II", 0, 0))
    image.header(0x30C, struct.pack("<II", 0, 64))
    image.page(INFO, info)
    image.page(SECRETS, kind=T_SECRETS)
    image.page(CPUID, kind=T_CPUID)
    image.header(0x303, struct.pack("<QII", PARAMS, 1, 0))
    for gpa in sorted(body):
        image.page(gpa, body[gpa] if any(body[gpa]) else None)
    # The guest's first page holds its page tables' root: see guest.ld.
    image.header(0x304, struct.pack("<QIIHHI", 0xFFFFFFFFF000, 1, 0, 0, 0, 0), vmsa(entry, min(body)), 12)
    image.write(sys.argv[2])


if __name__ == "__main__":
    main()
