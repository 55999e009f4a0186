package rdf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Write writes the graph in one of the three forms: TypeTurtle, TypeJSONLD or
// TypeXML.
func (g *Graph) Write(kind string) ([]byte, error) {
	switch kind {
	case TypeTurtle:
		return g.Turtle(), nil
	case TypeJSONLD:
		return g.JSONLD(), nil
	case TypeXML:
		return g.XML()
	}
	return nil, fmt.Errorf("rdf: no form %q", kind)
}

// Send answers a GET or HEAD with a body that caches may keep for age. Its
// strong ETag is the body's hash, so that processes beside one another agree;
// a reader that has the body already gets 304 (RFC 9110, 13.1.2).
func Send(w http.ResponseWriter, r *http.Request, kind string, body []byte, age time.Duration) {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	cache := "public, max-age=" + strconv.FormatInt(int64(age/time.Second), 10)
	if age >= 365*24*time.Hour {
		cache += ", immutable"
	}
	h.Set("Cache-Control", cache)
	if Matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if kind == TypeTurtle {
		kind += "; charset=utf-8"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body) // an error here is the reader's connection: there is nobody to tell
	}
}

// Matches reports whether If-None-Match names the tag, by the weak comparison
// that it asks for.
func Matches(header []string, tag string) bool {
	for _, t := range splitOutsideQuotes(strings.Join(header, ","), ',') {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}
