package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// The defaults of what a file leaves out.
const (
	DefaultKeepHalfHours = 400 * Day
	DefaultKeepSamples   = 7 * Day
	DefaultListen        = "127.0.0.1:8480"
	DefaultPoll          = 10 * time.Second
	DefaultTimeout       = time.Second
)

// DataDir is where the store and the identity are by default.
func DataDir() string {
	if runtime.GOOS == "windows" {
		if d := os.Getenv("ProgramData"); d != "" {
			return filepath.Join(d, "perseus-edge")
		}
		return `C:\ProgramData\perseus-edge`
	}
	return "/var/lib/perseus-edge"
}

var (
	idPattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	outcodePattern = regexp.MustCompile(`^[A-Z]{1,2}[0-9][0-9A-Z]?$`)
)

// Parse checks a configuration and fills in the defaults. name is what the
// file is called in messages. The error is an *Errors with every problem.
func Parse(name string, data []byte) (*Config, error) {
	if cfg := inPieces(name, data, largeFile, aPiece); cfg != nil {
		return cfg, nil
	}
	return inWhole(name, data)
}

func inWhole(name string, data []byte) (*Config, error) {
	p := newParse(name, data)
	if !utf8.Valid(data) {
		p.problems = append(p.problems, Problem{What: "not UTF-8 text: save the file as UTF-8"})
	} else if body := p.tree(data); body != nil {
		p.root(body)
	}
	if len(p.problems) > 0 {
		e := &Errors{File: name, Problems: p.problems}
		e.sort()
		return nil, e
	}
	return p.cfg, nil
}

func newParse(name string, data []byte) *parse {
	sum := sha256.Sum256(data)
	return &parse{cfg: &Config{File: name, Hash: hex.EncodeToString(sum[:]), Period: energy.Period}, buses: map[string]int{}, meters: map[string]int{}, points: map[pointAt]string{},
		nodes: map[string]ast.Node{}, chosenOf: map[string]ast.Node{}}
}

// parse is one reading of one file.
type parse struct {
	reader
	cfg    *Config
	buses  map[string]int // id -> line, also of those that are not usable
	wires  map[string]string
	meters map[string]int
	points map[pointAt]string // which register is read by which meter

	nodes    map[string]ast.Node // of the virtual meters, by id
	chosenOf map[string]ast.Node // their measures, where the file chooses
	alike    alike               // registers, for meters that are read alike
	more     []piece             // meters that are not in the file's body
	later    []func()            // what can be checked only when all meters are known
}

func (p *parse) root(body ast.Node) {
	o := p.object(body, "the configuration", topLevel)
	p.site(body, o["site"])
	if d, ok := p.duration(o["period"], "period", time.Second, Day); ok {
		p.cfg.Period = d
		if Day%d != 0 {
			p.at(o["period"], "period: %s does not divide 24h: use 30m", FormatDuration(d))
		}
	}
	p.store(o["store"])
	p.web(o["web"])
	p.uplink(o["uplink"])
	p.clock(o["clock"])
	p.gas(o["gas"])
	if p.cfg.Uplink != nil {
		if p.cfg.Period != energy.Period {
			p.at(o["period"], "period: the uplink carries 30m only: leave period out, or uplink")
		}
		if p.cfg.Site.Outcode == "" && len(p.problems) == 0 {
			p.at(o["site"], "site: an uplink needs the outcode, the first half of the postcode, such as {name: ..., outcode: SW8}")
		}
	}
	if o["buses"] == nil {
		p.at(body, "buses is missing: say which wires to read")
	} else {
		p.wires = map[string]string{}
		for _, n := range p.list(o["buses"], "buses") {
			p.bus(n)
		}
	}
	if o["meters"] == nil {
		p.at(body, "meters is missing: say which meters to read")
		return
	}
	for _, n := range p.list(o["meters"], "meters") {
		p.meter(n)
	}
	p.moreMeters()
	p.resolve()
	p.cfg.Meters = slices.Clone(p.cfg.Meters) // of no more room than it takes: there are thousands
	p.cfg.pack()
}

