package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
)

const provenanceUsage = `perseus-central provenance works on provenance records, offline: it needs no configuration and no relay.

  perseus-central provenance verify  --registry URL --roots FILE [--crl FILE ..] ANSWER     is all of it true to its signatures?
  perseus-central provenance explain --registry URL --roots FILE [--dot] ANSWER             who signed for what, as a tree or for Graphviz
  perseus-central provenance build   --registry URL [--include RECORD ..] STEPS             steps (JSON) and records into a draft
  perseus-central provenance sign    --certificate FILE --key FILE DRAFT                    a draft into a record
  perseus-central provenance merge   --certificate FILE --key FILE RECORD RECORD ..         several records into one

ANSWER is a record, or what a consumption or emissions API answered: then its data is checked against the record too.
FILE of --roots holds the roots of the signing hierarchy; take them from the directory's operator, never from the record.
With --crl (revocation lists, DER or PEM) a signer without a list is refused. "-" stands for standard input.
`

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ", ") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

// provenanceCommand runs one of the commands above.
func provenanceCommand(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, provenanceUsage)
		return errUsage
	}
	p := &provenanceRun{stdin: stdin, stdout: stdout}
	f := flag.NewFlagSet("provenance "+args[0], flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, provenanceUsage); f.PrintDefaults() }
	var do func(files []string) error
	switch args[0] {
	case "verify", "explain":
		f.StringVar(&p.registry, "registry", "", "`URL` of the registry whose trust framework and scheme must hold")
		f.Var(&p.roots, "roots", "PEM `file` with the signing hierarchy's roots")
		f.Var(&p.crls, "crl", "`file` with a revocation list of the signing hierarchy")
		do = p.verify
		if args[0] == "explain" {
			f.BoolVar(&p.dot, "dot", false, "write the DOT language: perseus-central provenance explain --dot .. | dot -Tsvg > record.svg")
			do = p.explain
		}
	case "build":
		f.StringVar(&p.registry, "registry", "", "`URL` of the registry whose trust framework the record belongs to")
		f.Var(&p.include, "include", "`file` with a signed record to include")
		do = p.build
	case "sign", "merge":
		f.StringVar(&p.certificate, "certificate", "", "PEM `file`: the signing certificate, then its issuer")
		f.StringVar(&p.key, "key", "", "PEM `file`: its key")
		if do = p.sign; args[0] == "merge" {
			do = p.merge
		}
	case "help", "-h", "--help":
		fmt.Fprint(stdout, provenanceUsage)
		return nil
	default:
		return fmt.Errorf("%w: provenance %s? Use one of: verify, explain, build, sign, merge", errUsage, args[0])
	}
	if err := f.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return do(f.Args())
}

type provenanceRun struct {
	stdin            io.Reader
	stdout           io.Writer
	registry         string
	roots, crls      texts
	include          texts
	certificate, key string
	dot              bool
}

// read reads a file, or standard input for "-".
func (p *provenanceRun) read(name string) ([]byte, error) {
	var b []byte
	var err error
	if name == "-" {
		b, err = io.ReadAll(p.stdin)
	} else {
		b, err = os.ReadFile(name)
	}
	return bytes.TrimPrefix(b, []byte("\ufeff")), err
}

func one(files []string, what string) (string, error) {
	if len(files) != 1 {
		return "", fmt.Errorf("%w: name one file with %s (- for standard input)", errUsage, what)
	}
	return files[0], nil
}

func (p *provenanceRun) terms() (scheme.Scheme, error) {
	if p.registry == "" {
		return scheme.Scheme{}, fmt.Errorf("%w: --registry is missing: the registry whose terms must hold, such as https://registry.core.sandbox.trust.ib1.org", errUsage)
	}
	s, err := scheme.New(p.registry)
	if err != nil {
		return s, fmt.Errorf("%w: --registry: %w", errUsage, err)
	}
	return s, nil
}

// answer is a record, or the answer of an API with one in it.
type answer struct {
	Data       json.RawMessage `json:"data"`
	Provenance json.RawMessage `json:"provenance"`
}

