package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// config is the YAML configuration of perseus-central. Paths are relative to
// the file's folder. An unknown key is an error.
type config struct {
	Database  string          `yaml:"database"` // sqlite:PATH (default sqlite:central.db) or postgres://...
	Roles     []string        `yaml:"roles"`    // directory, relay or both (the default)
	Registry  string          `yaml:"registry"` // the registry whose terms are spoken
	Terms     termsConfig     `yaml:"terms"`
	Directory directoryConfig `yaml:"directory"`
	Relay     relayConfig     `yaml:"relay"`

	dir    string // folder of the file
	scheme scheme.Scheme
}

type directoryConfig struct {
	URL         string `yaml:"url"`         // public address, e.g. https://directory.example.org
	Listen      string `yaml:"listen"`      // e.g. 127.0.0.1:8443
	Authorities string `yaml:"authorities"` // folder of the certificate authorities (default authorities)
	Operator    string `yaml:"operator"`    // the organisation that runs the directory: named in its certificates

	StatusURL    string            `yaml:"status_url"`    // where certificates say their status can be asked for, e.g. http://status.example.org; default: url
	StatusListen string            `yaml:"status_listen"` // plain HTTP for that, e.g. 0.0.0.0:80; default: served at url alone
	IssuerKeys   map[string]string `yaml:"issuer_keys"`   // client, signing, server: file:PATH, tpm:PATH or pkcs11:..; default: in the folder authorities
	Warnings     warningsConfig    `yaml:"warnings"`
	TLS          tlsConfig         `yaml:"tls"` // certificate of a public authority, for browsers; default: the directory's own

	Bounds directory.Bounds `yaml:"bounds"` // how much one organisation can have
	ACME   acmeConfig       `yaml:"acme"`
}

type relayConfig struct {
	Issuer       string         `yaml:"issuer"`        // public address of the permission pages
	IssuerListen string         `yaml:"issuer_listen"` //
	Server       string         `yaml:"server"`        // public address for applications and gateways (mutual TLS)
	ServerListen string         `yaml:"server_listen"` //
	Member       string         `yaml:"member"`        // id of the member that runs the relay, in the directory
	Organisation string         `yaml:"organisation"`  // its name, as people know it
	Identity     string         `yaml:"identity"`      // folder: signing.pem, signing.key, seal.key, roots (default relay-identity)
	Gateways     []string       `yaml:"gateways"`      // member URLs whose gateways are served; default: the relay's own member
	Carbon       carbonConfig   `yaml:"carbon"`
	Messages     messagesConfig `yaml:"messages"`
	Metrics      string         `yaml:"metrics_listen"` // plain HTTP for this machine's own collector, e.g. 127.0.0.1:9481; none by default
	DirectoryCA  string         `yaml:"directory_ca"`   // PEM roots for fetching the CRLs; default: the system's, or the local authorities
	TLS          tlsConfig      `yaml:"tls"`
	History      duration       `yaml:"history"`      // how far back before its grant a permission reaches, e.g. 400d (the default)
	Privacy      string         `yaml:"privacy"`      // address of the organisation's privacy policy, for the permission texts
	KeepRecords  duration       `yaml:"keep_records"` // for how long the record of a permission is kept after its end; 370d at least, six years by default

	// How long raw half-hours are kept after their collection, e.g. 180d (the
	// default; the scheme's limit is six months). Monthly emissions stay.
	Retention duration `yaml:"retention"`
	// How long they outlive the permission that covered them, where it ran out
	// and no other covers them, e.g. 30d (the default).
	KeepExpired duration `yaml:"keep_expired"`
}

type carbonConfig struct {
	URL       string  `yaml:"url"`        // default https://api.carbonintensity.org.uk
	PerSecond float64 `yaml:"per_second"` // requests a second at most; default 1
}

// tlsConfig is where a server certificate lies that another authority than the
// directory's has issued. With a directory beside it, the relay shows it on the
// pages for people alone.
type tlsConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

func (t tlsConfig) given() bool { return t != tlsConfig{} }

func (t tlsConfig) check(key string) error {
	if t.given() && (t.Certificate == "" || t.Key == "") {
		return fmt.Errorf("%s: give both certificate and key", key)
	}
	return nil
}

func loadConfig(path string) (*config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w (docs/operator.md shows one)", err)
	}
	c := &config{Database: "sqlite:central.db", Roles: []string{"directory", "relay"}}
	if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("configuration %s:\n%s", path, yaml.FormatError(err, false, true))
	}
	if c.dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *config) has(role string) bool { return slices.Contains(c.Roles, role) }

// path makes a path of the configuration absolute.
func (c *config) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

