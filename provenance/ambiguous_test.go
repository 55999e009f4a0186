package provenance_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// A member may sign what he likes, but not a text in which one reader finds
// this and another that; nor may a record be wrapped in such a text.
func TestAmbiguousRecords(t *testing.T) {
	w := newWorld(t)
	at := start.Format(time.RFC3339)
	serial := w.leaves[0].Cert().SerialNumber.String()
	signed := func(step string) []byte {
		list := sign(t, []any{base64.URLEncoding.EncodeToString([]byte(step))}, w.leaves[0].Key, serial, at, false)
		var d doc
		in, _ := w.consumption(t)
		if err := json.Unmarshal(encode(t, in), &d); err != nil {
			t.Fatal(err)
		}
		d.Steps, d.Origins = list, []string{}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const step = `{"id":"i","type":"transfer","timestamp":"2026-03-12T10:00:00Z","of":"x","to":"https://directory.example/a/1"`
	if _, err := parseVerify(signed(step+`}`), w.verifier()); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{`,"to":"https://directory.example/a/2"}`, `,"t\u006f":"https://directory.example/a/2"}`, `,"parameters":{"from":"1","from":"2"}}`, `,"id":"j"}`} {
		if _, err := parseVerify(signed(step+more), w.verifier()); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", more, err)
		}
	}
	good := encode(t, w.emissions(t))
	for _, c := range [][2]string{
		{`{"ib1:provenance":`, `{"origins":[],"ib1:provenance":`},
		{`"certificates":{`, `"certificates":{},"certificates":{`},
		{`"certificates":{"`, `"certificates":{"1":["x"],"1":["y"],"`},
	} {
		if bad := bytes.Replace(good, []byte(c[0]), []byte(c[1]), 1); bytes.Equal(bad, good) {
			t.Fatal(c[0])
		} else if _, err := provenance.Parse(framework, bad); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", c[1], err)
		}
	}
}

// Nobody signs for what has not happened yet.
func TestStepAfterItsSignature(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		at   time.Time
		good bool
	}{{start, true}, {start.Add(provenance.Skew), true}, {start.Add(provenance.Skew + time.Second), false}, {start.AddDate(1, 0, 0), false}} {
		r := provenance.New(framework)
		r.Add(provenance.Permission{At: c.at, Scheme: schemeURL, Account: "a", Expires: start.AddDate(1, 0, 0)})
		if err := r.Sign(w.signer(0)); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, err := range provenance.CheckScheme(w.verify(t, encode(t, r)), schemeURL) {
			found = found || strings.Contains(err.Error(), "after it was signed")
		}
		if found == c.good {
			t.Errorf("at %s: %v", c.at, found)
		}
	}
}
