# Answers SPARQL queries with rdflib, which shares nothing with ours.
# Input: {"turtle": "..", "queries": [".."]}; output: for each query
# {"boolean": ..}, {"rows": [{name: [kind, text, ..]}, ..]} or {"error": ".."}.
import json
import logging
import sys

import rdflib

logging.disable(logging.CRITICAL)
rdflib.NORMALIZE_LITERALS = False


def term(x):
    if isinstance(x, rdflib.URIRef):
        return ["iri", str(x)]
    if isinstance(x, rdflib.BNode):
        return ["blank"]
    if x.language:
        return ["lang", str(x), x.language.lower()]
    if x.datatype and str(x.datatype) != "http://www.w3.org/2001/XMLSchema#string":
        return ["typed", str(x), str(x.datatype)]
    return ["text", str(x)]


job = json.load(sys.stdin)
graph = rdflib.Graph().parse(data=job["turtle"], format="turtle")
out = []
for query in job["queries"]:
    try:
        r = graph.query(query)
        if r.type == "ASK":
            out.append({"boolean": bool(r.askAnswer)})
        else:
            # By name, unbound ones left out: rdflib orders the columns of * its own
            # way. It leaves out rows in which nothing is bound.
            out.append({"rows": [{str(v): term(x) for v, x in b.items()} for b in r.bindings]})
    except Exception as e:
        out.append({"error": f"{type(e).__name__}: {e}"})
json.dump(out, sys.stdout)
