package dcc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// glowmarkt is Hildebrand's API for users of its Bright application. A device's
// Name is a resource's id (one measure), or the id or name of a virtual entity,
// whose resources are then found by what they measure. It is logged in to with
// user and password; or a token is given, which expires some day.
type glowmarkt struct {
	web
	user, password string

	mu        sync.Mutex
	token     string
	expires   time.Time         // zero: not known
	resources map[string]string // resource ids by name and measure
	caught    map[string]time.Time
}

// application is the id of the Bright application, the same for all of its users.
const application = "b0f1b774-a586-4f72-9edd-27ead8aa7a8d"

const glowmarktExample = "https://api.glowmarkt.com/api/v0-1"

func openGlowmarkt(c Config) (drivers.Listener, error) {
	if len(c.URLs) != 1 {
		return nil, errors.New("glowmarkt has one url")
	}
	if c.Token == "" && (c.User == "" || c.Password == "") {
		return nil, errors.New("write user and password_file of the Bright application, or token_file")
	}
	for _, d := range c.Devices {
		for _, m := range d.Measures {
			if m != energy.Import && m != energy.Export && m != energy.Gas {
				return nil, fmt.Errorf("meter %s: glowmarkt does not give %s", d.Meter, m)
			}
		}
		if d.Name == "" {
			return nil, fmt.Errorf("meter %s: device is missing: write the id of a resource, or the id or name of a virtual entity", d.Meter)
		}
	}
	g := &glowmarkt{web: newWeb(c), user: c.User, password: c.Password, resources: map[string]string{}, caught: map[string]time.Time{}}
	if c.User == "" || c.Password == "" {
		g.token = c.Token
	}
	return newPuller(c, g), nil
}

// What Glowmarkt allows for half-hours (feeds.md 2.3), and a pace that its
// makers, who complain of hasty clients, can bear.
func (g *glowmarkt) span() time.Duration  { return 10 * 24 * time.Hour }
func (g *glowmarkt) every() time.Duration { return time.Hour }

// catchUpEvery is how often it is asked to read the meter itself.
const catchUpEvery = time.Hour

func (g *glowmarkt) fetch(ctx context.Context, s *series, from, to time.Time) ([]half, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, err := g.resource(ctx, s)
	if err != nil {
		return nil, err
	}
	now := g.now()
	if last := g.caught[id]; now.Sub(to) < energy.Period && (now.Sub(last) >= catchUpEvery || now.Before(last)) { // mutate: to is the present half-hour's start, or long ago
		g.caught[id] = now
		var refusedToo *webError
		if _, err := g.get(ctx, "/resource/"+url.PathEscape(id)+"/catchup"); errors.As(err, &refusedToo) && refusedToo.status == http.StatusTooManyRequests {
			return nil, err // without it the readings are only later
		}
	}
	const layout = "2006-01-02T15:04:05"
	q := url.Values{
		"from": {from.UTC().Format(layout)}, "to": {to.UTC().Add(-time.Second).Format(layout)},
		"period": {"PT30M"}, "function": {"sum"}, "offset": {"0"}, "nulls": {"1"},
	}
	data, err := g.get(ctx, "/resource/"+url.PathEscape(id)+"/readings?"+q.Encode())
	if err != nil {
		return nil, err
	}
	return decodeGlowmarkt(data, s.measure, now)
}

// get asks with the token. Where it is refused it logs in anew, once.
func (g *glowmarkt) get(ctx context.Context, path string) ([]byte, error) {
	fresh := false
	if g.token == "" || !g.expires.IsZero() && g.expires.Sub(g.now()) < time.Hour { // mutate: a nanosecond more or less
		if err := g.login(ctx); err != nil {
			return nil, err
		}
		fresh = true
	}
	data, err := g.ask(ctx, http.MethodGet, path, nil, map[string]string{"applicationId": application, "token": g.token})
	var e *webError
	if errors.As(err, &e) && e.status == http.StatusUnauthorized && !fresh && g.user != "" && g.password != "" {
		if err := g.login(ctx); err != nil {
			return nil, err
		}
		return g.ask(ctx, http.MethodGet, path, nil, map[string]string{"applicationId": application, "token": g.token})
	}
	return data, err
}

// login gets a token. It stays in memory.
func (g *glowmarkt) login(ctx context.Context) error {
	if g.user == "" || g.password == "" {
		return nil // the token of the file is all there is
	}
	body, err := json.Marshal(map[string]string{"username": g.user, "password": g.password})
	if err != nil {
		return err
	}
	data, err := g.ask(ctx, http.MethodPost, "/auth", bytes.NewReader(body), map[string]string{"applicationId": application})
	if err != nil {
		return err
	}
	var a struct {
		Valid *bool  `json:"valid"`
		Token string `json:"token"`
		Exp   int64  `json:"exp"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return errors.New("the answer to the login is broken")
	}
	if a.Token == "" || a.Valid != nil && !*a.Valid {
		return &webError{status: http.StatusUnauthorized, words: clip(a.Error)}
	}
	g.token, g.expires = a.Token, time.Time{}
	if a.Exp > 0 && a.Exp < 1<<33 { // mutate: the year 2242
		g.expires = time.Unix(a.Exp, 0)
	}
	return nil
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// entity is a virtual entity: what a property has.
type entity struct {
	ID        string `json:"veId"`
	Name      string `json:"name"`
	Resources []struct {
		ID         string `json:"resourceId"`
		Classifier string `json:"classifier"`
	} `json:"resources"`
}

// resource finds the resource of a series: by its own id, or among those of a
// virtual entity.
func (g *glowmarkt) resource(ctx context.Context, s *series) (string, error) {
	key := s.name + "\n" + s.measure.String()
	if id := g.resources[key]; id != "" {
		return id, nil
	}
	data, err := g.get(ctx, "/virtualentity")
	if err != nil {
		return "", err
	}
	var all []entity
	if err := json.Unmarshal(data, &all); err != nil {
		return "", fmt.Errorf("the list of virtual entities is broken: %w", err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name)
		for _, r := range e.Resources {
			if strings.EqualFold(r.ID, s.name) {
				g.resources[key] = r.ID
				return r.ID, nil
			}
		}
		if strings.EqualFold(e.ID, s.name) || e.Name == s.name {
			return g.within(ctx, e.ID, s, key)
		}
	}
	if uuid.MatchString(s.name) {
		g.resources[key] = s.name // the list need not have the resources; the readings say what they are of
		return s.name, nil
	}
	return "", unwilling("no virtual entity or resource is called %q: there are %s", clip(s.name), clip(strings.Join(names, ", ")))
}

// within finds the resource of a virtual entity that measures what a series is of.
func (g *glowmarkt) within(ctx context.Context, id string, s *series, key string) (string, error) {
	data, err := g.get(ctx, "/virtualentity/"+url.PathEscape(id)+"/resources")
	if err != nil {
		return "", err
	}
	var e entity
	if err := json.Unmarshal(data, &e); err != nil {
		return "", fmt.Errorf("the list of resources is broken: %w", err)
	}
	found := ""
	for _, r := range e.Resources {
		if !classified(r.Classifier, s.measure) {
			continue
		}
		if found != "" {
			return "", unwilling("%q has several resources of %s: write the id of one as device", clip(s.name), s.measure)
		}
		found = r.ID
	}
	if found == "" {
		return "", unwilling("%q has no resource of %s", clip(s.name), s.measure)
	}
	g.resources[key] = found
	return found, nil
}
