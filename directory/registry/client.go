package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// Bounds of what is fetched.
const (
	maxResource  = 256 << 10
	maxText      = 64 << 10
	fetchTimeout = 15 * time.Second
	refreshEvery = 24 * time.Hour
	refreshRetry = 15 * time.Minute
)

// Client fetches a registry's terms and keeps them in a folder.
type Client struct {
	Scheme scheme.Scheme // whose registry, and whose licences are needed
	Dir    string        // where what was fetched is kept; made where it is missing
	HTTP   *http.Client  // nil: the system's roots, at least TLS 1.2
	Now    func() time.Time
	Logger *slog.Logger
}

// wanted are the resources that this software speaks of. Those that are needed
// hold words that are shown to people.
func (c *Client) wanted() (needed, useful []string) {
	s := c.Scheme
	return s.Licenses(), []string{s.TrustFramework(), s.URL(), s.Role(scheme.EDP), s.Role(scheme.CAP), s.Role(scheme.FSP),
		s.StandardConsumption(), s.StandardEmissions(), s.ProcessElectricity(), s.ProcessGas(), s.SourceType("Meter"), s.SourceType("GridCarbonIntensity")}
}

// Load gives the registry's terms: each resource fetched anew, or as it was
// kept where the registry does not answer. The error names a licence that is
// neither to be fetched nor kept: its words cannot be shown. Everything else
// that is missing is logged.
func (c *Client) Load(ctx context.Context) (*Terms, error) {
	t := &Terms{base: c.Scheme.Registry(), all: &rdf.Graph{}, resources: map[string]*rdf.Graph{}, texts: map[string]string{}}
	needed, useful := c.wanted()
	down := false
	var missing []error
	for i, at := range append(needed, useful...) {
		// Where the registry did not answer for one, the others are not waited for.
		k, err := c.resource(ctx, at, down)
		down = down || errors.Is(err, errDown)
		kept := false
		if err != nil {
			var keptErr error
			if k, keptErr = c.read(at); keptErr == nil {
				kept = true
			} else if i < len(needed) {
				missing = append(missing, fmt.Errorf("%w (and none is kept in %s)", err, c.Dir))
				continue
			}
		}
		switch {
		case err != nil && kept:
			c.logger().Warn("registry: using what was kept", "term", at, "fetched", k.Fetched, "error", err)
		case err != nil:
			c.logger().Warn("registry: term not to be had", "term", at, "error", err)
			continue
		}
		if err := t.add(k); err != nil {
			return nil, err
		}
		c.lifecycle(k, t.resources[at])
	}
	return t, errors.Join(missing...)
}

// add takes up a resource that was fetched or kept.
func (t *Terms) add(k kept) error {
	g, err := rdf.ReadTurtle(k.Turtle, "", rdf.Limits{Bytes: 2 * maxResource})
	if err != nil {
		return fmt.Errorf("registry: %s: %w", k.URL, err)
	}
	t.all.Merge(g)
	t.resources[k.URL] = g
	t.order = append(t.order, k.URL)
	if k.TextURL != "" {
		address, _, _ := strings.Cut(k.TextURL, "#")
		t.texts[address] = k.Text
	}
	return nil
}

var errDown = errors.New("the registry does not answer")

