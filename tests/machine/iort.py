#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the ACPI table IORT say that PCI is fully coherent (CANWBS).

The kernel gives out a vIOMMU only where no device can get round the cache's
coherency: an SMMU with S2FWB, or a root complex with this flag. QEMU's machine
has neither. The patched table replaces the machine's own through the initramfs
(the kernel's ACPI_TABLE_UPGRADE); for that its OEM revision must be higher.

usage: iort.py CONSOLE_LOG IORT.aml

CONSOLE_LOG holds what dump-iort printed: lines "IORT: <hex>".
Layout: Arm DEN 0049 (IO Remapping Table), header as in ACPI 6.5, 5.2.6.
"""

import re
import struct
import sys

TABLE_LENGTH = 4
TABLE_CHECKSUM = 9
TABLE_OEM_REVISION = 24
TABLE_NODE_COUNT = 36
TABLE_NODE_OFFSET = 40

NODE_LENGTH = 1
NODE_PCI_ROOT_COMPLEX = 2
ROOT_COMPLEX_MEMORY_FLAGS = 16 + 7

# CPM, DACS: the path to memory is coherent, and its attributes are cacheable.
FLAGS_COHERENT = 0x3
FLAG_CANWBS = 0x4


def table_from_log(text):
    digits = re.findall(r"IORT: ((?:[0-9a-f]{2})+)", text)
    table = bytearray(bytes.fromhex("".join(digits)))
    if table[:4] != b"IORT":
        raise ValueError("the log has no IORT")
    (length,) = struct.unpack_from("<I", table, TABLE_LENGTH)
    if length != len(table) or sum(table) % 256:
        raise ValueError("the IORT in the log is damaged")
    return table


def nodes(table):
    """Yields the type and the offset of each node."""
    count, offset = struct.unpack_from("<II", table, TABLE_NODE_COUNT)
    for _ in range(count):
        (length,) = struct.unpack_from("<H", table, offset + NODE_LENGTH)
        yield table[offset], offset
        offset += length


def patch(table):
    changed = 0
    for kind, offset in nodes(table):
        if kind != NODE_PCI_ROOT_COMPLEX:
            continue
        flags = offset + ROOT_COMPLEX_MEMORY_FLAGS
        if table[flags] & FLAGS_COHERENT != FLAGS_COHERENT:
            raise ValueError("a root complex is not coherent at all")
        table[flags] |= FLAG_CANWBS
        changed += 1
    if not changed:
        raise ValueError("the IORT has no PCI root complex")

    (revision,) = struct.unpack_from("<I", table, TABLE_OEM_REVISION)
    struct.pack_into("<I", table, TABLE_OEM_REVISION, revision + 1)
    table[TABLE_CHECKSUM] = 0
    table[TABLE_CHECKSUM] = -sum(table) % 256


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 0 if "--help" in sys.argv[1:] else 1
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        text = log.read()
    try:
        table = table_from_log(text)
        patch(table)
    except (ValueError, IndexError, struct.error) as error:
        print(f"iort.py: {error}", file=sys.stderr)
        return 1
    with open(sys.argv[2], "wb") as output:
        output.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
