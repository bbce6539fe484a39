"""Reads the API's document as a stranger's program would: it has to be valid, every reference in it has to
lead somewhere, and every example has to fit its schema. `document.py ADDRESS`; what is wrong goes to stderr."""

import sys

import jsonschema_rs
import schemathesis

schema = schemathesis.openapi.from_url(sys.argv[1])
schema.validate()
document = schema.raw_schema
wrong, seen = [], 0


def whole(part):
    """The part itself, where there is a reference to it."""
    while "$ref" in part:
        found = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def fits(place, rules, example):
    global seen
    seen += 1
    rules = {**rules, "components": document["components"]}
    reader = jsonschema_rs.Draft202012Validator(rules, validate_formats=True)
    wrong.extend(f"{place}: {error.message}" for error in reader.iter_errors(example))


def look(place, part):
    """Every schema with examples beside it, wherever it is."""
    if isinstance(part, dict):
        if "$ref" in part:
            whole(part)
        if "schema" in part:
            examples = [whole(example)["value"] for example in part.get("examples", {}).values()]
            for example in examples + ([part["example"]] if "example" in part else []):
                fits(place, part["schema"], example)
        for key, inner in part.items():
            look(f"{place}/{key}", inner)
    elif isinstance(part, list):
        for number, inner in enumerate(part):
            look(f"{place}/{number}", inner)


look("", document)
ids = [operation["operationId"] for item in document["paths"].values() for method, operation in item.items() if method != "parameters"]
wrong.extend(f"{name} is the id of two operations" for name in set(ids) if ids.count(name) > 1)
for link in document["components"]["links"].values():
    if link["operationId"] not in ids:
        wrong.append(f"a link leads to {link['operationId']}, which is no operation")
if wrong or seen < 30:
    sys.exit("\n".join(wrong or [f"only {seen} examples were found"]))
