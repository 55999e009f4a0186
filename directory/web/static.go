package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// statics are the files that pages load, with their media types.
var statics = map[string]string{"style.css": "text/css; charset=utf-8", "passkey.js": "text/javascript; charset=utf-8"}

// edition is part of the addresses of statics, so that browsers may keep them
// and still take up a new one at once.
var edition = func() string {
	h := sha256.New()
	for _, name := range []string{"style.css", "passkey.js"} {
		h.Write(static(name))
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

func static(name string) []byte {
	b, err := files.ReadFile("static/" + name)
	if err != nil {
		panic(err) // embedded: it is there
	}
	return b
}

func serveStatic(name, kind string) http.Handler {
	b := static(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers(w)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Write(b) // an error here is the visitor's connection: there is nobody to tell
	})
}
