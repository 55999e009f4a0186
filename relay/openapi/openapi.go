// Package openapi holds the relay's OpenAPI 3.1 document, openapi.yaml: every
// address of it, for people and for programs. A test compares it with the
// routes that are registered, and the answers of a running demo with its
// schemas.
package openapi

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var document string

// Mux is where routes are registered: an *http.ServeMux.
type Mux interface {
	Handle(pattern string, h http.Handler)
	HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request))
}

// Path is where the document is, at the address for people.
const Path = "/openapi.json"

// Document is the document as JSON, with the base URLs of a relay in it: of its
// pages, and of what it serves over mutual TLS.
func Document(issuer, server string) ([]byte, error) {
	var v any
	if err := yaml.Unmarshal([]byte(document), &v); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	return []byte(strings.NewReplacer("https://permission.example.org", issuer, "https://relay.example.org", server).Replace(string(b))), nil
}

// Register adds the document to the address for people.
func Register(mux Mux, issuer, server string) error {
	body, err := Document(issuer, server)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(body) // an error here means that the client is gone
	})
	return nil
}
