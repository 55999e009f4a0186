package dcc

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// What is to be done about a request that failed.
func TestFailed(t *testing.T) {
	for _, c := range []struct {
		err       error
		kind      drivers.Kind
		soon, all bool
		hint      string // a part of it
	}{
		{&webError{status: 400}, drivers.Exception, false, false, ""},
		{&webError{status: 401}, drivers.Exception, false, true, "still valid"},
		{&webError{status: 403}, drivers.Exception, false, false, "consent"},
		{&webError{status: 404}, drivers.Exception, false, false, "does device name"},
		{&webError{status: 408}, drivers.Exception, true, false, ""},
		{&webError{status: 429}, drivers.Exception, true, true, "too many"},
		{&webError{status: 499}, drivers.Exception, false, false, ""},
		{&webError{status: 500}, drivers.Exception, true, false, ""},
		{&webError{status: 503}, drivers.Exception, true, false, ""},
		{unwilling("x"), drivers.Protocol, false, false, ""},
		{errors.New("broken JSON"), drivers.Protocol, true, false, ""},
		{context.DeadlineExceeded, drivers.Timeout, true, true, ""},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, drivers.Refused, true, true, "internet"},
		{&net.DNSError{Err: "no such host"}, drivers.Refused, true, true, "internet"},
	} {
		f := failed("read", c.err)
		if f.Kind != c.kind || f.soon != c.soon || f.all != c.all || !strings.Contains(f.Hint, c.hint) || c.hint == "" && f.Hint != "" {
			t.Errorf("%v: %+v %s", c.err, f, f.Hint)
		}
	}
}
