# SPDX-License-Identifier: Apache-2.0
"""Small disks of their own, and how to fill them."""
import contextlib
import os
import subprocess

from kms import Skip, fresh_dir


@contextlib.contextmanager
def small_disk(size):
    """A file system of its own, with a data directory in it."""
    if os.geteuid() != 0:
        raise Skip("needs root, to mount a small file system")
    d = fresh_dir("disk")
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", d], capture_output=True, check=False)
    if r.returncode != 0:
        raise Skip("cannot mount: " + r.stderr.decode(errors="replace").strip())
    try:
        yield d
    finally:
        subprocess.run(["umount", "-l", d], check=True)


def fill(d, leave=0):
    """Takes all room but `leave` bytes; the file to remove later."""
    path = os.path.join(d, "ballast")
    with open(path, "ab", buffering=0) as f:
        for n in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    st = os.statvfs(d)
                    if st.f_bavail * st.f_frsize <= leave:
                        return path
                    f.write(b"x" * n)
            except OSError:
                continue
    return path