// steps verifies the signatures of the record in a file.
func (p *provenanceRun) steps(files []string) ([]provenance.VerifiedStep, scheme.Scheme, answer, error) {
	var a answer
	name, err := one(files, "a record or an answer")
	if err != nil {
		return nil, scheme.Scheme{}, a, err
	}
	sc, err := p.terms()
	if err != nil {
		return nil, sc, a, err
	}
	v := provenance.Verifier{NeedCRL: len(p.crls) > 0}
	if len(p.roots) == 0 {
		return nil, sc, a, fmt.Errorf("%w: --roots is missing: without them a record proves nothing", errUsage)
	}
	for i, f := range p.roots {
		cs, err := identity.ReadCertificates(f)
		if err != nil {
			return nil, sc, a, err
		}
		if i == 0 {
			v.Roots = identity.Pool()
		}
		for _, c := range cs {
			v.Roots.AddCert(c)
		}
	}
	for _, f := range p.crls {
		raw, err := p.read(f)
		if err != nil {
			return nil, sc, a, err
		}
		l, err := provenance.ParseCRL(raw)
		if err != nil {
			return nil, sc, a, fmt.Errorf("%s: %w", f, err)
		}
		v.CRLs = append(v.CRLs, l)
	}
	raw, err := p.read(name)
	if err != nil {
		return nil, sc, a, err
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, sc, a, fmt.Errorf("%s: not JSON: %w", name, err)
	}
	if err := provenance.Unambiguous(raw); err != nil {
		return nil, sc, a, fmt.Errorf("%s: %w", name, err)
	}
	if a.Provenance == nil {
		a.Provenance, a.Data = raw, nil
	}
	r, err := provenance.Parse(sc.TrustFramework(), a.Provenance)
	if err != nil {
		return nil, sc, a, fmt.Errorf("%s: %w", name, err)
	}
	steps, err := r.Verify(v)
	return steps, sc, a, err
}

func (p *provenanceRun) explain(files []string) error {
	steps, _, _, err := p.steps(files)
	if err != nil {
		return err
	}
	if p.dot {
		_, err = io.WriteString(p.stdout, provenance.Graphviz(steps))
	} else {
		_, err = io.WriteString(p.stdout, provenance.Tree(steps))
	}
	return err
}

// verify checks all that can be checked, and says it in order.
func (p *provenanceRun) verify(files []string) error {
	steps, sc, a, err := p.steps(files)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "signatures: good (%d steps)\n", len(steps))
	if len(p.crls) == 0 {
		fmt.Fprintln(p.stdout, "revocation: not checked (give --crl)")
	} else {
		fmt.Fprintln(p.stdout, "revocation: no signer was revoked when signing")
	}
	wrong := append(provenance.References(steps), provenance.CheckScheme(steps, sc.URL())...)
	if len(wrong) == 0 {
		fmt.Fprintln(p.stdout, "steps: each rests on steps of the record and is signed by a member with the role for it")
	}
	switch {
	case a.Data == nil:
		fmt.Fprintln(p.stdout, "data: none given; to check it, give the whole answer of the API")
	case bytes.Contains(a.Data, []byte(`"emissions"`)):
		wrong = append(wrong, p.emissions(steps, a.Data))
	default:
		wrong = append(wrong, p.halfHours(steps, a.Data))
	}
	return errors.Join(wrong...)
}

func (p *provenanceRun) emissions(steps []provenance.VerifiedStep, raw json.RawMessage) error {
	var data []provenance.Entry
	if err := json.Unmarshal(raw, &data); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if err := provenance.CheckEmissions(steps, data); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "data: the %d figures are those that were signed\n", len(data))
	roots, err := provenance.EmissionsRoots(steps)
	if err != nil {
		return err
	}
	if len(roots) == 0 {
		fmt.Fprintln(p.stdout, "gateway: no month of half-hours is stated by it")
		return nil
	}
	fmt.Fprintf(p.stdout, "gateway: %s signed the half-hours of %d months itself; who may see them finds the same roots in a consumption record\n", roots[0].Gateway, len(roots))
	for _, st := range roots {
		fmt.Fprintf(p.stdout, "  %s %s of meter %s: %s\n", st.Month, st.Measure, st.Meter, base64.RawURLEncoding.EncodeToString(st.Root[:]))
	}
	return nil
}

func (p *provenanceRun) halfHours(steps []provenance.VerifiedStep, raw json.RawMessage) error {
	var data []provenance.HalfHour
	if err := json.Unmarshal(raw, &data); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	c, err := provenance.CheckConsumption(steps, data)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "data: the %d half-hours are those that %s signed\n", c.Served, c.Provider)
	fmt.Fprintf(p.stdout, "gateway: %s signed %d of them itself, and that it has none for %d others of the time\n", c.Gateway, c.Stated, c.Absent)
	if len(c.Meters) > 1 {
		fmt.Fprintf(p.stdout, "  it calls the meter by %d names (%q): it has lost its store meanwhile, or these are half-hours of several meters\n", len(c.Meters), c.Meters)
	}
	for i, u := range c.Unstated {
		if i == 10 {
			fmt.Fprintf(p.stdout, "  and %d stretches more\n", len(c.Unstated)-i)
			break
		}
		fmt.Fprintf(p.stdout, "  not signed by the gateway in a statement: %s to %s (a month is stated when it is over)\n", u.From.Format("2006-01-02T15:04Z"), u.To.Format("2006-01-02T15:04Z"))
	}
	return nil
}
