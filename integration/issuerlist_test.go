package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/issuer.md names tests that are there, and every check and attack of the
// issuer's tables.
func TestIssuerListIsTrue(t *testing.T) {
	text, err := os.ReadFile("../docs/issuer.md")
	if err != nil {
		t.Fatal(err)
	}
	functions, own := map[string]bool{}, map[string]bool{}
	for _, folder := range []string{"../relay/permission", "../relay/account", "../relay/ingest", "../relay/consumption", "../relay/bank", "../relay/openapi", "../cmd/perseus-central", "../uplink", "."} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|check|attack)\w+)\(`).FindAllStringSubmatch(string(b), -1) {
				functions[m[1]] = true
				if folder == "../relay/permission" && (strings.HasPrefix(m[1], "check") || strings.HasPrefix(m[1], "attack")) {
					own[m[1]] = true
				}
			}
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz|check|attack)[A-Z]\\w*)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 40 || len(own) < 20 {
		t.Fatalf("%d tests named, %d checks and attacks found: this test does not look at the right place", len(named), len(own))
	}
	for _, m := range named {
		if !functions[m[1]] {
			t.Errorf("docs/issuer.md names %s, which is not there", m[1])
		}
		delete(own, m[1])
	}
	for name := range own {
		t.Errorf("docs/issuer.md does not say what %s is for", name)
	}
}
