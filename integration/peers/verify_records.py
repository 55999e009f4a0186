# Verifies provenance records with the scheme's own package and the signing root
# alone: for provenance_test.go. Reads one JSON request, writes one JSON answer.
import json
import sys

from ib1.provenance import Record
from ib1.provenance.certificates import CertificatesProviderSelfContainedRecord

request = json.load(sys.stdin)
root = CertificatesProviderSelfContainedRecord(open(request["root"], "rb").read())
answers = []
for wanted in request["records"]:
    try:
        record = Record(request["framework"], wanted["record"])
        record.verify(root)
        found = record.find_step(wanted["find"])
        answers.append({"steps": record.decoded(), "found": found})
    except Exception as e:
        answers.append({"error": type(e).__name__ + ": " + str(e)})
json.dump(answers, sys.stdout)
