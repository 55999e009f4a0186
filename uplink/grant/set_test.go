package grant_test

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	registry = "https://registry.core.sandbox.trust.ib1.org"
	edpRole  = registry + "/scheme/perseus/role/energy-data-provider"
	gateway  = "https://directory.example/g/1"
	relayURL = "https://directory.example/a/relay"
	member   = "https://directory.example/m/1"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func someSet() grant.Set {
	return grant.Set{Gateway: gateway, Issued: now, Grants: []grant.Grant{{
		ID: "q3Jx0TnV5mZ8Rk1wYb7LcA", Gateway: gateway,
		License: registry + "/scheme/perseus/license/energy-consumption-edp-cap/2026-03-12",
		Client:  "https://directory.example/a/bank",
		Covers:  []grant.Cover{{Meter: "main", Measure: energy.Import}},
		From:    now.AddDate(-1, 0, 0), Granted: now.Add(-time.Hour), Expires: now.AddDate(1, 0, 0),
	}, {
		ID: "ended", Gateway: gateway, License: "l", Client: "c", Covers: []grant.Cover{{Meter: "main", Measure: energy.Gas}},
		From: now, Granted: now.Add(-time.Hour), Expires: now.AddDate(1, 0, 0), Revoked: now,
	}}}
}

func TestSignVerify(t *testing.T) {
	pki := identitytest.New(t)
	leaf := pki.Signing(relayURL, "Relay Ltd", member, edpRole)
	for name, s := range map[string]grant.Set{"two": someSet(), "none": {Gateway: gateway, Issued: now, Grants: []grant.Grant{}}} {
		raw, err := grant.Sign(s, leaf.Key, leaf.Chain)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range []string{edpRole, scheme.EDP} {
			got, err := grant.Verify(raw, pki.SigningCA.Pool(), role, now)
			if err != nil || !reflect.DeepEqual(got, s) {
				t.Errorf("%s: got %+v, %v; want %+v", name, got, err, s)
			}
		}
	}
}

func TestVerifyRefusesSigner(t *testing.T) {
	pki := identitytest.New(t)
	good := pki.Signing(relayURL, "Relay Ltd", member, edpRole)
	short := *pki
	short.NotBefore, short.NotAfter = now.AddDate(-1, 0, 0), now.Add(-time.Second)
	for name, c := range map[string]struct {
		leaf *identitytest.Leaf
		pki  *identitytest.PKI
		role string
		want string
	}{
		"another root":       {good, identitytest.New(t), edpRole, "unknown authority"},
		"client certificate": {pki.Client(relayURL, "Relay Ltd", member, edpRole), pki, edpRole, "unknown authority"},
		"another role":       {pki.Signing(relayURL, "Bank", member, registry+"/scheme/perseus/role/financial-service-provider"), pki, edpRole, "does not have the role"},
		"no role":            {pki.Signing(gateway, "Shop", member), pki, scheme.EDP, "does not have the role"},
		"part of a role":     {good, pki, "data-provider", "does not have the role"},
		"no role wanted":     {good, pki, "", "does not have the role"},
		"other registry":     {good, pki, "https://other.example/scheme/perseus/role/energy-data-provider", "does not have the role"},
		"expired":            {short.Signing(relayURL, "Relay Ltd", member, edpRole), pki, edpRole, "expired"},
		"no profile":         {serverSigned(pki), pki, edpRole, ""},
	} {
		raw, err := grant.Sign(someSet(), c.leaf.Key, c.leaf.Chain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := grant.Verify(raw, c.pki.SigningCA.Pool(), c.role, now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ..%s..", name, err, c.want)
		}
	}
	raw, _ := grant.Sign(someSet(), good.Key, good.Chain)
	if _, err := grant.Verify(raw, nil, edpRole, now); err == nil {
		t.Error("verified without a root: that would be the system's")
	}
	if _, err := grant.Verify(raw, pki.SigningCA.Pool(), edpRole, time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("verified before its certificates begin")
	}
}

// serverSigned is a leaf of the wrong hierarchy and profile.
func serverSigned(pki *identitytest.PKI) *identitytest.Leaf { return pki.Server("relay.example") }

func TestEveryByteCounts(t *testing.T) {
	pki := identitytest.New(t)
	leaf := pki.Signing(relayURL, "Relay Ltd", member, edpRole)
	raw, err := grant.Sign(someSet(), leaf.Key, leaf.Chain)
	if err != nil {
		t.Fatal(err)
	}
	want, root := someSet(), pki.SigningCA.Pool()
	for i := 0; i < len(raw); i += 11 { // payload and signature in full below
		c := slices.Clone(raw)
		c[i] ^= 0x01
		// A change in the PEM's or JSON's dress may leave the content alone; the
		// content must be what was signed, or nothing.
		if got, err := grant.Verify(c, root, edpRole, now); err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("byte %d changed (%q to %q): got %+v", i, raw[i], c[i], got)
		}
	}
	// The signed content itself.
	var e map[string]any
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"payload", "signature"} {
		b, err := base64.RawURLEncoding.DecodeString(e[field].(string))
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			c := slices.Clone(b)
			c[i] ^= 0x10
			if _, err := grant.Verify(with(t, e, field, base64.RawURLEncoding.EncodeToString(c)), root, edpRole, now); err == nil {
				t.Errorf("%s: byte %d was changed and it went through", field, i)
			}
		}
	}
}

