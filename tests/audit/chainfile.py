# SPDX-License-Identifier: Apache-2.0
"""The format of an audit chain's file (docs/audit.md), written a second time: to look inside, and to forge."""
import hashlib
import struct

HEADER = 80
TYPES = {1: "START", 2: "DECISION", 3: "CONTROL", 4: "CHECKPOINT", 5: "GAP", 6: "STOP"}


class Frame:
    def __init__(self, entry, digest, mac):
        self.entry, self.hash, self.mac = entry, digest, mac

    @property
    def seq(self):
        return struct.unpack_from("<Q", self.entry)[0]

    @property
    def type(self):
        return TYPES[self.entry[16]]

    @property
    def status(self):
        return self.entry[17]

    @property
    def op(self):
        return self.entry[18]

    def texts(self):
        at, out = 22, []
        while at < len(self.entry):
            n = struct.unpack_from("<H", self.entry, at)[0]
            out.append(self.entry[at + 2:at + 2 + n])
            at += 2 + n
        assert len(out) == 6 and at == len(self.entry)
        return dict(zip(("user", "principal", "real", "key", "peer", "detail"), out))

    def bytes(self):
        n = struct.pack("<I", len(self.entry))
        return n + self.entry + self.hash + self.mac + n


class Chain:
    """header and frames of one file."""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        assert data[:8] == b"SVSMAUD1", data[:8]
        self.header, at, self.frames, self.offsets = data[:HEADER], HEADER, [], []
        while at < len(data):
            n = struct.unpack_from("<I", data, at)[0]
            assert struct.unpack_from("<I", data, at + 4 + n + 48)[0] == n, f"frame at {at}"
            e = at + 4
            self.offsets.append(at)
            self.frames.append(Frame(data[e:e + n], data[e + n:e + n + 32], data[e + n + 32:e + n + 48]))
            at = e + n + 52
        self.size = at

    @property
    def store(self):
        return self.header[8:24]

    @property
    def before(self):
        return self.header[32:64]

    def write(self, path):
        with open(path, "wb") as f:
            f.write(self.header + b"".join(x.bytes() for x in self.frames))

    def rehash(self, start=0):
        """What who has no key can do: link everything from frame `start` on anew."""
        h = self.frames[start - 1].hash if start else self.before
        for f in self.frames[start:]:
            h = f.hash = hashlib.sha256(h + f.entry).digest()

    def check(self):
        """By this program's own lights: numbers and hashes, no declared losses."""
        h = self.before
        seq = struct.unpack_from("<Q", self.header, 24)[0]
        for f in self.frames:
            h = hashlib.sha256(h + f.entry).digest()
            seq += 1
            assert f.hash == h and f.seq == seq, f"entry {f.seq}"
