#!/usr/bin/python3
"""Writes cases.json beside each cases.yml named, for tests that read JSON: run by hand when vectors change.

    cases_to_json.py tests/vectors/*/cases.yml tests/vectors/dkim-chasquid/*/cases.yml

A document's zone is kept for TXT only (all that DKIM and ARC ask for): a list of records, or "failure".
"""
import json
import re
import sys

import yaml


def txt_of(entries):
    records, failure = [], False
    for entry in entries or []:
        if isinstance(entry, str):
            failure |= entry in ("TIMEOUT", "SERVFAIL")
        elif "TXT" in entry:
            value = entry["TXT"]
            if value in ("TIMEOUT", "SERVFAIL"):
                failure = True
            else:
                records.append("".join(value) if isinstance(value, list) else str(value))
    return "failure" if failure else records


def document(doc):
    tests = []
    for name, test in doc["tests"].items():
        case = {"name": str(name), "expect": test["expect"]}
        for key in ("file", "at"):
            if key in test:
                case[key] = test[key]
        if "message" in test:
            case["message"] = re.sub("\r?\n", "\r\n", test["message"])
        tests.append(case)
    return {"suite": doc.get("suite", ""), "zone": {k: txt_of(v) for k, v in doc["zonedata"].items()}, "tests": tests}


for path in sys.argv[1:]:
    with open(path, "rb") as source:
        documents = [document(d) for d in yaml.safe_load_all(source) if d and "tests" in d]
    with open(re.sub(r"yml$", "json", path), "w", encoding="utf-8") as out:
        json.dump(documents, out, indent=1, ensure_ascii=False)
        out.write("\n")
