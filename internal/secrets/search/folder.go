package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// Report is what came of a search.
type Report struct {
	Secrets     int // different ones
	Logs, Lines int
	Findings    []Finding
	Unknown     []string                  // functions of which nobody has said what they make
	Made        map[string]map[string]int // by package and kind
	Logged      map[string]int            // lines by package
}

// Folder searches the logs in a folder that the package record wrote to for the
// secrets in it.
func Folder(dir string) (*Report, error) {
	r := &Report{Made: map[string]map[string]int{}, Logged: map[string]int{}}
	s := NewSearcher()
	unknown := map[string]bool{}
	err := each(dir, "secrets-*.jsonl", func(e record.Entry) {
		x, ok, err := secretOf(e)
		if err != nil {
			unknown[err.Error()] = true
		}
		if !ok || !s.Add(x) {
			return
		}
		if r.Made[x.Package] == nil {
			r.Made[x.Package] = map[string]int{}
		}
		r.Made[x.Package][x.Kind]++
		r.Secrets++
	})
	if err != nil {
		return nil, err
	}
	r.Unknown = slices.Sorted(maps.Keys(unknown))
	rest := map[string]record.Line{} // of each log, what has no end of line yet
	err = each(dir, "lines-*.jsonl", func(l record.Line) {
		before, seen := rest[l.Log]
		if !seen {
			r.Logs++
		}
		if before.Text != "" && before.Test != l.Test { // the output of several tests
			r.take(s, before)
			before.Text = ""
		}
		l.Text = before.Text + l.Text
		end := strings.LastIndexByte(l.Text, '\n') + 1
		whole := l
		whole.Text, l.Text = l.Text[:end], l.Text[end:]
		rest[l.Log] = l
		r.take(s, whole)
	})
	if err != nil {
		return nil, err
	}
	for _, l := range rest {
		r.take(s, l)
	}
	return r, nil
}

func (r *Report) take(s *Searcher, l record.Line) {
	n := strings.Count(l.Text, "\n")
	if l.Text != "" && !strings.HasSuffix(l.Text, "\n") {
		n++
	}
	r.Lines += n
	r.Logged[l.Package] += n
	r.Findings = append(r.Findings, s.In(l)...)
}

// each reads the objects of every file that fits.
func each[T any](dir, pattern string, f func(T)) error {
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return err
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for d := json.NewDecoder(bytes.NewReader(b)); ; {
			var v T
			if err := d.Decode(&v); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			f(v)
		}
	}
	return nil
}

// Kinds counts the kinds of secrets.
func (r *Report) Kinds() int {
	all := map[string]bool{}
	for _, kinds := range r.Made {
		for k := range kinds {
			all[k] = true
		}
	}
	return len(all)
}

// Print says in one line what was searched, and then each thing that is wrong,
// at most `most` of them. ok: nothing is.
func (r *Report) Print(to io.Writer, floors []Floor, most int) (ok bool) {
	var wrong []string
	for _, f := range r.Findings {
		wrong = append(wrong, fmt.Sprintf("a secret is in a log: %s, made in %s, stands in %s:\n    %s", f.Secret.Kind, place(f.Secret.Package, f.Secret.Test), place(f.Line.Package, f.Line.Test)+" ("+f.Line.Log+")", cut(f.Line.Text, 400)))
	}
	wrong = append(wrong, r.Unknown...)
	wrong = append(wrong, r.below(floors)...)
	said := "none found"
	if len(r.Findings) > 0 {
		said = fmt.Sprintf("%d FOUND", len(r.Findings))
	}
	fmt.Fprintf(to, "secrets: %d secrets of %d kinds, searched in %d lines of %d logs: %s\n", r.Secrets, r.Kinds(), r.Lines, r.Logs, said)
	for i, w := range wrong {
		if i == most {
			fmt.Fprintf(to, "secrets: and %d more\n", len(wrong)-most)
			break
		}
		fmt.Fprintf(to, "secrets: %s\n", w)
	}
	return len(wrong) == 0
}

func place(pkg, test string) string {
	if test == "" {
		return pkg
	}
	return pkg + " " + test
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + " ..."
	}
	return s
}
