package acme

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Types of problems (RFC 8555, 6.7).
const (
	accountDoesNotExist   = "accountDoesNotExist"
	alreadyRevoked        = "alreadyRevoked"
	badCSR                = "badCSR"
	badNonce              = "badNonce"
	badPublicKey          = "badPublicKey"
	badRevocationReason   = "badRevocationReason"
	badSignatureAlgorithm = "badSignatureAlgorithm"
	connection            = "connection"
	dnsProblem            = "dns"
	incorrectResponse     = "incorrectResponse"
	invalidContact        = "invalidContact"
	malformed             = "malformed"
	orderNotReady         = "orderNotReady"
	rateLimited           = "rateLimited"
	rejectedIdentifier    = "rejectedIdentifier"
	serverInternal        = "serverInternal"
	unauthorized          = "unauthorized"
	unsupportedContact    = "unsupportedContact"
	unsupportedIdentifier = "unsupportedIdentifier"
)

const problemSpace = "urn:ietf:params:acme:error:"

// problem is an error for the client's eyes: what is wrong and what to do.
type problem struct {
	Type        string      `json:"type"`
	Detail      string      `json:"detail"`
	Status      int         `json:"status,omitempty"`
	Identifier  *identifier `json:"identifier,omitempty"`
	Algorithms  []string    `json:"algorithms,omitempty"`
	Subproblems []*problem  `json:"subproblems,omitempty"`

	retry    time.Duration // not before
	location string
}

func (p *problem) Error() string { return p.Type + ": " + p.Detail }

func problemf(kind string, status int, format string, args ...any) *problem {
	return &problem{Type: problemSpace + kind, Status: status, Detail: fmt.Sprintf(format, args...)}
}

func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int((p.retry+time.Second-1)/time.Second))))
	}
	if p.location != "" {
		h.Set("Location", p.location)
	}
	w.WriteHeader(p.Status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(p) // an error here is the client's connection: there is nobody to tell
}
