package permission

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// Paths below Config.Server.
const (
	pathPAR    = "/oauth/par"
	pathToken  = "/oauth/token"
	pathRevoke = "/oauth/revoke"
	pathRecord = "/oauth/permission"
)

// metadata is the RFC 8414 document. Every endpoint stands a second time, the
// same, under mtls_endpoint_aliases: the profile wants both.
func metadata(issuer, server *url.URL, licenses []string) map[string]any {
	at := func(u *url.URL, path string) string { return u.String() + path }
	endpoints := map[string]string{
		"authorization_endpoint":                at(issuer, "/authorize"),
		"token_endpoint":                        at(server, pathToken),
		"pushed_authorization_request_endpoint": at(server, pathPAR),
		"revocation_endpoint":                   at(server, pathRevoke),
		"ib1_permission_endpoint":               at(server, pathRecord),
	}
	mtls := []string{"tls_client_auth"}
	m := map[string]any{
		"issuer":                                         issuer.String(),
		"mtls_endpoint_aliases":                          endpoints,
		"use_mtls_endpoint_aliases":                      true,
		"require_pushed_authorization_requests":          true,
		"tls_client_certificate_bound_access_tokens":     true,
		"authorization_response_iss_parameter_supported": true,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"code_challenge_methods_supported":               []string{"S256"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"scopes_supported":                               licenses,
		"authorization_endpoint_auth_methods_supported":  mtls,
		"token_endpoint_auth_methods_supported":          mtls,
		"revocation_endpoint_auth_methods_supported":     mtls,
	}
	for k, v := range endpoints {
		m[k] = v
	}
	return m
}

func (s *Service) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	b, err := json.MarshalIndent(metadata(s.issuer, s.server, s.c.Scheme.Licenses()), "", "  ")
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(append(b, '\n'))
}
