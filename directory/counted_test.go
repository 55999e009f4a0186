package directory_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
)

// TestEveryChangeIsCounted reads our own source: a function that writes a table
// which the public sees must say ListingChanged, or readers would not learn of
// it.
func TestEveryChangeIsCounted(t *testing.T) {
	writes := regexp.MustCompile(`(?is)(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+directory_(members|member_roles|applications|application_roles|data_services)\b`)
	files := dirtest.Must(filepath.Glob("*.go"))(t)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src := dirtest.Must(os.ReadFile(name))(t)
		f := dirtest.Must(parser.ParseFile(token.NewFileSet(), name, src, 0))(t)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name == "ListingChanged" || fn.Name.Name == "lockMember" {
				continue
			}
			body := string(src[fn.Pos()-f.FileStart : fn.End()-f.FileStart])
			if !writes.MatchString(body) {
				continue
			}
			if seen++; !strings.Contains(body, "ListingChanged(") {
				t.Errorf("%s: %s writes the listing without ListingChanged", name, fn.Name.Name)
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d functions found: has the SQL changed its form?", seen)
	}
}
