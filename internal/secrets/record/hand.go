package record

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// Secret writes down a secret that the test chose, or that another program
// made. It gives it back. Fewer than eight characters are refused: they stand
// everywhere by chance, and could not be looked for. t may be nil.
func Secret(t testing.TB, kind, text string) string {
	if len(text) < 8 {
		panic(fmt.Sprintf("record: the %s %q has fewer than 8 characters and cannot be looked for in logs: take a longer one", kind, text))
	}
	if On() {
		e := Entry{Kind: kind, Text: text}
		if t != nil {
			e.Test = t.Name()
		}
		secret(e)
	}
	return text
}

// Key writes down a key that was not made by identity/newkey.
func Key(key *ecdsa.PrivateKey) {
	if !On() {
		return
	}
	if der, err := x509.MarshalPKCS8PrivateKey(key); err == nil { // else a curve that nobody can store
		secret(Entry{Kind: KeyKind, Raw: der})
	}
}

// Keys writes down, when the test ends, the private keys in the files below a
// folder: what other programs made there.
func Keys(t testing.TB, folder string) {
	t.Helper()
	if !On() {
		return
	}
	t.Cleanup(func() {
		filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			if i, err := d.Info(); err != nil || i.Size() > 64<<10 {
				return nil
			}
			b, _ := os.ReadFile(path)
			for _, e := range KeysIn(b) {
				e.Test = t.Name()
				secret(e)
			}
			return nil
		})
	})
}

// KeysIn finds the private keys in PEM text, of any kind.
func KeysIn(b []byte) (out []Entry) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return out
		}
		der := block.Bytes
		switch block.Type {
		case "EC PRIVATE KEY":
			k, err := x509.ParseECPrivateKey(der)
			if err != nil {
				continue
			}
			if der, err = x509.MarshalPKCS8PrivateKey(k); err != nil {
				continue
			}
		case "PRIVATE KEY", "RSA PRIVATE KEY":
		default:
			continue
		}
		out = append(out, Entry{Kind: KeyKind, Raw: der})
	}
}

// Logger is a logger for what the test does not look at: its records are
// written down, or nothing happens to them. t is nil for one that belongs to
// several tests.
func Logger(t testing.TB) *slog.Logger { return slog.New(Handler(t)) }

// Handler passes records on to the handlers given and writes them down, at
// every level.
func Handler(t testing.TB, to ...slog.Handler) slog.Handler {
	if On() {
		to = append(to, slog.NewTextHandler(Writer(t, "log", nil), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	switch len(to) {
	case 0:
		return slog.DiscardHandler
	case 1:
		return to[0]
	}
	return slog.NewMultiHandler(to...)
}

// Writer passes on what is written to it, to w if there is one, and writes it
// down as the log called name: a program's standard error, the ErrorLog of a server.
func Writer(t testing.TB, name string, w io.Writer) io.Writer {
	switch {
	case !On() && w == nil:
		return io.Discard
	case !On():
		return w
	}
	l := lines{log: newLog(name)}
	if t != nil {
		l.test = t.Name()
	}
	if w == nil {
		return l
	}
	return io.MultiWriter(w, l)
}
