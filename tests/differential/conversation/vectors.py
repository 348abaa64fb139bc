# SPDX-License-Identifier: Apache-2.0
"""Constant key material of the conversation (no secret of anybody)."""

import base64


def b64(data):
    return base64.b64encode(data).decode()


def url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


KEK0 = bytes(range(16))
KEK1 = bytes.fromhex("f0e1d2c3b4a5968778695a4b3c2d1e0f")
IV = bytes.fromhex("00112233445566778899aabbccddeeff")
DEK = bytes.fromhex("fb00ff3e11223344556677889900aabb")
EEK0 = bytes.fromhex("e087dc46687d7cb9224e22741eca3cf6")    # under KEK0
EEK1 = bytes.fromhex("c78c0322ddec4088b9be5829d8f37795")    # the same key under KEK1
KEK192 = bytes(range(24))
EEK192 = bytes.fromhex("3128c828872c881142cd1a29b0a765fc1058b72617b166f9")
KEK256 = bytes(range(32))
EEK256 = bytes.fromhex("4f542d08c24c02150f298a4c0e510a95e2fafa388ca8ee7b1249650782fcb7ce")
EEK256_CARRY = bytes.fromhex("ea93f50553815dee68c5582b0ad1328281ea813ea5df0274024123aa1ae0a25c")
ODD = bytes.fromhex("fbefbefffffffbefbefffffffbefbeff")     # full of + and / in Base64