func with(t *testing.T, e map[string]any, field string, v any) []byte {
	t.Helper()
	c := map[string]any{}
	for k, old := range e {
		c[k] = old
	}
	c[field] = v
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSignRefuses(t *testing.T) {
	pki := identitytest.New(t)
	leaf, other := pki.Signing(relayURL, "R", member, edpRole), pki.Signing(relayURL, "R", member, edpRole)
	for name, spoil := range map[string]func(*grant.Set){
		"no gateway":         func(s *grant.Set) { s.Gateway = "" },
		"other gateway":      func(s *grant.Set) { s.Grants[0].Gateway = "https://directory.example/g/2" },
		"undated":            func(s *grant.Set) { s.Issued = time.Time{} },
		"no id":              func(s *grant.Set) { s.Grants[0].ID = "" },
		"long id":            func(s *grant.Set) { s.Grants[0].ID = strings.Repeat("x", 129) },
		"no licence":         func(s *grant.Set) { s.Grants[0].License = "" },
		"no client":          func(s *grant.Set) { s.Grants[0].Client = "" },
		"no start":           func(s *grant.Set) { s.Grants[0].From = time.Time{} },
		"no end":             func(s *grant.Set) { s.Grants[0].Expires = time.Time{} },
		"live, covers none":  func(s *grant.Set) { s.Grants[0].Covers = nil },
		"covers no meter":    func(s *grant.Set) { s.Grants[0].Covers[0].Meter = "" },
		"covers no measure":  func(s *grant.Set) { s.Grants[0].Covers[0].Measure = 0 },
		"covers generation":  func(s *grant.Set) { s.Grants[0].Covers[0].Measure = energy.Generation },
		"covers too much":    func(s *grant.Set) { s.Grants[0].Covers = make([]grant.Cover, grant.MaxCovers+1) },
		"too many":           func(s *grant.Set) { s.Grants = make([]grant.Grant, grant.MaxGrants+1) },
		"larger than MaxRaw": func(s *grant.Set) { s.Grants = slices.Repeat([]grant.Grant{wide()}, 200) },
	} {
		s := someSet()
		spoil(&s)
		if _, err := grant.Sign(s, leaf.Key, leaf.Chain); err == nil {
			t.Errorf("%s: was signed", name)
		}
	}
	if _, err := grant.Sign(someSet(), other.Key, leaf.Chain); err == nil {
		t.Error("signed with a key that is not the certificate's")
	}
	if _, err := grant.Sign(someSet(), leaf.Key, nil); err == nil {
		t.Error("signed without certificates")
	}
}

func wide() grant.Grant {
	g := someSet().Grants[0]
	g.Covers = nil
	for range 200 {
		g.Covers = append(g.Covers, grant.Cover{Meter: strings.Repeat("m", 100), Measure: energy.Import})
	}
	return g
}

func TestLiveAndAllows(t *testing.T) {
	g := someSet().Grants[0]
	k := energy.Key{Meter: "main", Measure: energy.Import}
	revoked := g
	revoked.Revoked = now.Add(time.Hour) // whatever its date: it is withdrawn
	for name, c := range map[string]struct {
		g     grant.Grant
		now   time.Time
		key   energy.Key
		start time.Time
		want  bool
	}{
		"covered":         {g, now, k, now.Add(-time.Hour), true},
		"from itself":     {g, now, k, g.From, true},
		"before from":     {g, now, k, g.From.Add(-1), false},
		"other meter":     {g, now, energy.Key{Meter: "tenant", Measure: energy.Import}, now.Add(-time.Hour), false},
		"other measure":   {g, now, energy.Key{Meter: "main", Measure: energy.Export}, now.Add(-time.Hour), false},
		"at its end":      {g, g.Expires, k, now, false},
		"starts at end":   {g, now, k, g.Expires, false},
		"not granted yet": {g, g.Granted.Add(-1), k, now.Add(-time.Hour), false},
		"at the grant":    {g, g.Granted, k, now.Add(-2 * time.Hour), true},
		"withdrawn":       {revoked, now, k, now.Add(-time.Hour), false},
	} {
		if got := c.g.Allows(c.now, c.key, c.start); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	pki := identitytest.New(f)
	leaf := pki.Signing(relayURL, "Relay Ltd", member, edpRole)
	raw, err := grant.Sign(someSet(), leaf.Key, leaf.Chain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"payload":"e30","signature":"MAA","certificates":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]}`))
	f.Add([]byte(`{}`))
	want, root := someSet(), pki.SigningCA.Pool()
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := grant.Verify(raw, root, edpRole, now); err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, which nobody signed", got)
		}
	})
}
