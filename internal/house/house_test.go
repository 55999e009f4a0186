// Package house holds the test of the house's own rules: which room may import
// which (design.md, "The house").
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/perseus-edge/perseus-edge/"

// allowed says which rooms a room may import, besides itself, identity (which
// all may use) and energy's, uplink's and relay's own parts.
var allowed = map[string][]string{
	"identity":                       {},
	"identity/identitytest":          {"internal/secrets"},          // for tests alone
	"identity/keystore/keystoretest": {"internal/secrets"},          // for tests alone
	"relay/database/databasetest":    {"relay", "internal/secrets"}, // for tests alone
	"energy":                         {},
	"drivers":                        {"energy"},
	"store":                          {"energy"},
	"uplink":                         {"energy"},
	"agent":                          {"energy", "drivers", "store", "uplink", "configs", "internal/rehearsal"},
	"configs":                        {},
	"packaging":                      {},
	"provenance":                     {"energy", "uplink/month"}, // what an outsider needs to check half-hours against a gateway's statement
	"directory":                      {"configs"},
	"directory/dirtest":              {"directory", "relay/database", "internal/secrets"}, // for tests alone
	"relay":                          {"energy", "uplink/batch", "uplink/grant", "uplink/month", "provenance", "configs"},
	"sim":                            {"energy", "provenance", "drivers", "internal/rehearsal", "agent/config", "agent/scan"}, // its configuration, templates and signs: the simulator plays what the agent would read
	"internal/rehearsal":             {},
	"internal/bench":                 {"*"},
	"internal/chromium":              {},
	"internal/house":                 {},
	"internal/mutate":                {},
	"internal/peers":                 {"internal/ports"}, // for tests alone
	"internal/ports":                 {},                 // for tests alone
	"internal/secrets":               {},                 // for tests alone
	"internal/simulation":            {"*"},
	"integration":                    {"*"},
	"cmd/perseus-agent":              {"agent", "drivers", "energy", "store", "uplink", "configs", "packaging", "internal/rehearsal"},
	"cmd/perseus-central":            {"directory", "relay", "provenance", "uplink/batch", "uplink/grant", "energy", "configs"},
	"cmd/perseus-sim":                {"sim", "internal/rehearsal"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room gives the longest entry of allowed that holds a package.
func room(path string) string {
	best := ""
	for r := range allowed {
		if (path == r || strings.HasPrefix(path, r+"/")) && len(r) > len(best) {
			best = r
		}
	}
	return best
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, p := range list(t, "./...") {
		self := strings.TrimPrefix(p.ImportPath, module)
		from := room(self)
		if from == "" {
			t.Errorf("%s is in no room of the house: see design.md, or add its room here and say why", self)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if !ours || room(to) == from || room(to) == "identity" {
				continue
			}
			ok := false
			for _, a := range allowed[from] {
				ok = ok || a == "*" || to == a || strings.HasPrefix(to, a+"/")
			}
			if !ok {
				t.Errorf("%s imports %s: %s may import only %v", self, to, from, allowed[from])
			}
		}
	}
}

// The gateway's program stays small: no SQL, no relay, no directory.
func TestTheGatewayCarriesNoDatabase(t *testing.T) {
	for _, p := range list(t, "./cmd/perseus-agent") {
		for _, d := range p.Deps {
			for _, bad := range []string{"database/sql", "modernc.org/", "github.com/jackc/", "github.com/pressly/", module + "relay", module + "directory"} {
				if d == bad || strings.HasPrefix(d, strings.TrimSuffix(bad, "/")+"/") {
					t.Errorf("perseus-agent links %s", d)
				}
			}
		}
	}
}

// The parts of the directory know of one another in one direction only: the
// certificate authority of neither database nor HTTP nor members, what the
// directory holds and its rules of no HTTP, and only what serves all knows all.
func TestTheDirectorysPartsKnowTheirPlace(t *testing.T) {
	may := map[string][]string{
		"fault": {}, "notice": {}, "ocsp": {}, "audit": {},
		"form":      {"fault"},
		"ca":        {"fault", "form", "ocsp"},
		"":          {"audit", "ca", "fault", "form", "ocsp"},
		"answer":    {"fault", "rdf"},
		"listing":   {"", "answer", "fault", "form", "rdf", "registry", "sparql"},
		"memberapi": {"", "answer", "audit", "ca", "fault", "form", "listing"},
		"enrolapi":  {"", "answer", "audit", "ca", "fault"},
		"status":    {"", "answer", "ca", "fault", "ocsp"},
		"expiry":    {"", "ca", "form", "notice"},
	}
	web := map[string]bool{"net/http": true, "html/template": true}
	seen := 0
	for _, p := range list(t, "./directory/...") {
		part := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module+"directory"), "/") }
		self := part(p.ImportPath)
		allowed, ok := may[self]
		if !ok {
			continue
		}
		seen++
		for _, imp := range p.Imports {
			if (self == "" || self == "ca" || self == "fault" || self == "form") && (web[imp] || self != "" && imp == "database/sql") {
				t.Errorf("directory/%s imports %s: that is for those who serve, or keep", self, imp)
			}
			if imp != module+"directory" && !strings.HasPrefix(imp, module+"directory/") {
				continue
			}
			known := false
			for _, a := range allowed {
				known = known || part(imp) == a || a != "" && strings.HasPrefix(part(imp), a+"/")
			}
			if !known {
				t.Errorf("directory/%s imports directory/%s: it may know only %q", self, part(imp), allowed)
			}
		}
	}
	if seen != len(may) {
		t.Errorf("only %d of %d parts are there", seen, len(may))
	}
}
