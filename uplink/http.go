package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer     = 64 << 10  // bytes of any answer but a set of grants
	maxRetryAfter = time.Hour // no server silences a gateway for longer
)

// answer is a whole answer of the relay or the directory.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is an answer that is not a yes.
type refusal struct {
	status      int
	code        string        // "error" of the body
	description string        // "error_description" of the body
	after       time.Duration // Retry-After; 0 when there was none
}

func (r *refusal) Error() string {
	s := fmt.Sprintf("answered %d", r.status)
	if r.code != "" {
		s += " " + r.code
	}
	if r.description != "" {
		s += ": " + r.description
	}
	return s
}

// do makes one request and reads its whole answer: an answer that is cut off is
// an error, since only a whole one says that something is stored.
func do(ctx context.Context, hc *http.Client, method, url string, header http.Header, body []byte, limit int64) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return &answer{res.StatusCode, res.Header, b}, nil
}

// refused reads the error that an answer carries.
func (a *answer) refused(now time.Time) *refusal {
	r := &refusal{status: a.status, after: retryAfter(a.header.Get("Retry-After"), now)}
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(a.body, &e) == nil {
		r.code, r.description = plain(e.Error, 64), plain(e.Description, 300)
	}
	return r
}

// plain makes a stranger's text fit for a log and a page.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// retryAfter reads the header (RFC 9110, 10.2.3): seconds or a date.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
