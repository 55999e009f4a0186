// Command zlint lints certificates (PEM, at its input) with zmap/zlint, and
// prints what it finds as JSON: a list for each certificate of {"lint","status",
// "details","source"}. It is a module of its own, since zlint is large and of
// use in one test only.
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

type finding struct {
	Lint, Status, Details, Source string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "zlint:", err)
		os.Exit(1)
	}
}

func run() error {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	all := [][]finding{}
	for {
		var block *pem.Block
		if block, in = pem.Decode(in); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		found := []finding{}
		ran := 0
		for name, r := range zlint.LintCertificate(c).Results {
			if r.Status != lint.NA && r.Status != lint.NE {
				ran++
			}
			if r.Status <= lint.Pass {
				continue
			}
			source := ""
			if l := lint.GlobalRegistry().CertificateLints().ByName(name); l != nil {
				source = string(l.Source)
			}
			found = append(found, finding{name, r.Status.String(), r.Details, source})
		}
		fmt.Fprintln(os.Stderr, "ran", ran, "lints on", c.Subject)
		all = append(all, found)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}
