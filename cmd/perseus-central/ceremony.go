package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/identity"
)

// listFlag collects a flag that may be repeated.
type listFlag []string

func (l *listFlag) String() string { return "" }

func (l *listFlag) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// ceremonySign runs on a machine without a network: it needs no configuration
// and no database.
func ceremonySign(f *flag.FlagSet) func(out io.Writer) error {
	var c ca.Ceremony
	var revoke, present listFlag
	f.StringVar(&c.Organisation, "organisation", "", "the trust framework's `name`, in every authority's name")
	f.StringVar(&c.Offline, "offline", "", "`folder` of the roots' keys, on a medium that is taken out afterwards")
	f.StringVar(&c.Requests, "requests", "", "`folder` with the issuers' requests, from ceremony request; none: the lists of revoked issuers alone")
	f.StringVar(&c.Out, "out", "", "`folder` for what goes back: certificates, lists and the protocol")
	f.StringVar(&c.StatusURL, "status-url", "", "`address` of revocation lists, as directory.status_url or directory.url has it")
	f.Var(&revoke, "revoke", "certificate `file` of an issuer to be revoked for good; may be repeated")
	f.Var(&present, "present", "`name` of somebody present, for the protocol; may be repeated")
	return func(out io.Writer) error {
		if c.Offline == "" || c.Out == "" || c.Organisation == "" {
			return fmt.Errorf("%w: give --organisation, --offline and --out", errUsage)
		}
		if c.Requests == "" && len(revoke) == 0 {
			fmt.Fprintln(out, "No --requests: the roots' lists are signed anew, and nothing else.")
		}
		for _, path := range revoke {
			cs, err := identity.ReadCertificates(path)
			if err != nil {
				return err
			}
			c.Revoke = append(c.Revoke, cs[0])
		}
		c.Now = time.Now()
		steps, err := c.Hold()
		if err != nil {
			return err
		}
		machine, err := os.Hostname()
		if err != nil {
			machine = "unknown"
		}
		text := c.Protocol(steps, ca.Minutes{Program: "perseus-central " + version(), Machine: machine, Present: present})
		path := filepath.Join(c.Out, "protocol-"+c.Now.UTC().Format("20060102T150405Z")+".txt")
		if err := identity.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		fmt.Fprint(out, text)
		fmt.Fprintf(out, "\nWritten to %s. Next: take %s out and lock it away; carry %s to the directory's machine and run there\n  perseus-central ceremony install --from %s\n", path, c.Offline, c.Out, c.Out)
		return nil
	}
}

// ceremonyRequest makes the issuers' keys where they will be used.
func ceremonyRequest(f *flag.FlagSet) func(*config, io.Writer) error {
	to := f.String("out", "", "`folder` for the requests, to be carried to the offline machine")
	return func(c *config, out io.Writer) error {
		if *to == "" {
			return fmt.Errorf("%w: give --out FOLDER", errUsage)
		}
		dir, keys := c.path(c.Directory.Authorities), c.issuerKeys()
		made := 0
		for _, h := range ca.Hierarchies {
			key, new, err := ca.EnsureKey(ca.IssuerKey(keys, h), dir)
			if err != nil {
				return fmt.Errorf("%s issuer: %w", h, err)
			}
			if new {
				made++
			}
			if err := ca.RequestIssuer(*to, h, key); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "Made %d issuers' keys (they stay; authorities are in %s) and the requests in %s. Carry those to a machine without a network and run there\n  perseus-central ceremony sign --organisation NAME --offline MEDIUM --requests %s --out FOLDER --status-url %s\n",
			made, dir, *to, *to, c.statusURL())
		return nil
	}
}

func ceremonyInstall(f *flag.FlagSet) func(*config, io.Writer) error {
	from := f.String("from", "", "`folder` that ceremony sign wrote")
	return func(c *config, out io.Writer) error {
		if *from == "" {
			return fmt.Errorf("%w: give --from FOLDER", errUsage)
		}
		written, err := ca.InstallAuthorities(c.path(c.Directory.Authorities), *from, c.issuerKeys())
		if err != nil {
			return err
		}
		if len(written) == 0 {
			fmt.Fprintln(out, "All of it was installed already.")
		}
		for _, p := range written {
			fmt.Fprintln(out, "installed", p)
		}
		fmt.Fprintln(out, "Restart perseus-central serve to use it.")
		return nil
	}
}
