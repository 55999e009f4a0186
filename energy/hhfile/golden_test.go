package hhfile

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the .want files anew")

// Each file of testdata, written for this test, comes out as its .want file says.
func TestGolden(t *testing.T) {
	files := fixtures()
	if len(files) < 15 {
		t.Fatalf("only %d files in testdata", len(files))
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var got bytes.Buffer
			f, err := Parse(readFile(t, path), Options{})
			if err != nil {
				fmt.Fprintln(&got, "error:", err)
			} else {
				checkLaws(t, f)
				dump(&got, f)
			}
			if *update {
				if err := os.WriteFile(path+".want", got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := readFile(t, path+".want"); !bytes.Equal(got.Bytes(), want) {
				t.Errorf("got\n%s\nwant\n%s", &got, want)
			}
		})
	}
}

func dump(w *bytes.Buffer, f *File) {
	fmt.Fprintf(w, "%s, label %s\n", f.Layout, f.Label)
	for _, s := range f.Series {
		fmt.Fprintf(w, "%s %s: %d half-hours\n", s.ID, s.Measure, len(s.HalfHours))
		for _, h := range s.HalfHours {
			fmt.Fprintf(w, "  %s %d %s\n", h.Start.Format(time.RFC3339), h.Energy, h.Quality)
		}
	}
	for _, p := range f.Problems {
		fmt.Fprintln(w, p)
	}
}

func fixtures() []string {
	files, _ := filepath.Glob("testdata/*.csv")
	more, _ := filepath.Glob("testdata/*.json")
	flows, _ := filepath.Glob("testdata/*.usr")
	return append(append(files, more...), flows...)
}
