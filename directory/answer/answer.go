// Package answer is how the directory's HTTP addresses answer: their routes, what
// every answer has, errors, JSON, and what caches may keep.
package answer

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// MaxBody bounds every request body: 64 KiB.
const MaxBody = 64 << 10

// Handler is an http.HandlerFunc that may fail.
type Handler func(http.ResponseWriter, *http.Request) error

// Route is an address: a method, a path as http.ServeMux has it, and what answers.
type Route struct {
	Method, Path string
	Handle       Handler
}

// On is the route of a method at a path.
func On(method, path string, handle Handler) Route { return Route{method, path, handle} }

// Dispatch picks the handler of the method ("" takes all) and writes what
// went wrong.
func Dispatch(logger *slog.Logger, methods map[string]Handler) http.Handler {
	var allow []string
	for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
		if methods[m] != nil {
			allow = append(allow, m)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		f := methods[""]
		if f == nil {
			f = methods[method]
		}
		if f == nil {
			h.Set("Allow", strings.Join(allow, ", "))
			writeError(w, &Error{http.StatusMethodNotAllowed, "method_not_allowed", "Use " + strings.Join(allow, " or ") + " at this address."})
			return
		}
		if err := f(w, r); err != nil {
			fail(logger, w, r, err)
		}
	})
}

// Error is an error for the client's eyes.
type Error struct {
	Status            int
	Code, Description string
}

// Error gives code and description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Refuse is an error for the client's eyes: its HTTP status, its code, which
// programs may act on, and what to do about it in words.
func Refuse(status int, code, description string) *Error { return &Error{status, code, description} }

// codes are the errors' names in answers, by status.
var codes = map[int]string{http.StatusRequestEntityTooLarge: "too_large", http.StatusBadRequest: "invalid_request", http.StatusNotFound: "not_found", http.StatusConflict: "exists"}

// fail turns an error into its answer. What is not meant for the client is
// logged under a correlation id, and only the id goes out.
func fail(logger *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
	var he *Error
	var refused *fault.Refusal
	status, text, ok := Explain(err)
	switch {
	case errors.As(err, &he):
	case errors.As(err, &refused):
		he = &Error{status, refused.Code, text}
	case ok:
		he = &Error{status, codes[status], text}
	case r.Context().Err() != nil:
		return // the client has gone
	default:
		var b [8]byte
		rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "correlation", id, "error", err)
		he = &Error{http.StatusInternalServerError, "server_error", "Something went wrong here. Try again later, or report correlation id " + id + "."}
	}
	writeError(w, he)
}

func writeError(w http.ResponseWriter, e *Error) {
	w.Header().Del("ETag")
	w.Header().Set("Cache-Control", "no-store")
	WriteJSON(w, e.Status, map[string]string{"error": e.Code, "error_description": e.Description})
}

// WriteJSON answers with a value as JSON. What goes wrong on the way to the client is
// nobody's to hear: the error is always nil.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return encodeJSON(w, status, v)
}

func encodeJSON(w http.ResponseWriter, status int, v any) error {
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // an error here is the client's connection: there is nobody to tell
	return nil
}

// ReadJSON reads one JSON object of the type of v.
func ReadJSON(r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return &Error{http.StatusUnsupportedMediaType, "unsupported_media_type", "Send JSON, with Content-Type: application/json."}
	}
	d := json.NewDecoder(r.Body)
	if err := d.Decode(v); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return err
		}
		return fault.Invalid("the body is not the JSON object that this address takes")
	}
	if _, err := d.Token(); err != io.EOF {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return err
		}
		return fault.Invalid("there is more than one JSON object in the body")
	}
	return nil
}

// Cached lets caches keep a public answer, and answers 304 where the reader
// has it already.
func Cached(w http.ResponseWriter, r *http.Request, etag string, age time.Duration) (done bool) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(age/time.Second)))
	h.Set("ETag", etag)
	if !rdf.Matches(r.Header.Values("If-None-Match"), etag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

// Explain gives what a client may be told of an error: the HTTP status and a
// sentence. ok is false for what is not meant for clients (500).
func Explain(err error) (status int, text string, ok bool) {
	var he *Error
	var refused *fault.Refusal
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &he):
		return he.Status, he.Description, true
	case errors.As(err, &refused):
		return refusals[refused.Kind], refused.Text, true
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "The request is larger than 64 KiB.", true
	case errors.Is(err, fault.ErrInvalid):
		return http.StatusBadRequest, strings.ReplaceAll(strings.ReplaceAll(err.Error(), fault.ErrInvalid.Error()+": ", ""), "\n", "; "), true
	case errors.Is(err, fault.ErrNotFound):
		return http.StatusNotFound, "The directory has no such entry.", true
	case errors.Is(err, fault.ErrExists):
		return http.StatusConflict, "The directory has such an entry already.", true
	}
	return http.StatusInternalServerError, "", false
}

// refusals are the statuses of refusals.
var refusals = map[fault.Kind]int{fault.Denied: http.StatusForbidden, fault.Clashes: http.StatusConflict}

// RemoteAddress is the address of a connection; the zero Addr, which shares
// one allowance, when it cannot be read.
func RemoteAddress(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
