# SPDX-License-Identifier: Apache-2.0
"""Requests that Hadoop accepts and that ours refuses on purpose; what they create is not looked at again."""

from exchange import generate, post
from .vectors import EEK0, IV, b64

OPEN = [
    generate("generate 10000", "vector", 10000),
    generate("generate 10001", "vector", 10001),
    post("create with a name twice", "/keys", body=b'{"name":"h-one","name":"h-two"}'),
    post("create with an unknown member twice", "/keys", body=b'{"name":"h-three","x":1,"x":2}'),
    post("create with an attribute twice", "/keys", body=b'{"name":"h-four","attributes":{"a":"1","a":"2"}}'),
    post("roll with the material twice", "/key/vector",
         body=b'{"material":"AAECAwQFBgcICQoLDA0ODw==","material":"AAECAwQFBgcICQoLDA0ODw=="}'),
    post("create with a lone surrogate in the name", "/keys", body=b'{"name":"h\\ud800"}'),
    post("create with a NUL in the name", "/keys", body=b'{"name":"h\\u0000five"}'),
    post("decrypt with the name twice", "/keyversion/vector%400/_eek?eek_op=decrypt",
         body=f'{{"name":"vector","name":"vector","iv":"{b64(IV)}","material":"{b64(EEK0)}"}}'.encode()),
]
