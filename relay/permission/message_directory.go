package permission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of what is kept of the directory's answers.
const (
	maxListing     = 1 << 20 // bytes of an application's document
	maxRemembered  = 1000    // applications
	longestListing = time.Hour
)

// DirectoryLookup finds the messageDelivery URL of applications in a directory
// elsewhere, by the application's own URL (IB1 message-delivery 1.0, Directory
// Application RDF document). It keeps an answer for as long as its
// Cache-Control says, an hour at most.
type DirectoryLookup struct {
	base string
	http *http.Client
	now  func() time.Time

	mu    sync.Mutex
	known map[string]listedAddress
}

type listedAddress struct {
	address string
	until   time.Time
}

// NewDirectoryLookup asks the directory at base (its public address, without a
// closing slash) with a client. An application outside base is never asked for.
func NewDirectoryLookup(base string, client *http.Client, now func() time.Time) *DirectoryLookup {
	if now == nil {
		now = time.Now
	}
	return &DirectoryLookup{base: base, http: client, now: now, known: map[string]listedAddress{}}
}

// Find is HTTPDeliveryConfig.Find.
func (d *DirectoryLookup) Find(ctx context.Context, application string) (string, error) {
	if !strings.HasPrefix(application, d.base+"/") {
		return "", fmt.Errorf("it is not in the directory %s", d.base)
	}
	d.mu.Lock()
	k, ok := d.known[application]
	d.mu.Unlock()
	if ok && d.now().Before(k.until) {
		return k.address, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, application, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "application/ld+json, application/json;q=0.9")
	res, err := d.http.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxListing+1))
	switch {
	case err != nil:
		return "", err
	case res.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the directory answered %s", res.Status)
	case len(b) > maxListing:
		return "", errors.New("the directory's answer is larger than 1 MiB")
	}
	address, err := messageAddress(b, application)
	if err != nil {
		return "", err
	}
	d.remember(application, address, maxAge(res.Header))
	return address, nil
}

func (d *DirectoryLookup) remember(application, address string, age time.Duration) {
	if age <= 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxRemembered {
		clear(d.known)
	}
	d.known[application] = listedAddress{address, d.now().Add(min(age, longestListing))}
}

// maxAge reads Cache-Control: 0 where the answer is not to be kept.
func maxAge(h http.Header) (age time.Duration) {
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				return 0
			case "max-age":
				if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
					age = time.Duration(n) * time.Second
				}
			}
		}
	}
	return age
}

// messageAddress finds the one address for messages in an application's
// document: JSON-LD in any of its forms (the property short, prefixed or as a
// whole IRI; its value a text, an object with @id or @value, or a list of
// them), or plain JSON. In a document of several things that of the
// application counts. "" where there is none.
func messageAddress(doc []byte, application string) (string, error) {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return "", errors.New("the directory's answer is not JSON")
	}
	found := map[string]bool{}
	collectAddresses(v, application, found, 0)
	if len(found) > 1 {
		return "", errors.New("the directory names more than one address for messages")
	}
	for a := range found {
		return a, nil
	}
	return "", nil
}

func collectAddresses(v any, application string, found map[string]bool, depth int) {
	if depth > 16 {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			collectAddresses(e, application, found, depth+1)
		}
	case map[string]any:
		id, named := v["@id"].(string)
		if !named {
			id, named = v["id"].(string)
		}
		for k, e := range v {
			if k == "@graph" {
				collectAddresses(e, application, found, depth+1)
				continue
			}
			short := k[strings.LastIndexAny(k, ":/#")+1:]
			if short == "messageDelivery" && (!named || id == application) {
				texts(e, found)
			}
		}
	}
}

// texts collects the texts of a JSON-LD value.
func texts(v any, found map[string]bool) {
	switch v := v.(type) {
	case string:
		if v != "" {
			found[v] = true
		}
	case []any:
		for _, e := range v {
			texts(e, found)
		}
	case map[string]any:
		for _, k := range []string{"@id", "@value"} {
			if s, ok := v[k].(string); ok && s != "" {
				found[s] = true
			}
		}
	}
}
