# Reads pairs of documents with rdflib, which shares nothing with our writers,
# and says for each list whether all its documents hold the same triples.
# Input: [[{"format": "turtle"|"json-ld"|"xml"|"nt", "text": ".."}, ..], ..]
# Output: [{"triples": n, "same": true|false, "error": ".."}, ..]
import json
import logging
import sys

import rdflib
from rdflib.compare import isomorphic

logging.disable(logging.CRITICAL)
rdflib.NORMALIZE_LITERALS = False
out = []
for documents in json.load(sys.stdin):
    try:
        graphs = [rdflib.Graph().parse(data=d["text"], format=d["format"]) for d in documents]
        first = graphs[0]
        out.append({"triples": len(first), "same": all(isomorphic(first, g) for g in graphs[1:])})
    except Exception as e:
        out.append({"triples": 0, "same": False, "error": f"{type(e).__name__}: {e}"})
json.dump(out, sys.stdout)