func (c *config) check() (err error) {
	setDefault(&c.Directory.Authorities, "authorities")
	setDefault(&c.Directory.Operator, "Perseus Edge directory")
	setDefault(&c.Relay.Identity, "relay-identity")
	setDefault(&c.Relay.Carbon.URL, "https://api.carbonintensity.org.uk")
	if p, ok := strings.CutPrefix(c.Database, "sqlite:"); ok {
		c.Database = "sqlite:" + c.path(p)
	} else if !strings.HasPrefix(c.Database, "postgres://") {
		return fmt.Errorf("database %q: use sqlite:PATH or postgres://USER@HOST/NAME", c.Database)
	}
	if c.Registry == "" {
		return errors.New("registry: name the registry whose terms are spoken, such as https://registry.core.sandbox.trust.ib1.org")
	}
	if c.scheme, err = scheme.New(c.Registry); err != nil {
		return err
	}
	for _, r := range c.Roles {
		if r != "directory" && r != "relay" {
			return fmt.Errorf("roles: %q: use directory, relay or both", r)
		}
	}
	if len(c.Roles) == 0 {
		return errors.New("roles: name directory, relay or both")
	}
	if c.Relay.Carbon.PerSecond == 0 {
		c.Relay.Carbon.PerSecond = 1
	}
	problems := []error{address("directory.url", c.Directory.URL), c.checkTerms(), c.checkStatus(), c.checkWarnings(), c.checkACME(), boundsOf(c.Directory.Bounds),
		c.Directory.TLS.check("directory.tls"), c.Relay.TLS.check("relay.tls")}
	if c.has("directory") {
		// A directory alone needs the relay's address too: it tells it to the
		// gateways that enrol.
		problems = append(problems, listen("directory.listen", c.Directory.Listen), address("relay.server", c.Relay.Server))
	}
	if c.has("relay") {
		problems = append(problems, address("relay.issuer", c.Relay.Issuer), serverOf(c),
			listen("relay.issuer_listen", c.Relay.IssuerListen), listen("relay.server_listen", c.Relay.ServerListen))
		if c.Relay.Metrics != "" {
			problems = append(problems, listen("relay.metrics_listen", c.Relay.Metrics))
		}
		if u, err := url.Parse(c.Relay.Privacy); c.Relay.Privacy != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			problems = append(problems, fmt.Errorf("relay.privacy: %q: need an https address such as https://www.example.org/privacy", c.Relay.Privacy))
		}
		if c.Relay.Member == "" || c.Relay.Organisation == "" {
			problems = append(problems, errors.New("relay.member and relay.organisation: name the member that runs the relay"))
		}
		if !c.has("directory") && (c.Relay.TLS.Certificate == "" || c.Relay.TLS.Key == "") {
			problems = append(problems, errors.New("relay.tls: a relay without a directory beside it needs certificate and key"))
		}
	}
	if len(c.Relay.Gateways) == 0 {
		c.Relay.Gateways = []string{c.Directory.URL + "/m/" + c.Relay.Member}
	}
	return errors.Join(problems...)
}

// boundsOf checks what bounds are given.
func boundsOf(b directory.Bounds) error {
	var problems []error
	for _, x := range []struct {
		key string
		n   int
	}{{"applications", b.Applications}, {"sites", b.Sites}, {"gateways", b.Gateways}, {"certificates", b.Certificates}, {"site_codes", b.SiteCodes}} {
		if x.n < 0 {
			problems = append(problems, fmt.Errorf("directory.bounds.%s: %d: give the most that an organisation may have, 1 or more, or leave it out", x.key, x.n))
		}
	}
	return errors.Join(problems...)
}

// serverOf checks relay.server where the directory's check has not.
func serverOf(c *config) error {
	if c.has("directory") {
		return nil
	}
	return address("relay.server", c.Relay.Server)
}

func setDefault(s *string, v string) {
	if *s == "" {
		*s = v
	}
}

func address(key, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return fmt.Errorf("%s: %q: give an address such as https://name.example.org", key, s)
	}
	return nil
}

func listen(key, s string) error {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return fmt.Errorf("%s: %q: give host:port such as 127.0.0.1:8443", key, s)
	}
	return nil
}

// host is the name that a server certificate for an address must carry.
func host(address string) string {
	u, _ := url.Parse(address) // checked when the configuration was read
	return u.Hostname()
}

// duration is a time.Duration that may also be given in days: 400d.
type duration time.Duration

// UnmarshalYAML reads "9600h" or "400d".
func (d *duration) UnmarshalYAML(b []byte) error {
	s := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a number of days such as 400d", s)
		}
		*d = duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 400d or 9600h", s)
	}
	*d = duration(v)
	return nil
}
