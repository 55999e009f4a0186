# Drives the scheme's reference implementation (ib1-provenance) for peer_test.go.
# Reads one JSON request from standard input, writes one JSON answer.
import json
import random
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from ib1.provenance import Record
from ib1.provenance.certificates import CertificatesProviderSelfContainedRecord
from ib1.provenance.signing import SignerInMemory

request = json.load(sys.stdin)
framework = request["framework"]
provider = CertificatesProviderSelfContainedRecord(request["root"].encode())


def verify(record):
    try:
        r = Record(framework, record)
        r.verify(provider)
        return {"steps": r.decoded()}
    except Exception as e:
        return {"error": type(e).__name__ + ": " + str(e)}


def signers():
    out = []
    for s in request["signers"]:
        key = serialization.load_pem_private_key(s["key"].encode(), None)
        out.append(SignerInMemory(provider, x509.load_pem_x509_certificates(s["chain"].encode()), key))
    return out


def generate(rng, all_signers, depth):
    record = Record(framework)
    ids = []
    for _ in range(rng.randint(0, 2) if depth > 0 else 0):
        record.add_record(generate(rng, all_signers, depth - 1))
    for _ in range(rng.randint(1, 4)):
        kind = rng.choice(["permission", "origin", "transfer", "receipt", "process"])
        step = {
            "type": kind,
            "scheme": "https://registry.example/scheme/perseus",
            "note": "".join(rng.choice("aé€\"\\<&>\u2028😀. %") for _ in range(rng.randint(0, 12))),
            "number": rng.choice([0, 1.5, 12345678901234567890, -3]),
        }
        if kind == "transfer":
            step["of"] = rng.choice(ids) if ids else "none"
        if rng.random() < 0.5:
            step["timestamp"] = "2026-03-12T10:00:00Z"
        ids.append(record.add_step(step))
    record = record.sign(rng.choice(all_signers))
    if rng.random() < 0.4:
        record.add_step({"type": "receipt", "transfer": rng.choice(ids)})
        record = record.sign(rng.choice(all_signers))
    return record


if request["do"] == "verify":
    answer = [verify(r) for r in request["records"]]
else:
    rng, all_signers = random.Random(request["seed"]), signers()
    answer = [generate(rng, all_signers, 3).encoded() for _ in range(request["count"])]
json.dump(answer, sys.stdout)
