// Package neso asks the National Energy System Operator's carbon intensity API
// for the regional intensity at an outcode. It knows the API's habits (see
// decode.go and window.go) and keeps well below any rate that could disturb it.
//
// Regional values are the last forecast, never metered: they settle within
// about a day of the half-hour. Deciding when a value is final is the caller's
// job.
package neso

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// BaseURL is the public API. It needs no key; its data is CC BY 4.0.
const BaseURL = "https://api.carbonintensity.org.uk"

// Earliest is the first half-hour that the regional API has.
var Earliest = time.Date(2018, 5, 10, 23, 30, 0, 0, time.UTC)

// Config says how to ask.
type Config struct {
	BaseURL   string                                     // "": the public API
	UserAgent string                                     // "": "perseus-edge"
	HTTP      http.RoundTripper                          // nil: http.DefaultTransport
	Interval  time.Duration                              // least time between two requests; 0: one second
	Timeout   time.Duration                              // of one request; 0: 30 s
	Attempts  int                                        // for one window; 0: 5
	Now       func() time.Time                           // nil: time.Now
	Sleep     func(context.Context, time.Duration) error // nil: a timer
	Logger    *slog.Logger                               // nil: slog.Default
}

// Client asks the API, one request at a time. It is safe for concurrent use.
type Client struct {
	c    Config
	base string
	http *http.Client
	turn chan struct{} // holds one token: whoever has it may ask
	last time.Time     // of the latest request; guarded by turn
}

// New makes a client. It fails when the base URL is not an absolute one.
func New(c Config) (*Client, error) {
	if c.BaseURL == "" {
		c.BaseURL = BaseURL
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("carbon intensity API: base URL %q: want one such as %s", c.BaseURL, BaseURL)
	}
	if c.UserAgent == "" {
		c.UserAgent = "perseus-edge"
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Attempts == 0 {
		c.Attempts = 5
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	cl := &Client{c: c, base: strings.TrimRight(c.BaseURL, "/"), turn: make(chan struct{}, 1)}
	cl.http = &http.Client{Transport: c.HTTP, Timeout: c.Timeout}
	cl.turn <- struct{}{}
	return cl, nil
}

// Period is the intensity of one half-hour.
type Period struct {
	Start time.Time // UTC
	GCO2  int64     // gCO2 per kWh consumed
}

// Error is an answer of the API that says no.
type Error struct {
	Status  int    // HTTP
	Message string // the API's own words
}

func (e *Error) Error() string {
	return fmt.Sprintf("carbon intensity API answered %d: %s", e.Status, e.Message)
}

// UnknownOutcode reports whether err says that the API has no region for the
// outcode (W1, W2, W3 and W7 are known not to be matched).
func UnknownOutcode(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusBadRequest && strings.Contains(strings.ToLower(e.Message), "postcode")
}

var outcode = regexp.MustCompile(`^[A-Z]{1,2}[0-9][0-9A-Z]?$`)

// Intensity gives the half-hours that start in [from, to), in order, those
// that the API has: what is absent has no value. It fails as a whole when any
// part of the time cannot be fetched.
func (c *Client) Intensity(ctx context.Context, code string, from, to time.Time) ([]Period, error) {
	code = strings.ToUpper(strings.TrimSpace(code))
	if !outcode.MatchString(code) {
		return nil, &Error{http.StatusBadRequest, fmt.Sprintf("not asked: %.20q is not the first half of a postcode, such as SW8", code)}
	}
	if from.Before(Earliest) {
		from = Earliest
	}
	found := map[int64]int64{}
	for _, w := range windows(from, to) {
		path := fmt.Sprintf("/regional/intensity/%s/%s/postcode/%s", stamp(w.askFrom), stamp(w.askTo), code)
		body, err := c.get(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("carbon intensity of %s from %s: %w", code, stamp(w.from), err)
		}
		for _, p := range body {
			if p.Start.Before(w.from) || !p.Start.Before(w.to) {
				continue // over-fetched
			}
			// The API has held two records for one half-hour (2021-04-19T19:00Z).
			// Nothing says which is right: take the higher, whatever the order.
			if have, ok := found[p.Start.Unix()]; !ok || p.GCO2 > have {
				found[p.Start.Unix()] = p.GCO2
			}
		}
	}
	return sorted(found), nil
}

// get asks for one path until an answer is usable, with growing pauses.
func (c *Client) get(ctx context.Context, path string) ([]Period, error) {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	pause := 2 * time.Second
	for attempt := 1; ; attempt++ {
		if wait := c.c.Interval - c.c.Now().Sub(c.last); !c.last.IsZero() && wait > 0 {
			if err := c.c.Sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
		c.last = c.c.Now()
		periods, again, err := c.once(ctx, path)
		if err == nil || again < 0 || ctx.Err() != nil || attempt == c.c.Attempts {
			return periods, err
		}
		wait := max(pause, again)
		c.c.Logger.Warn("carbon intensity API: will ask again", "path", path, "attempt", attempt, "wait", wait, "error", err)
		if err := c.c.Sleep(ctx, wait); err != nil {
			return nil, err
		}
		pause = min(2*pause, time.Minute)
	}
}

// maxBody bounds an answer: 14 days take about 400 KB.
const maxBody = 8 << 20

// maxRetryAfter bounds how long the API may make us wait.
const maxRetryAfter = 10 * time.Minute

// once asks once. again is negative when asking again is no use, otherwise the
// least time to wait.
func (c *Client) once(ctx context.Context, path string) (periods []Period, again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, -1, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.c.UserAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, 0, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(body) > maxBody {
		return nil, -1, fmt.Errorf("the answer is larger than %d bytes", maxBody)
	}
	periods, err = decode(res.StatusCode, body)
	var no *Error
	if errors.As(err, &no) && no.Status >= 400 && no.Status < 500 &&
		no.Status != http.StatusTooManyRequests && no.Status != http.StatusRequestTimeout {
		return nil, -1, err
	}
	return periods, retryAfter(res.Header.Get("Retry-After"), c.c.Now()), err
}

func retryAfter(h string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(h); err == nil {
		d = time.Duration(min(n, 3600)) * time.Second
	} else if t, err := http.ParseTime(h); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
