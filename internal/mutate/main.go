// Command mutate changes one comparison of a package at a time (< to <=, == to
// !=, and so on) and runs its tests against the changed package: a change that
// no test notices is printed, and the exit status is 1.
//
//	go run ./internal/mutate [-tests PATTERNS] [-files NAMES] [-j N] ./energy [./energy/power ...]
//
// The sources are not touched: the changed file is given to the compiler as an
// overlay. A comparison whose change makes no difference that anybody could see
// bears a comment on its line, "// mutate: " and the reason.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// flipped is the neighbour of each comparison.
var flipped = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR, token.EQL: token.NEQ, token.NEQ: token.EQL,
}

// mutant is one changed comparison.
type mutant struct {
	file   string
	offset int
	from   token.Token
	place  string // file:line:column
	line   string // of the source, as it is
}

func main() {
	jobs := flag.Int("j", 2, "how many run side by side")
	tests := flag.String("tests", "", "packages whose tests must notice, separated by commas; the changed package's own if empty")
	files := flag.String("files", "", "the files to change, separated by commas, such as respread.go; all if empty")
	limit := flag.Duration("limit", 90*time.Second, "how long one run of the tests may take; longer counts as noticed, and is counted apart: on a busy machine it proves nothing")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "mutate: name the packages to change, such as ./energy")
		os.Exit(2)
	}
	survived := 0
	for _, dir := range flag.Args() {
		n, err := mutate(dir, *files, *tests, *jobs, *limit)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			os.Exit(1)
		}
		survived += n
	}
	if survived > 0 {
		os.Exit(1)
	}
}

// mutate tries every mutant of a package and gives how many no test noticed.
func mutate(dir, files, tests string, jobs int, limit time.Duration) (survived int, err error) {
	all, excused, err := mutants(dir, strings.FieldsFunc(files, func(c rune) bool { return c == ',' }))
	if err != nil {
		return 0, err
	}
	run := []string{"./" + filepath.ToSlash(filepath.Clean(dir))}
	if tests != "" {
		run = strings.Split(tests, ",")
	}
	if out, err := test(nil, run, limit); err != nil {
		return 0, fmt.Errorf("the tests fail before anything is changed: %w\n%s", err, out)
	}
	tmp, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	slow := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan mutant)
	for i := range jobs {
		wg.Go(func() {
			for m := range next {
				noticed, late, err := m.try(filepath.Join(tmp, fmt.Sprint(i)), run, limit)
				mu.Lock()
				switch {
				case late:
					slow++
				case err != nil:
					fmt.Printf("%s: cannot be tried: %v\n", m.place, err)
					survived++
				case !noticed:
					fmt.Printf("%s: %s to %s is not noticed: %s\n", m.place, m.from, flipped[m.from], m.line)
					survived++
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range all {
		next <- m
	}
	close(next)
	wg.Wait()
	fmt.Printf("%s: %d comparisons changed, %d noticed (%d of them by running too long), %d not; %d excused with a reason\n", dir, len(all), len(all)-survived, slow, survived, excused)
	return survived, nil
}

// mutants finds the comparisons of a package's sources, or of those of its files
// that are named, but for those excused.
func mutants(dir string, only []string) (all []mutant, excused int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, 0, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || len(only) > 0 && !slices.Contains(only, filepath.Base(file)) {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, 0, err
		}
		lines := strings.Split(string(src), "\n")
		ast.Inspect(tree, func(n ast.Node) bool {
			x, ok := n.(*ast.BinaryExpr)
			if !ok || flipped[x.Op] == 0 || isError(x) {
				return true
			}
			at := set.Position(x.OpPos)
			line := strings.TrimSpace(lines[at.Line-1])
			if strings.Contains(line, "// mutate: ") {
				excused++
				return true
			}
			all = append(all, mutant{file, at.Offset, x.Op, at.String(), line})
			return true
		})
	}
	return all, excused, nil
}

// isError leaves out comparisons with nil: changed, they crash at once or
// change nothing but which error comes first.
func isError(x *ast.BinaryExpr) bool {
	return slices.ContainsFunc([]ast.Expr{x.X, x.Y}, func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return ok && id.Name == "nil"
	})
}

// try runs the tests against the mutant; noticed when they fail, late when they
// do not end in time.
func (m mutant) try(dir string, run []string, limit time.Duration) (noticed, late bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, false, err
	}
	src, err := os.ReadFile(m.file)
	if err != nil {
		return false, false, err
	}
	changed := slices.Concat(src[:m.offset], []byte(flipped[m.from].String()), src[m.offset+len(m.from.String()):])
	copied := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(copied, changed, 0o600); err != nil {
		return false, false, err
	}
	whole, err := filepath.Abs(m.file)
	if err != nil {
		return false, false, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{whole: copied}})
	if err != nil {
		return false, false, err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return false, false, err
	}
	out, err := test([]string{"-overlay", file}, run, limit)
	if bytes.Contains(out, []byte("[build failed]")) {
		return false, false, fmt.Errorf("it does not compile: %s", out)
	}
	return err != nil, errors.Is(err, context.DeadlineExceeded) || bytes.Contains(out, []byte("panic: test timed out")), nil
}

func test(args, run []string, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+time.Minute) // and the time to compile
	defer cancel()
	args = slices.Concat([]string{"test", "-failfast", "-vet=off", "-timeout", limit.String()}, args, run)
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	return out, cmp.Or(ctx.Err(), err)
}
