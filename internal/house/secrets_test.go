package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const recorder = module + "internal/secrets/record"

// Every test that can make a secret is linked with the recorder, without which
// `make test` would look for none of that package's in the logs.
func TestEveryTestRecordsItsSecrets(t *testing.T) {
	makes := map[string]bool{}
	for _, p := range list(t, "./...") {
		if slices.Contains(p.Imports, "crypto/rand") && p.ImportPath != recorder {
			makes[p.ImportPath] = true
		}
		if slices.Contains(p.Deps, recorder) && !recorded(p.ImportPath) {
			t.Errorf("%s is linked with %s, which is for tests", p.ImportPath, recorder)
		}
	}
	tests := 0
	for _, p := range list(t, "-test", "-deps", "./...") {
		self, ok := strings.CutSuffix(p.ImportPath, ".test")
		if !ok || !strings.HasPrefix(self, module) {
			continue
		}
		tests++
		made, watched := "", false
		for _, d := range p.Deps {
			d, _, _ = strings.Cut(d, " ")
			watched = watched || d == recorder
			if makes[d] {
				made = d
			}
		}
		if made != "" && !watched {
			t.Errorf("the tests of %s can make secrets (by %s) and do not import %s: let a helper of theirs take its logger from there, or import it for its effect", self, made, recorder)
		}
	}
	if tests < 60 {
		t.Errorf("only %d packages with tests were looked at", tests)
	}
}

// Programs make their keys unseen: what is told of each is set by the recorder alone.
func TestNobodyElseSeesKeys(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.Contains(filepath.ToSlash(path), "internal/secrets/record/") || strings.Contains(filepath.ToSlash(path), "internal/house/") {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "newkey.Seen") {
			t.Errorf("%s: newkey.Seen is for internal/secrets/record alone", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// recorded: packages that exist for tests alone.
func recorded(path string) bool {
	self := strings.TrimPrefix(path, module)
	for _, p := range []string{"internal/secrets", "directory/dirtest", "identity/identitytest", "identity/keystore/keystoretest", "relay/database/databasetest", "internal/peers", "internal/ports", "internal/chromium", "internal/simulation"} {
		if self == p || strings.HasPrefix(self, p+"/") {
			return true
		}
	}
	return false
}

// No test throws a log away, or keeps one to itself: loggers, and the writers
// of servers and programs, come from internal/secrets/record.
func TestNoTestThrowsLogsAway(t *testing.T) {
	root := filepath.Join("..", "..")
	looked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || name == "internal/bench" || name == "internal/secrets" {
				return fs.SkipDir
			}
			return nil
		}
		if name == "internal/simulation/recent.go" { // what it keeps goes to the recorder as well
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") && (!recorded(module+strings.TrimSuffix(name, "/"+d.Name())) || filepath.Ext(name) != ".go") {
			return nil
		}
		looked++
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, at := range thrownAway(f) {
			t.Errorf("%s:%d: what is logged there is in no record: use record.Logger, record.Handler or record.Writer (internal/secrets/record)", name, files.Position(at).Line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 400 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// thrownAway finds slog handlers that do not go through the recorder, and
// io.Discard where it is more than a drain for io.Copy or a gzip.Writer.
func thrownAway(f *ast.File) (out []token.Pos) {
	fine := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || fine[n] {
			return !fine[n]
		}
		switch name(call.Fun) {
		case "record.Handler", "io.Copy", "gzip.NewWriter", "Write":
			for _, a := range call.Args {
				fine[a] = true
			}
		}
		return true
	})
	ast.Inspect(f, func(n ast.Node) bool {
		if n == nil || fine[n] {
			return false
		}
		if s, ok := n.(ast.Expr); ok {
			switch name(s) {
			case "slog.DiscardHandler", "slog.NewTextHandler", "slog.NewJSONHandler", "io.Discard":
				out = append(out, n.Pos())
			}
		}
		return true
	})
	return out
}

// name is that of an identifier, "package.Name" of one of another package.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
	}
	return ""
}

func TestThrownAwayFinds(t *testing.T) {
	for text, want := range map[string]int{
		`slog.New(slog.DiscardHandler)`:                                        1,
		`slog.New(slog.NewTextHandler(&b, nil))`:                               1,
		`log.New(io.Discard, "", 0)`:                                           1,
		`run(args, io.Discard, &log)`:                                          1,
		`f(func() { x = slog.NewJSONHandler(w, nil) })`:                        1,
		`slog.New(record.Handler(t, slog.NewTextHandler(&b, nil)))`:            0,
		`record.Logger(t)`:                                                     0,
		`io.Copy(io.Discard, r)`:                                               0,
		`log.New(record.Writer(t, "x", nil), "", 0)`:                           0,
		`f(slog.New(record.Handler(t, quiet)), slog.New(slog.DiscardHandler))`: 1,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(thrownAway(f)); got != want {
			t.Errorf("%s: %d found, want %d", text, got, want)
		}
	}
}
