package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

type measures struct {
	ctx   context.Context
	db    *database.DB
	d     *directory.Service
	front *server.Server
	z     sizes
	n     int // of rows that the bare operations have made
}

// rate runs f by workers at once until the span is over, and gives how often a
// second.
func (m *measures) rate(workers int, f func(i int) error) (float64, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	total := 0
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			n := 0
			for ; time.Since(begin) < m.z.span; n++ {
				if err := f(w*1_000_003 + n); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	wg.Wait()
	return float64(total) / time.Since(begin).Seconds(), failed
}

// compare prints a measure beside its baselines.
func (m *measures) compare(what string, workers int, f, crypto, database func(int) error) error {
	ours, err := m.rate(workers, f)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	line := fmt.Sprintf("%-44s %9.0f /s", what, ours)
	for _, b := range []struct {
		name string
		f    func(int) error
	}{{"bare crypto", crypto}, {"bare database", database}} {
		if b.f == nil {
			continue
		}
		bare, err := m.rate(workers, b.f)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", what, b.name, err)
		}
		line += fmt.Sprintf("   %s %9.0f /s (x %.2f)", b.name, bare, ours/bare)
	}
	fmt.Println(line)
	return nil
}

// issue: a certificate for a request, recorded with its entry in the audit log,
// beside checking a request and signing a certificate, and beside inserting such
// a row in a transaction of its own.
func (m *measures) issue() error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	csr, err := identity.NewCSR(key, "bench")
	if err != nil {
		return err
	}
	sample, err := m.d.IssueClient(m.ctx, id(0), csr)
	if err != nil {
		return err
	}
	bare, issuer, err := bareIssuer()
	if err != nil {
		return err
	}
	template := *sample.Leaf
	template.AuthorityKeyId = nil
	crypto := func(int) error {
		pub, err := identity.ParseCSR(csr)
		if err != nil {
			return err
		}
		_, err = x509.CreateCertificate(rand.Reader, &template, issuer, pub, bare)
		return err
	}
	text := string(identity.EncodeCertificates(sample.Leaf))
	var mu sync.Mutex
	row := func(int) error {
		mu.Lock()
		m.n++
		n := m.n
		mu.Unlock()
		return m.db.Write(m.ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(m.ctx, `INSERT INTO directory_certificates (serial, hierarchy, member, application, hosts, not_before, not_after, pem) VALUES ($1, 'client', $2, $2, '', 0, 1, $3)`,
				fmt.Sprintf("2%032d", n), id(n%m.z.members), text)
			return err
		})
	}
	issue := func(i int) error {
		_, err := m.d.IssueClient(m.ctx, id(i%m.z.members), csr)
		return err
	}
	if err := m.compare("certificates issued, one after the other", 1, issue, crypto, row); err != nil {
		return err
	}
	return m.compare("certificates issued, 8 at once", 8, issue, crypto, row)
}

// listing: entries read through the handler, beside reading one row.
func (m *measures) listing() error {
	h := m.front.Handler()
	read := func(path, accept string) func(int) error {
		return func(i int) error {
			r := httptest.NewRequest(http.MethodGet, fmt.Sprintf(path, id(i%m.z.members)), nil)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != http.StatusOK {
				return fmt.Errorf("%d: %s", w.Code, w.Body)
			}
			return nil
		}
	}
	row := func(i int) error {
		var name string
		return m.db.QueryRowContext(m.ctx, `SELECT legal_name FROM directory_members WHERE id = $1`, id(i%m.z.members)).Scan(&name)
	}
	began := time.Now()
	if err := read("/m/%s", "application/json")(0); err != nil { // the listing is read once
		return err
	}
	fmt.Printf("%-44s %9s\n", "listing read from nothing", time.Since(began).Round(time.Millisecond))
	for _, x := range []struct{ what, path, accept string }{
		{"members read, JSON", "/m/%s", "application/json"}, {"members read, Turtle", "/m/%s", "text/turtle"}, {"applications read, JSON-LD", "/a/%s", "application/ld+json"},
	} {
		if err := m.compare(x.what, 1, read(x.path, x.accept), nil, row); err != nil {
			return err
		}
	}
	return nil
}

// status: OCSP answers through the handler, beside one signature and one row.
func (m *measures) status() error {
	h := m.front.Handler()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	request := func(i int) string {
		der, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: number(serial(i % m.z.certificates))}, m.d.Authorities.Client.Issuer, nil)
		if err != nil {
			panic(err) // the issuer is one of ours
		}
		return "/ocsp/" + url.PathEscape(base64.StdEncoding.EncodeToString(der))
	}
	var sum [32]byte
	return m.compare("certificates' status (OCSP)", 1, func(i int) error {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, request(i), nil))
		if w.Code != http.StatusOK || w.Body.Len() < 100 {
			return fmt.Errorf("%d, %d bytes", w.Code, w.Body.Len())
		}
		return nil
	}, func(int) error {
		_, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		return err
	}, func(i int) error {
		var at sql.NullInt64
		return m.db.QueryRowContext(m.ctx, `SELECT revoked_at FROM directory_certificates WHERE serial = $1`, serial(i%m.z.certificates)).Scan(&at)
	})
}

// list: a new revocation list, as after each revocation, beside signing the
// same entries and beside reading them.
func (m *measures) list() error {
	var took, crypto, rows time.Duration
	var size int
	const rounds = 3
	for i := range rounds {
		if err := m.d.Revoke(m.ctx, number(serial(m.z.revoked+i))); err != nil {
			return err
		}
		began := time.Now()
		l, err := m.d.CRL(m.ctx, ca.Client)
		if err != nil {
			return err
		}
		took += time.Since(began)
		size = len(l.DER)

		began = time.Now()
		var entries []x509.RevocationListEntry
		found, err := m.db.QueryContext(m.ctx, `SELECT serial, revoked_at FROM directory_certificates WHERE hierarchy = 'client' AND revoked_at IS NOT NULL AND not_after > $1 ORDER BY revoked_at, serial`, 0)
		if err != nil {
			return err
		}
		for found.Next() {
			var s string
			var at int64
			if err := found.Scan(&s, &at); err != nil {
				return err
			}
			entries = append(entries, x509.RevocationListEntry{SerialNumber: number(s), RevocationTime: time.Unix(at, 0).UTC()})
		}
		if err := found.Err(); err != nil {
			return err
		}
		rows += time.Since(began)

		key, issuer, err := bareIssuer()
		if err != nil {
			return err
		}
		began = time.Now()
		if _, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: entries}, issuer, key); err != nil {
			return err
		}
		crypto += time.Since(began)
	}
	fmt.Printf("%-44s %9s      bare crypto %s (x %.2f)   bare database %s (x %.2f)\n", fmt.Sprintf("revocation list of %d", m.z.revoked),
		(took / rounds).Round(time.Millisecond), (crypto / rounds).Round(time.Millisecond), float64(took)/float64(crypto), (rows / rounds).Round(time.Millisecond), float64(took)/float64(rows))
	fmt.Printf("%-44s %9d bytes (%.1f an entry)\n", "its size", size, float64(size)/float64(m.z.revoked))
	return nil
}

func bareIssuer() (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bare"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(der)
	return key, c, err
}

func number(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 10)
	return n
}
