# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.json as an object that answers questions, and that is refused when it contradicts itself."""
import json
import os
import re

from jsonschema import Draft202012Validator

from kms import ROOT, expect

METHODS = ("get", "head", "post", "put", "delete", "options", "patch", "trace")


class Document:
    def __init__(self, path=os.path.join(ROOT, "docs", "openapi.json")):
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        self.doc = json.loads(self.text)
        self.paths = self.doc["paths"]

    def follow(self, node):
        while isinstance(node, dict) and "$ref" in node:
            ref = node["$ref"]
            expect(ref.startswith("#/"), f"{ref} leads out of the document")
            node = self.doc
            for part in ref[2:].split("/"):
                expect(part in node, f"{ref} leads nowhere")
                node = node[part]
        return node

    def operation(self, path, method):
        return self.paths.get(path, {}).get(method.lower())

    def operations(self):
        return [(p, m.upper(), o) for p, item in self.paths.items() for m, o in item.items()]

    def response(self, path, method, status):
        op = self.operation(path, method)
        return op and self.follow(op["responses"].get(str(status)))

    def component(self, path, method, status):
        """The shared response that stands there, or None."""
        ref = self.operation(path, method)["responses"][str(status)].get("$ref")
        return ref and ref.rsplit("/", 1)[1]

    def validator(self, schema):
        # References inside a schema start at the document's root.
        return Draft202012Validator({"components": self.doc["components"], **schema})

    # ---- the document by itself

    def check(self):
        expect(re.fullmatch(r"3\.1\.\d+", self.doc["openapi"]), "the version of OpenAPI")
        self.walk(self.doc)
        ids = [o["operationId"] for _, _, o in self.operations()]
        expect(len(ids) == len(set(ids)), "operationIds are not unique")
        schemes = set(self.doc["components"]["securitySchemes"])
        tags = {t["name"] for t in self.doc["tags"]}
        for path, method, op in self.operations():
            where = f"{method} {path}"
            expect(method.lower() in METHODS, f"{where}: no method")
            expect(set(op["tags"]) <= tags and op["summary"], f"{where}: tag or summary")
            declared = {p["name"] for p in map(self.follow, op.get("parameters", [])) if p["in"] == "path"}
            expect(declared == set(re.findall(r"{(\w+)}", path)), f"{where}: parameters of the path")
            for p in map(self.follow, op.get("parameters", [])):
                expect(p["in"] in ("path", "query", "header", "cookie") and "schema" in p, f"{where}: {p['name']}")
                expect(p["in"] != "path" or p["required"], f"{where}: {p['name']} must be required")
            for requirement in op.get("security", self.doc["security"]):
                expect(set(requirement) <= schemes, f"{where}: security")
            expect(("401" in op["responses"]) == bool(op.get("security", self.doc["security"])),
                   f"{where}: 401 belongs to what needs credentials")
            for status, response in op["responses"].items():
                expect(re.fullmatch(r"[1-5]\d\d", status) and self.follow(response)["description"], f"{where}: {status}")

    def walk(self, node, schema=False):
        if isinstance(node, dict):
            self.follow(node)
            for name, child in node.items():
                if name == "schema":
                    Draft202012Validator.check_schema(child)
                self.walk(child)
        elif isinstance(node, list):
            for child in node:
                self.walk(child)

    # ---- what a server answered

    def judge(self, path, method, reply):
        """Raises when the answer is not one of those described."""
        where = f"{method} {path}: {reply.status}"
        response = self.response(path, method, reply.status)
        expect(response is not None, lambda: f"{where} is not documented: {reply}")
        expect(reply.reason.strip(), f"{where} has no reason")
        for name, header in response.get("headers", {}).items():
            header, value = self.follow(header), reply.header(name)
            expect(value is not None or not header.get("required"), f"{where}: no {name}")
            if value is not None:
                self.validate(header["schema"], value, f"{where}: {name}")
        if method == "HEAD" or not reply.body:
            expect(not reply.body, f"{where}: a body")
            return
        content = response.get("content", {})
        kind = reply.header("Content-Type")
        expect(kind in content, lambda: f"{where}: {kind} is none of {list(content)}: {reply}")
        body = reply.json() if "json" in kind else reply.body.decode()
        self.validate(content[kind]["schema"], body, where)

    def validate(self, schema, value, where):
        errors = sorted(self.validator(schema).iter_errors(value), key=lambda e: list(e.path))
        expect(not errors, lambda: f"{where}: {errors[0].message[:300]} in {json.dumps(value)[:600]}")
