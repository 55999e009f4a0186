// Package registry serves the terms of a trust framework and its scheme, and
// fetches those of a registry elsewhere.
//
// For a sandbox, BuiltIn has all terms that this software speaks: the trust
// framework, the scheme, roles, licences with their permission texts, standards,
// assurance vocabularies, kinds of sources, processes and descriptions of the
// APIs (OpenAPI). They are data: terms/*.ttl, texts/*.txt, api/*.json and
// configs/permission/*.txt. In production, Client
// fetches the same from the official registry, checks texts against the hashes
// in their addresses, and keeps them: a registry that is down is no trouble.
//
// It follows IB1's registry, registry-versioning, registry-process-resources
// and machine-readable-data-licenses 1.0. What is published under an address
// with a version never changes; a test holds the hash of each.
package registry

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

//go:embed terms/*.ttl
var termFiles embed.FS

//go:embed texts/*.txt
var textFiles embed.FS

// What an API takes and gives. A file is named by its label and version, which
// stand in it too, and it leaves open where the API is: the catalogue entry of
// a data service says that (data-catalog-records 1.0).
//
//go:embed api/*.json
var apiFiles embed.FS

// Terms are the resources of a registry and the texts that they point to. They
// do not change once made.
type Terms struct {
	base      string // the registry's address, without a slash at its end
	all       *rdf.Graph
	resources map[string]*rdf.Graph // by URL
	order     []string              // URLs, in the order of the files
	texts     map[string]string     // by URL without the fragment
}

// textPredicates point to texts, whose hash is the fragment of their address.
var textPredicates = map[string]bool{rdf.Expand("ib1:permissionText"): true, rdf.Expand("ib1:licenseTerms"): true, rdf.Expand("ib1:policyText"): true,
	rdf.Expand("dcat:endpointDescription"): true, rdf.Expand("ib1:heartbeatDescription"): true}

// BuiltIn are the sandbox's terms, under the registry of the scheme.
func BuiltIn(sc scheme.Scheme) (*Terms, error) {
	t := &Terms{base: sc.Registry(), texts: map[string]string{}}
	for dir, at := range map[string]string{"texts": sc.URL() + "/policy/", "permission": sc.URL() + "/permission-text/", "api": sc.URL() + "/api/"} {
		var files fs.FS = textFiles
		switch dir {
		case "permission":
			files = configs.PermissionTexts
		case "api":
			files = apiFiles
		}
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			b, err := fs.ReadFile(files, dir+"/"+e.Name())
			if err != nil {
				return nil, err
			}
			name := e.Name()
			if dir == "permission" {
				name = permissionNames[name]
			}
			t.texts[at+name] = string(b)
		}
	}
	entries, err := fs.ReadDir(termFiles, "terms")
	if err != nil {
		return nil, err
	}
	whole := &rdf.Graph{}
	for _, e := range entries {
		b, err := fs.ReadFile(termFiles, "terms/"+e.Name())
		if err != nil {
			return nil, err
		}
		g, err := rdf.ReadTurtle(string(b), t.base+"/", rdf.Limits{})
		if err != nil {
			return nil, fmt.Errorf("registry: terms/%s: %w", e.Name(), err)
		}
		whole.Merge(g)
	}
	return t, t.take(whole)
}

// permissionNames are the names under which the texts of configs/permission
// are published.
var permissionNames = map[string]string{
	"consumption.txt": "energy-consumption-edp-cap@" + scheme.Version + ".txt",
	"combined.txt":    "energy-consumption-emissions-edp-cap-fsp@" + scheme.Version + ".txt",
	"emissions.txt":   "emissions-cap-fsp@" + scheme.Version + ".txt",
}

// take makes the graph the terms', with the hashes of the texts in their
// addresses.
func (t *Terms) take(g *rdf.Graph) error {
	t.all = &rdf.Graph{}
	for _, x := range g.Triples() {
		if textPredicates[x.P.Value] && !strings.Contains(x.O.Value, "#") {
			text, ok := t.texts[x.O.Value]
			if !ok {
				return fmt.Errorf("registry: %s names the text %s, and there is none", x.S.Value, x.O.Value)
			}
			x.O = rdf.Ref(x.O.Value + "#" + Hash(text))
		}
		t.all.Add(x.S, x.P.Value, x.O)
	}
	t.resources = map[string]*rdf.Graph{}
	for _, x := range t.all.Triples() {
		if x.S.Kind == rdf.IRI && t.resources[x.S.Value] == nil {
			t.resources[x.S.Value] = t.all.About(x.S)
			t.order = append(t.order, x.S.Value)
		}
	}
	return nil
}

// Hash is the SHA-256 of a text, as an address has it.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Graph is everything that the terms say.
func (t *Terms) Graph() *rdf.Graph { return t.all }

// URLs lists the resources.
func (t *Terms) URLs() []string { return slices.Clone(t.order) }

// PermissionTexts gives the words of each licence that has some, by the
// licence's URL.
func (t *Terms) PermissionTexts() map[string]string {
	out := map[string]string{}
	for url, g := range t.resources {
		for _, o := range g.Objects(rdf.Ref(url), rdf.Expand("ib1:permissionText")) {
			address, _, _ := strings.Cut(o.Value, "#")
			if text, ok := t.texts[address]; ok {
				out[url] = text
			}
		}
	}
	return out
}

// Requirements are what the standard at a URL demands of a catalogue entry:
// predicates with the values that it must have. ok is false where the terms do
// not know the standard.
func (t *Terms) Requirements(standard string) (demanded map[string][]rdf.Term, ok bool) {
	g := t.resources[standard]
	if g == nil {
		return nil, false
	}
	demanded = map[string][]rdf.Term{}
	for _, node := range g.Objects(rdf.Ref(standard), rdf.Expand("ib1:requiredMetadata")) {
		for _, x := range g.Triples() {
			if x.S == node && x.P.Value != rdf.TypeIRI {
				demanded[x.P.Value] = append(demanded[x.P.Value], x.O)
				ok = true
			}
		}
	}
	return demanded, ok
}
