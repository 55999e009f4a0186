package dirtest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
)

// Request makes a request. body is sent as JSON unless it is nil or text.
// Headers are pairs.
func (w *World) Request(method, path string, body any, headers ...string) *http.Request {
	var b bytes.Buffer
	switch x := body.(type) {
	case nil:
	case string:
		b.WriteString(x)
	default:
		json.NewEncoder(&b).Encode(x)
	}
	r := httptest.NewRequest(method, path, &b)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Serve has the directory answer a request.
func (w *World) Serve(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Front.Handler().ServeHTTP(rec, r)
	return rec
}

// Call makes a request and has it answered.
func (w *World) Call(method, path string, body any, headers ...string) *httptest.ResponseRecorder {
	return w.Serve(w.Request(method, path, body, headers...))
}

// Answer checks the status and decodes the JSON answer.
func Answer(t testing.TB, r *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	var v map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		t.Fatalf("answer is not JSON: %v: %s", err, r.Body)
	}
	if status >= 400 && (v["error"] == "" || v["error_description"] == "" || len(v) != 2) {
		t.Fatalf("error answer of the wrong form: %s", r.Body)
	}
	return v
}

// Enrol sends a code and two certificate requests (PEM) as a gateway does.
func (w *World) Enrol(code, clientCSR, signingCSR string) *httptest.ResponseRecorder {
	return w.Call(http.MethodPost, "/gateway/v1/enrollments",
		map[string]string{"code": code, "client_csr": clientCSR, "signing_csr": signingCSR})
}

// Reenroll asks for a renewal as if the certificates had been shown at the
// handshake.
func (w *World) Reenroll(label string, csr string, shown ...*x509.Certificate) *httptest.ResponseRecorder {
	block, _ := pem.Decode([]byte(csr))
	r := w.Request("POST", "/.well-known/est"+label+"/simplereenroll", base64.StdEncoding.EncodeToString(block.Bytes), "Content-Type", "application/pkcs10")
	if len(shown) > 0 {
		r.TLS = &tls.ConnectionState{PeerCertificates: shown}
	}
	return w.Serve(r)
}

// As calls the member API with a token, for an organisation where one is named.
func (w *World) As(token, organization, method, path string, body any) *httptest.ResponseRecorder {
	return w.Call(method, path, body, "Authorization", "Bearer "+token, "X-Organization", organization)
}

// ReadCRL fetches a revocation list, and checks who signed it.
func (w *World) ReadCRL(t *testing.T, h ca.Hierarchy) *x509.RevocationList {
	t.Helper()
	r := w.Call("GET", "/crl/"+string(h)+".crl", nil)
	if r.Code != 200 || r.Header().Get("Content-Type") != "application/pkix-crl" {
		t.Fatalf("%d %s: %s", r.Code, r.Header().Get("Content-Type"), r.Body)
	}
	l := Must(x509.ParseRevocationList(r.Body.Bytes()))(t)
	if err := l.CheckSignatureFrom(w.Authorities.Of(h).Issuer); err != nil {
		t.Fatal(err)
	}
	return l
}

// Enrolled is a gateway with its first certificates.
func Enrolled(t *testing.T, w *World) (directory.Gateway, directory.Enrolment) {
	t.Helper()
	g, code, err := w.AddGateway(t.Context(), directory.Gateway{Application: w.ProviderApp.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, a := NewKeyCSR(t)
	_, b := NewKeyCSR(t)
	return g, Must(w.Enroll(t.Context(), code, []byte(a), []byte(b)))(t)
}

// SlowBody is a body before which something happens, once.
func SlowBody(first func(), text string) io.Reader {
	return io.MultiReader(readerFunc(func([]byte) (int, error) { first(); return 0, io.EOF }), strings.NewReader(text))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
