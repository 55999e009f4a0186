package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/provenance"
)

func (p *provenanceRun) build(files []string) error {
	name, err := one(files, "a JSON list of steps")
	if err != nil {
		return err
	}
	sc, err := p.terms()
	if err != nil {
		return err
	}
	raw, err := p.read(name)
	if err != nil {
		return err
	}
	d := provenance.Draft{TrustFramework: sc.TrustFramework()}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&d.Steps); err != nil {
		return fmt.Errorf("%s: not a JSON list of steps: %w", name, err)
	}
	for _, f := range p.include {
		in, err := p.read(f)
		if err != nil {
			return err
		}
		d.Include = append(d.Include, in)
	}
	if _, err := d.Record(); err != nil {
		return err
	}
	return p.print(d)
}

func (p *provenanceRun) signer() (provenance.Signer, error) {
	if p.certificate == "" || p.key == "" {
		return provenance.Signer{}, fmt.Errorf("%w: --certificate and --key are needed: the signing certificate with its issuer, and its key", errUsage)
	}
	chain, err := identity.ReadCertificates(p.certificate)
	if err != nil {
		return provenance.Signer{}, err
	}
	key, err := identity.ReadKey(p.key)
	return provenance.Signer{Key: key, Chain: chain}, err
}

func (p *provenanceRun) sign(files []string) error {
	name, err := one(files, "a draft")
	if err != nil {
		return err
	}
	s, err := p.signer()
	if err != nil {
		return err
	}
	raw, err := p.read(name)
	if err != nil {
		return err
	}
	d, err := provenance.ParseDraft(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r, err := d.Record()
	if err != nil {
		return err
	}
	if err := r.Sign(s); err != nil {
		return err
	}
	return p.print(r)
}

func (p *provenanceRun) merge(files []string) error {
	if len(files) < 2 {
		return fmt.Errorf("%w: name the records to merge", errUsage)
	}
	s, err := p.signer()
	if err != nil {
		return err
	}
	var all []*provenance.Record
	for _, f := range files {
		raw, err := p.read(f)
		if err != nil {
			return err
		}
		var head struct {
			TrustFramework string `json:"ib1:provenance"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return fmt.Errorf("%s: not JSON: %w", f, err)
		}
		r, err := provenance.Parse(head.TrustFramework, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, r)
	}
	r, err := provenance.Merge(all...)
	if err != nil {
		return err
	}
	if err := r.Sign(s); err != nil {
		return err
	}
	return p.print(r)
}

func (p *provenanceRun) print(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
