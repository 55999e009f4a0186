package dcc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// The bounds of one request.
const (
	webTimeout = time.Minute
	maxAnswer  = 16 << 20 // 90 days of half-hours are 300 kB
	maxRetry   = 6 * time.Hour
)

// checkWeb says what is wrong with the address of a web API, or nil.
func checkWeb(example string) func(string) error {
	return func(s string) error {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Hostname() == "":
			return fmt.Errorf("url %q: write %s", s, example)
		case u.User != nil:
			return fmt.Errorf("url %s: give user and password by their own keys, so that they are not logged with the url", u.Redacted())
		case u.Scheme == "https", u.Scheme == "http" && local(u.Hostname()):
			return nil
		}
		return fmt.Errorf("url %s: use https://: the key that goes with each request must not be read on the way", u.Redacted())
	}
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webError is an answer that is no success.
type webError struct {
	status int
	words  string
	after  time.Duration // that the server asks to wait; 0: it does not say
}

func (e *webError) Error() string {
	s := fmt.Sprintf("the server answers %d %s", e.status, http.StatusText(e.status))
	if e.words != "" {
		s += ": " + e.words
	}
	return s
}

// web asks a web API.
type web struct {
	client *http.Client
	base   string // without a slash at its end
	counts *counts
	now    func() time.Time
}

func newWeb(c Config) web {
	u, _ := url.Parse(c.URLs[0])
	u.RawQuery, u.Fragment = "", ""
	w := web{base: strings.TrimRight(u.String(), "/"), counts: newCounts(len(c.Devices)), now: c.Now}
	client := http.Client{Timeout: webTimeout}
	if c.HTTP != nil {
		client = *c.HTTP
	}
	// Go takes Authorization off a request that is redirected to another host,
	// but not the headers in which these APIs have their keys.
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme || len(via) > 3 { // mutate: one more or less
			return fmt.Errorf("it sends us on to %s, where the key must not go", r.URL.Host)
		}
		return nil
	}
	w.client = &client
	return w
}

func (w web) counted() *counts { return w.counts }

// ask makes a request and returns the whole body of a success.
func (w web) ask(ctx context.Context, method, path string, body io.Reader, headers map[string]string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, w.base+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	sent := len(r.URL.RequestURI()) + int(max(0, r.ContentLength))
	answer, err := w.client.Do(r)
	if err != nil {
		w.counts.answered(sent, 0, 0)
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address: it holds the meter's number
		}
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	w.counts.answered(sent, len(data), answer.StatusCode)
	if err == nil && len(data) > maxAnswer { // mutate: a byte more or less
		err = fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, &webError{answer.StatusCode, wordsOf(data), retryAfter(answer.Header.Get("Retry-After"), w.now())}
	}
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	return data, nil
}

// wordsOf is what the body of a failure says, in the shapes that these APIs use.
func wordsOf(body []byte) string {
	var a struct {
		Message string `json:"message"`
		Error   any    `json:"error"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &a) != nil {
		return ""
	}
	if s, ok := a.Error.(string); ok && a.Message == "" {
		a.Message = s
	}
	if a.Message == "" && len(a.Errors) > 0 {
		a.Message = a.Errors[0].Message
	}
	return clip(a.Message)
}

// retryAfter reads that header: seconds, or a date; 0 where it says nothing.
func retryAfter(s string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.Atoi(s); err == nil && n > 0 { // mutate: 0 is 0 either way
		d = min(time.Duration(n), maxRetry/time.Second) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	}
	return max(0, min(d, maxRetry))
}

// failure is a request that failed, as the feed must take it.
type failure struct {
	*drivers.Error
	soon bool          // another attempt may succeed: the server is busy or down
	all  bool          // no other request would fare better
	wait time.Duration // that the server asks for
}

// failed sorts an error of a request.
func failed(op string, err error) *failure {
	f := &failure{Error: &drivers.Error{Kind: drivers.Protocol, Op: op, Err: err}}
	var e *webError
	var n net.Error
	switch {
	case refused(err):
	case errors.As(err, &e):
		f.wait = e.after
		f.Kind = drivers.Exception
		switch {
		case e.status == http.StatusTooManyRequests:
			f.soon, f.all = true, true
			f.Hint = "too many requests: it waits by itself; is the key used elsewhere as well?"
		case e.status >= 500 || e.status == http.StatusRequestTimeout:
			f.soon = true
		case e.status == http.StatusUnauthorized:
			f.all = true
			f.Hint = "is the key in token_file (or user and password_file) right, and still valid?"
		case e.status == http.StatusForbidden:
			f.Hint = "is the key right, and has the occupant given consent for this meter?"
		case e.status == http.StatusNotFound:
			f.Hint = "does device name the meter as the feed does, and does it have this measure?"
		}
	case errors.As(err, &n) && n.Timeout():
		f.Kind, f.soon, f.all = drivers.Timeout, true, true
	case errors.As(err, new(*net.OpError)), errors.As(err, new(*net.DNSError)):
		f.Kind, f.soon, f.all = drivers.Refused, true, true
		f.Hint = "can the gateway reach the internet?"
	default: // a broken answer
		f.soon = true
	}
	return f
}
