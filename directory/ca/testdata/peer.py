# Asks the scheme's own Python packages what they make of a certificate: JSON on
# standard input, JSON on standard output.
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ib1.directory import extensions
from ib1.provenance.certificates import CertificatesProviderSelfContainedRecord

q = json.load(sys.stdin)
leaf = x509.load_pem_x509_certificate(q["leaf"].encode())
answer = {
    "Roles": extensions.decode_roles(leaf),
    "Member": extensions.decode_member(leaf),
    "RequireRole": "",
    "Verify": "",
}
if q["role"]:
    try:
        extensions.require_role(q["role"], leaf)
    except Exception as e:
        answer["RequireRole"] = repr(e)

data = b"signed data"
key = serialization.load_pem_private_key(q["key"].encode(), None)
signature = key.sign(data, ec.ECDSA(hashes.SHA256()))
issuer = x509.load_pem_x509_certificate(q["issuer"].encode())
serial, issuer_serial = str(leaf.serial_number), str(issuer.serial_number)
record = {serial: [q["leaf"], issuer_serial], issuer_serial: [q["issuer"]]}
try:
    signer = CertificatesProviderSelfContainedRecord(q["root"].encode()).verify(
        record, serial, q["at"], data, signature
    )
    answer["Signer"] = {k.capitalize(): v for k, v in signer.items()}
except Exception as e:
    answer["Verify"] = repr(e)
json.dump(answer, sys.stdout)
