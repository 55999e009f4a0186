package bank_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/emissions"
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

// The time in which an answer must be out runs from the check of the token: the
// months are read and signed after it.
func TestDeadlineRunsFromTheCheck(t *testing.T) {
	w := newWorld(t)
	out := &line{ResponseRecorder: httptest.NewRecorder()}
	seen := -1
	w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
		seen = len(out.deadlines)
		return w.complete(m, k)
	}
	r := httptest.NewRequest("GET", "/emissions?from=2026-01-01", nil)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{w.peer.Chain}}
	w.mux.ServeHTTP(out, r)
	if out.Code != http.StatusOK || seen != 1 || len(out.deadlines) != 1 || time.Until(out.deadlines[0]) > 55*time.Second {
		t.Errorf("%d, %d deadlines when the months were read, in all %v: %s", out.Code, seen, out.deadlines, out.Body)
	}
}