// resource fetches a resource with its text, and keeps both.
func (c *Client) resource(ctx context.Context, at string, down bool) (kept, error) {
	if down {
		return kept{}, errDown
	}
	kind, body, err := c.get(ctx, at, rdf.TypeJSONLD+", "+rdf.TypeTurtle+";q=0.9", maxResource)
	if err != nil {
		return kept{}, err
	}
	var g *rdf.Graph
	switch kind {
	case rdf.TypeJSONLD, rdf.TypeJSON:
		g, err = rdf.ReadJSONLD(body, at, rdf.Limits{Bytes: maxResource})
	case rdf.TypeTurtle:
		g, err = rdf.ReadTurtle(body, at, rdf.Limits{Bytes: maxResource})
	default:
		err = fmt.Errorf("it came as %q, not as JSON-LD or Turtle", kind)
	}
	if err != nil {
		return kept{}, fmt.Errorf("registry: %s: %w", at, err)
	}
	g = g.About(rdf.Ref(at))
	if g.Len() == 0 {
		return kept{}, fmt.Errorf("registry: %s: the document says nothing of this address", at)
	}
	k := kept{URL: at, Fetched: c.now(), Turtle: string(g.Turtle())}
	if texts := g.Objects(rdf.Ref(at), rdf.Expand("ib1:permissionText")); len(texts) > 1 {
		return kept{}, fmt.Errorf("registry: %s has %d permission texts", at, len(texts))
	} else if len(texts) == 1 {
		k.TextURL = texts[0].Value
	} else if needed, _ := c.wanted(); contains(needed, at) {
		return kept{}, fmt.Errorf("registry: %s has no permission text", at)
	}
	old, oldErr := c.read(at)
	if oldErr == nil && old.TextURL != k.TextURL {
		// A version never changes. Words that people agreed to must not be
		// exchanged under the same name, whoever does it.
		return kept{}, fmt.Errorf("registry: %s: its permission text was %s and is now %s: a published version must not change", at, old.TextURL, k.TextURL)
	}
	if k.TextURL != "" {
		if k.Text, err = c.text(ctx, k.TextURL); err != nil {
			return kept{}, fmt.Errorf("registry: permission text of %s: %w", at, err)
		}
	}
	return k, c.write(k)
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// text fetches a text and checks it against the hash in its address.
func (c *Client) text(ctx context.Context, at string) (string, error) {
	address, hash, _ := strings.Cut(at, "#")
	if !hashForm.MatchString(hash) {
		return "", fmt.Errorf("%s: the address must end in # and the text's SHA-256", at)
	}
	_, body, err := c.get(ctx, address, "text/plain, */*;q=0.5", maxText)
	if err != nil {
		return "", err
	}
	if got := Hash(body); got != hash {
		return "", fmt.Errorf("%s: the text that came has the SHA-256 %s", at, got)
	}
	return body, nil
}

// get fetches an address of the registry. It never leaves the registry's own
// host and scheme, whatever a document or a redirect says.
func (c *Client) get(ctx context.Context, at, accept string, most int) (kind, body string, err error) {
	home, err := url.Parse(c.Scheme.Registry())
	if err != nil {
		return "", "", err
	}
	same := func(u *url.URL) bool { return u.Scheme == home.Scheme && u.Host == home.Host && u.User == nil }
	if u, err := url.Parse(at); err != nil || !same(u) {
		return "", "", fmt.Errorf("%s is not an address of the registry %s", at, home)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", "", err
	}
	r.Header.Set("Accept", accept)
	client := http.Client{Transport: defaultTransport}
	if c.HTTP != nil {
		client = *c.HTTP
	}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) >= 5 || !same(r.URL) {
			return fmt.Errorf("redirected to %s, away from the registry", r.URL.Redacted())
		}
		return nil
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", "", fmt.Errorf("%w: %v", errDown, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s answered %s", at, answer.Status)
		if answer.StatusCode >= 500 {
			err = fmt.Errorf("%w: %v", errDown, err)
		}
		return "", "", err
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, int64(most)+1))
	if err != nil {
		return "", "", fmt.Errorf("%w: %v", errDown, err)
	}
	if len(b) > most {
		return "", "", fmt.Errorf("%s is larger than %d bytes", at, most)
	}
	kind, _, _ = strings.Cut(answer.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind)), string(b), nil
}

// defaultTransport is for registries on the open web.
var defaultTransport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}

// Run looks at the registry once a day until ctx ends, so that what is kept is
// fresh and the log says when a licence's days are numbered. What a running
// program speaks does not change: versions do not.
func (c *Client) Run(ctx context.Context) error {
	for wait := refreshEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = refreshEvery
		if _, err := c.Load(ctx); err != nil && ctx.Err() == nil {
			c.logger().Error("registry: licences not to be had", "error", err)
			wait = refreshRetry
		}
	}
}

// lifecycle says in the log what the registry says of a term's use.
func (c *Client) lifecycle(k kept, g *rdf.Graph) {
	today := c.now().UTC().Format(time.DateOnly)
	for _, x := range []struct {
		predicate, say string
		level          slog.Level
	}{
		{"ib1:deprecatedAfter", "registry: a newer version is to be used", slog.LevelWarn},
		{"ib1:prohibitedAfter", "registry: this version must not be used any more", slog.LevelError},
	} {
		for _, o := range g.Objects(rdf.Ref(k.URL), rdf.Expand(x.predicate)) {
			if day, _, _ := strings.Cut(o.Value, "T"); day != "" && today > day {
				c.logger().Log(context.Background(), x.level, x.say, "term", k.URL, "after", o.Value)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.Default()
}