func (p *parse) site(body, n ast.Node) {
	if n == nil {
		p.at(body, "site is missing: write site: {name: \"...\", outcode: SW8}")
		return
	}
	o := p.object(n, "site", siteLevel)
	name, ok := p.text(o["name"], "name")
	name = strings.TrimSpace(name)
	switch {
	case !ok && o["name"] == nil:
		p.at(n, "site: name is missing: write what the business calls the place")
	case ok && (name == "" || utf8.RuneCountInString(name) > 100):
		p.at(o["name"], "site: name must have 1 to 100 characters")
	}
	p.cfg.Site.Name = name
	if code, ok := p.text(o["outcode"], "outcode"); ok {
		code = strings.ToUpper(strings.TrimSpace(code))
		if !outcodePattern.MatchString(code) {
			p.at(o["outcode"], "site: outcode %q: give the first half of the postcode only, such as SW8 or CF99", code)
		}
		p.cfg.Site.Outcode = code
	}
}

func (p *parse) store(n ast.Node) {
	s := Store{Path: filepath.Join(DataDir(), "agent.db"), KeepHalfHours: DefaultKeepHalfHours, KeepSamples: DefaultKeepSamples}
	if n != nil {
		o := p.object(n, "store", storeLevel)
		if v, ok := p.text(o["path"], "path"); ok {
			if s.Path = v; strings.TrimSpace(v) == "" {
				p.at(o["path"], "store: path is empty: name the file, or leave the key out")
			}
		}
		if d, ok := p.duration(o["keep_half_hours"], "keep_half_hours", 31*Day, 3660*Day); ok {
			s.KeepHalfHours = d
		}
		if d, ok := p.duration(o["keep_samples"], "keep_samples", time.Hour, 400*Day); ok {
			s.KeepSamples = d
		}
	}
	p.cfg.Store = s
}

func (p *parse) web(n ast.Node) {
	p.cfg.Web.Listen, p.cfg.Web.Enroll = DefaultListen, "local"
	if n == nil {
		return
	}
	o := p.object(n, "web", webLevel)
	if s, ok := p.choice(o["enroll"], "web: enroll", "local", "lan", "off"); ok {
		p.cfg.Web.Enroll = s
	}
	if o["names"] != nil {
		for _, x := range p.list(o["names"], "web: names") {
			if v, ok := p.text(x, "a name"); ok && (v == "" || strings.ContainsAny(v, "/: *")) {
				p.at(x, "web: names: %q: write a host name such as gateway.example.org", v)
			} else if ok {
				p.cfg.Web.Names = append(p.cfg.Web.Names, v)
			}
		}
	}
	v, ok := p.text(o["listen"], "listen")
	if !ok {
		return
	}
	_, port, err := net.SplitHostPort(v)
	num, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || num == 0 {
		p.at(o["listen"], "web: listen %q: write host:port such as %q", v, DefaultListen)
	}
	p.cfg.Web.Listen = v
}

func (p *parse) uplink(n ast.Node) {
	if n == nil {
		return
	}
	o := p.object(n, "uplink", uplinkLevel)
	u := &Uplink{Identity: filepath.Join(DataDir(), "identity"), KeyStore: keystore.Auto}
	for key, to := range map[string]*string{"url": &u.URL, "directory": &u.Directory} {
		if v, ok := p.text(o[key], key); ok {
			*to = strings.TrimRight(v, "/")
			if w, err := url.Parse(v); err != nil || w.Scheme != "https" || w.Host == "" || w.User != nil || w.RawQuery != "" || w.Fragment != "" {
				p.at(o[key], "uplink: %s %q: write https://host or https://host:port", key, v)
			}
		}
	}
	if v, ok := p.text(o["key_store"], "key_store"); ok {
		u.KeyStore = v
		if err := keystore.CheckKind(v); err != nil {
			p.at(o["key_store"], "uplink: key_store %v", err)
		}
	}
	if v, ok := p.text(o["identity"], "identity"); ok {
		if u.Identity = v; strings.TrimSpace(v) == "" {
			p.at(o["identity"], "uplink: identity is empty: name the folder, or leave the key out")
		}
	}
	u.CA, _ = p.text(o["ca"], "ca")
	p.cfg.Uplink = u
}

