package consumption

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// line is a recorder with a deadline, as a connection has one.
type line struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (l *line) SetWriteDeadline(t time.Time) error {
	l.deadlines = append(l.deadlines, t)
	return nil
}

// The time in which an answer must be out begins with the check of the token,
// not with the first byte: between them lie two readings and a signature, each
// of which may wait for a slow disk or database.
func TestDeadlineRunsFromTheCheck(t *testing.T) {
	for _, path := range []string{"/datasources", "/datasources/src-main/import?from=2026-03-02"} {
		w := newWorld(t)
		w.store.put(mainIn, monday, 5)
		out := &line{ResponseRecorder: httptest.NewRecorder()}
		atRead := 0
		w.store.before = func(int) error {
			atRead = len(out.deadlines)
			return nil
		}
		w.checked = func() {
			if len(out.deadlines) != 1 || time.Until(out.deadlines[0]) > 55*time.Second {
				t.Errorf("%s: deadlines at the check of the token: %v", path, out.deadlines)
			}
		}
		w.serve(out, httptest.NewRequest("GET", path, nil))
		if out.Code != http.StatusOK || len(out.deadlines) != 1 || strings.Contains(path, "src-main") && atRead != 1 {
			t.Errorf("%s: %d, deadlines %v", path, out.Code, out.deadlines)
		}
	}
}

// What the half-hours are of is signed: electricity cannot be passed on as gas,
// whose amounts in base units could be the same.
func TestRecordNamesTheType(t *testing.T) {
	w := newWorld(t)
	pki := identitytest.New(t)
	signing := pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", w.scheme.Role(scheme.EDP))
	w.real = NewRecorder(w.scheme, "https://relay.example", provenance.Signer{Key: signing.Key, Chain: signing.Chain},
		func(context.Context, string, []uint64) (map[uint64]batch.Hash, error) { return nil, nil })
	w.store.put(mainIn, monday, 4)
	check := func(body []byte) error {
		t.Helper()
		var answer struct {
			Data       []provenance.HalfHour `json:"data"`
			Provenance json.RawMessage       `json:"provenance"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		r, err := provenance.Parse(w.scheme.TrustFramework(), answer.Provenance)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := r.Verify(provenance.Verifier{Roots: pki.SigningCA.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = provenance.CheckConsumption(steps, answer.Data)
		return err
	}
	body := w.get("/datasources/src-main/import?from=2026-03-02&to=2026-03-02T02:00:00Z").Body.Bytes()
	if err := check(body); err != nil {
		t.Fatal(err)
	}
	swapped := regexp.MustCompile(`"value":([0-9]+)([0-9]{3}),"unitCode":"WHR"`).ReplaceAll(body, []byte(`"value":$1.$2,"unitCode":"MTQ"`))
	swapped = regexp.MustCompile(`"value":([0-9]{3}),"unitCode":"WHR"`).ReplaceAll(swapped, []byte(`"value":0.$1,"unitCode":"MTQ"`))
	swapped = bytes.ReplaceAll(swapped, []byte(`"type":"electricity"`), []byte(`"type":"gas"`))
	if err := check(swapped); err == nil || !strings.Contains(err.Error(), "the answer is of gas") {
		t.Errorf("electricity as gas: %v, %s", err, swapped)
	}
}
