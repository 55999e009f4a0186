package record

import (
	"io"
	"runtime"
	"strings"
)

const module = "github.com/perseus-edge/perseus-edge/"

// watched is crypto/rand.Reader with its draws written down.
type watched struct{ io.Reader }

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if e, ok := drawn(); ok && n > 0 {
		e.Raw = b[:n]
		secret(e)
	}
	return n, err
}

// drawn looks up the stack for who asked. What the standard library draws for
// itself (handshakes, signatures) is nobody's token and is not written down.
func drawn() (e Entry, ok bool) {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		name, ours := within(f.Function)
		switch {
		case e.Maker != "":
			if ours && e.For == "" {
				e.For = called(f, name)
			}
			if _, after, found := strings.Cut(name, ".Test"); ours && found {
				e.Test, _, _ = strings.Cut("Test"+after, ".")
			}
		case name == "crypto/rand.Text":
			e.AsText = true
		case strings.HasPrefix(name, "crypto/rand.") || strings.HasPrefix(name, "io.") || strings.HasPrefix(name, "math/big."):
		case !ours && standard(name):
			return e, false
		default:
			e.Maker = called(f, name)
		}
		if !more {
			return e, e.Maker != ""
		}
	}
}

// within gives a function's name within the module, where it is one of ours.
func within(name string) (string, bool) {
	if rest, ok := strings.CutPrefix(name, "main."); ok {
		return own + "." + rest, true
	}
	return strings.CutPrefix(name, module)
}

// standard: the path of a package that is not of the standard library begins
// with the name of a host.
func standard(name string) bool {
	first, _, deep := strings.Cut(name, "/")
	return !deep || !strings.Contains(first, ".")
}

// called names a function: "relay/permission.newSecret",
// "relay/permission.Service.newToken", and "test" for one that stands in a file
// of tests.
func called(f runtime.Frame, name string) string {
	if strings.HasSuffix(f.File, "_test.go") {
		return "test"
	}
	return strings.NewReplacer("(*", "", "(", "", ")", "").Replace(name)
}