func (p *parse) clock(n ast.Node) {
	p.cfg.Clock.Trust = "auto"
	if n == nil {
		return
	}
	o := p.object(n, "clock", clockLevel)
	if s, ok := p.choice(o["trust"], "clock: trust", "auto", "always", "synchronised"); ok {
		p.cfg.Clock.Trust = s
	}
}

func (p *parse) bus(n ast.Node) {
	o := p.object(n, "a bus", busLevel)
	b := Bus{Timeout: DefaultTimeout, Line: line(n)}
	b.ID = p.id(n, o["id"], "bus", p.buses)
	name := called("bus", b.ID)
	driver, ok := p.choice(o["driver"], name+": driver", "modbus", "mqtt", "dcc")
	if o["driver"] == nil {
		p.at(n, "%s: driver is missing: write driver: modbus", name)
	}
	b.Driver = driver
	if ok && driver != "modbus" {
		p.listening(n, o, name, &b)
		p.cfg.Buses = append(p.cfg.Buses, b)
		return
	}
	for _, key := range listeningKeys {
		if o[key] != nil {
			p.at(o[key], "%s: %s belongs to the drivers mqtt and dcc: leave it out", name, key)
		}
	}
	if v, ok := p.text(o["url"], name+": url"); ok {
		b.URL = v
		if err := modbus.CheckURL(v); err != nil {
			p.at(o["url"], "%s: %v", name, err)
		} else if other, taken := p.wires[modbus.Wire(v)]; taken {
			p.at(o["url"], "%s: %s is already the url of bus %s: one wire has one owner, so put the meters of both on one bus", name, v, other)
		} else {
			p.wires[modbus.Wire(v)] = b.ID
		}
	} else if o["url"] == nil {
		p.at(n, "%s: url is missing: write url: \"tcp://host:502\"", name)
	}
	if d, ok := p.duration(o["timeout"], name+": timeout", 10*time.Millisecond, time.Minute); ok {
		b.Timeout = d
	}
	if d, ok := p.duration(o["pause"], name+": pause", 0, 10*time.Second); ok {
		b.Pause = d
	}
	if b.Single = p.yes(o["single_client"], name+": single_client"); b.Single && !strings.HasPrefix(b.URL, "tcp:") && !strings.HasPrefix(b.URL, "tls:") && !strings.HasPrefix(b.URL, "rtuovertcp:") {
		p.at(o["single_client"], "%s: single_client is for connections that a device has few of, tcp, tls and rtuovertcp: leave it out", name)
	}
	p.cfg.Buses = append(p.cfg.Buses, b)
}

// called is what messages call a bus or a meter.
func called(what, id string) string {
	if id == "" {
		return "this " + what
	}
	return what + " " + id
}

// id reads the identifier of a bus or meter and sees that it is the only one.
func (p *parse) id(parent, n ast.Node, what string, taken map[string]int) string {
	s, ok := p.text(n, "id")
	switch {
	case n == nil:
		p.at(parent, "%s: id is missing: give each %s a short name", what, what)
	case !ok:
	case !idPattern.MatchString(s):
		p.at(n, "%s: id %q: use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first", what, s)
	case taken[s] > 0:
		p.at(n, "%s: id %s is already taken in line %d: every %s needs its own", what, s, taken[s], what)
	default:
		taken[s] = line(n)
	}
	return s
}
