package dcc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// fakeFeed is a web API that has half-hours, and faults on demand.
type fakeFeed struct {
	*testing.T
	*httptest.Server
	mu     sync.Mutex
	clock  *clock
	meters map[string]map[time.Time]string // by path of the meter and measure: values as they are written, by their ends
	asked  []string                        // requests, in order
	spans  []time.Duration
	faults []fault                                       // the next requests meet these, one each; nil: none
	every  fault                                         // each request meets this
	data   func(f *fakeFeed, r *http.Request) (any, int) // makes answers
	logins int
	token  string
}

// fault answers in place of the feed, or changes its answer. It reports whether
// it has answered.
type fault func(w http.ResponseWriter, r *http.Request, body []byte) bool

func newFakeFeed(t *testing.T, data func(*fakeFeed, *http.Request) (any, int)) *fakeFeed {
	f := &fakeFeed{T: t, clock: &clock{t: now}, meters: map[string]map[time.Time]string{}, data: data, token: "token-1"}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeFeed) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	answer, status := f.data(f, r)
	body, err := json.Marshal(answer)
	if err != nil {
		f.Error(err)
	}
	faults := []fault{f.every}
	if len(f.faults) > 0 {
		faults = append(faults, f.faults[0])
		f.faults = f.faults[1:]
	}
	for _, hit := range faults {
		if hit != nil && hit(w, r, body) {
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// set gives a meter the half-hours that end in (from, to].
func (f *fakeFeed) set(meter string, from, to time.Time, value func(end time.Time) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.meters[meter] == nil {
		f.meters[meter] = map[time.Time]string{}
	}
	for end := from.Truncate(energy.Period).Add(energy.Period); !end.After(to); end = end.Add(energy.Period) {
		f.meters[meter][end] = value(end)
	}
}

func (f *fakeFeed) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.asked
	f.asked, f.spans = nil, nil
	return out
}

// The faults of the field.
func status(code int, retryAfter, body string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// truncated sends half of the answer, and closes the connection in good order.
func truncated(w http.ResponseWriter, _ *http.Request, body []byte) bool {
	_, _ = w.Write(body[:len(body)/2])
	return true
}

// broken promises the whole answer, sends half, and hangs up.
func broken(w http.ResponseWriter, _ *http.Request, body []byte) bool {
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

// hungUp says nothing at all.
func hungUp(http.ResponseWriter, *http.Request, []byte) bool { panic(http.ErrAbortHandler) }

// page is a proxy's log-in page, with status 200.
func page(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
	_, _ = w.Write([]byte("<!DOCTYPE html><html>Log in to the network</html>"))
	return true
}

// elsewhere sends on to another host.
func elsewhere(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	return true
}

// n3rgyData answers as n3rgy does, versions 1 and 2. Meters are
// "mpxn/utility/kind".
func n3rgyData(f *fakeFeed, r *http.Request) (any, int) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var meter string
	v2 := parts[0] == "mpxn"
	switch {
	case v2 && len(parts) == 6 && r.Header.Get("x-api-key") == "secret key":
		meter = parts[1] + "/" + parts[3] + "/" + parts[5]
	case len(parts) == 4 && parts[3] == "1" && r.Header.Get("Authorization") == "secret key":
		meter = strings.Join(parts[:3], "/")
	case len(parts) == 3 && parts[2] == "1" && r.Header.Get("Authorization") == "secret key":
		meter = "/" + strings.Join(parts[:2], "/")
	default:
		return map[string]any{"message": "User is not authorized to access this resource with an explicit deny."}, 403
	}
	q := r.URL.Query()
	start, err1 := time.Parse("200601021504", q.Get("start"))
	end, err2 := time.Parse("200601021504", q.Get("end"))
	f.spans = append(f.spans, end.Sub(start))
	if err1 != nil || err2 != nil || end.Sub(start) > 90*24*time.Hour || v2 && (q.Get("granularity") != "halfhour" || q.Get("outputFormat") != "json") {
		return map[string]any{"errors": []any{map[string]any{"code": 400, "message": "the window is wrong"}}}, 400
	}
	values, ok := f.meters[meter]
	if !ok {
		return map[string]any{"errors": []any{map[string]any{"code": 403, "message": "Consent for the given MPxN not found."}}}, 403
	}
	key, list := "value", []any{}
	if v2 {
		key = "primaryValue"
	}
	for at := start; !at.After(end); at = at.Add(energy.Period) {
		if v, ok := values[at]; ok {
			list = append(list, map[string]any{key: json.RawMessage(v), "timestamp": at.Format("2006-01-02 15:04")})
		}
	}
	answer := map[string]any{"resource": r.URL.String(), "granularity": "halfhour", "unit": "kWh", "start": q.Get("start"), "end": q.Get("end")}
	if strings.Contains(meter, "/gas/") {
		answer["unit"] = "m3"
	}
	if v2 {
		answer["devices"] = []any{map[string]any{"deviceId": "01-00", "values": list}}
	} else {
		answer["values"] = list
	}
	return answer, 200
}

// pull is a puller under test.
type pullTest struct {
	*recorder
	feed  *fakeFeed
	cfg   Config
	p     *puller
	waits []time.Duration
	asked []string // by the rounds that were run last
}

func newPullTest(t *testing.T, feed *fakeFeed, cfg Config) *pullTest {
	x := &pullTest{recorder: newRecorder(t), feed: feed, cfg: cfg}
	x.cfg.Marks, x.cfg.Now, x.cfg.Logger = x.recorder, feed.clock.now, quiet
	for i, s := range x.cfg.URLs {
		x.cfg.URLs[i] = feed.URL + s
	}
	x.start()
	return x
}

// start is what a restart of the agent does.
func (x *pullTest) start() {
	l, err := New(x.cfg)
	if err != nil {
		x.t.Fatal(err)
	}
	x.p = l.(*puller)
}

// rounds lets Listen run through n rounds; time goes by as it asks.
func (x *pullTest) rounds(n int) {
	x.t.Helper()
	x.waits = nil
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	x.p.wait = func(ctx context.Context, d time.Duration) bool {
		if d <= 0 {
			x.t.Errorf("a wait of %s", d)
		}
		x.feed.clock.add(d)
		if d == politely {
			return ctx.Err() == nil
		}
		x.waits = append(x.waits, d)
		return len(x.waits) < n
	}
	x.feed.requests()
	if err := x.p.Listen(ctx, x.deliver); err != nil {
		x.t.Error(err)
	}
	x.asked = x.feed.requests()
	if err := x.Settle(); err != nil && x.refuse == nil {
		x.t.Error(err)
	}
}

func constant(v string) func(time.Time) string { return func(time.Time) string { return v } }

func query(r *http.Request, k string) string { v, _ := url.ParseQuery(r.URL.RawQuery); return v.Get(k) }
