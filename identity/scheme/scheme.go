// Package scheme builds the URLs that name the scheme's things: roles,
// licences, processes, vocabularies. The registry they hang from is
// configuration, never a constant (scheme.md, first paragraph).
package scheme

import (
	"errors"
	"net/url"
	"strings"
)

// Version is the version of the scheme's licences, standards and processes
// that this software speaks.
const Version = "2026-03-12"

// The roles of the scheme, as the last part of a role URL.
const (
	EDP = "energy-data-provider"
	CAP = "carbon-accounting-provider"
	FSP = "financial-service-provider"
)

// Scheme is a scheme in one registry. The zero value is not usable: use New.
type Scheme struct{ registry, name string }

// New makes the Perseus scheme of a registry, such as
// https://registry.core.sandbox.trust.ib1.org.
func New(registry string) (Scheme, error) {
	u, err := url.Parse(registry)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return Scheme{}, errors.New("registry must be an absolute URL such as https://registry.core.sandbox.trust.ib1.org, got " + registry)
	}
	return Scheme{strings.TrimRight(registry, "/"), "perseus"}, nil
}

// Registry is the registry's URL.
func (s Scheme) Registry() string { return s.registry }

// TrustFramework is the URL of the trust framework.
func (s Scheme) TrustFramework() string { return s.registry + "/trust-framework" }

// URL is the URL of the scheme itself.
func (s Scheme) URL() string { return s.registry + "/scheme/" + s.name }

// Role is the URL of a role: EDP, CAP or FSP.
func (s Scheme) Role(r string) string { return s.URL() + "/role/" + r }

// LicenseConsumption is the licence under which an EDP gives half-hourly
// consumption to a CAP.
func (s Scheme) LicenseConsumption() string { return s.license("energy-consumption-edp-cap") }

// LicenseCombined is the one licence for both legs: EDP to CAP to FSP.
func (s Scheme) LicenseCombined() string {
	return s.license("energy-consumption-emissions-edp-cap-fsp")
}

// LicenseEmissions is the licence under which a CAP gives emissions to an FSP.
func (s Scheme) LicenseEmissions() string { return s.license("emissions-cap-fsp") }

// Licenses lists the three licences.
func (s Scheme) Licenses() []string {
	return []string{s.LicenseConsumption(), s.LicenseCombined(), s.LicenseEmissions()}
}

func (s Scheme) license(name string) string { return s.URL() + "/license/" + name + "/" + Version }

// StandardConsumption is the standard of the consumption data API.
func (s Scheme) StandardConsumption() string {
	return s.URL() + "/standard/energy-consumption-data/" + Version
}

// StandardEmissions is the standard of the emissions data API.
func (s Scheme) StandardEmissions() string { return s.URL() + "/standard/emissions-data/" + Version }

// ProcessElectricity is the process that turns kWh into emissions.
func (s Scheme) ProcessElectricity() string {
	return s.URL() + "/process/electricity-emissions-calculation/" + Version
}

// ProcessGas is the process that turns cubic metres of gas into emissions.
func (s Scheme) ProcessGas() string {
	return s.URL() + "/process/gas-emissions-calculation/" + Version
}

// SourceType is a kind of origin: "Meter" or "GridCarbonIntensity".
func (s Scheme) SourceType(name string) string { return s.URL() + "/source-type/" + name }

// Assurance is a term of an assurance vocabulary, e.g.
// Assurance("missing-data", "Complete").
func (s Scheme) Assurance(vocabulary, term string) string {
	return s.URL() + "/assurance/" + vocabulary + "/" + term
}

// WithdrawalMessage is the subject of the message that tells an application of
// the withdrawal of a permission (IB1 withdrawal-of-permission 1.0). It hangs
// from the trust framework's registry, not from that of one environment; where
// it moves, configuration overrides it.
const WithdrawalMessage = "https://registry.trust.ib1.org/message/withdrawal-of-permission/2025-03-16"
