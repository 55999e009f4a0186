package modbus

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// target is a bus URL, taken apart.
type target struct {
	scheme        string // tcp udp rtuovertcp tls rtu
	address       string // host:port, or the device of a serial port
	baud, stop    int    // rtu
	parity        string // rtu: N, E or O
	ca, cert, key string // tls: PEM files
}

const urlForms = "use tcp://host:port, udp://host:port, tls://host:port?ca=..&cert=..&key=.., rtuovertcp://host:port or rtu:///dev/serial/by-id/..?baud=9600"

// speeds are those that meters and adapters have; goburrow/serial knows each.
var speeds = []int{300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400}

var parities = map[string]string{"none": "N", "even": "E", "odd": "O"}

var comPort = regexp.MustCompile(`^/(?i:COM)[1-9][0-9]{0,2}$`)

// CheckURL says what is wrong with a bus URL, or nil. It opens nothing: a
// device or a file that is not there is noticed when the bus is read.
func CheckURL(s string) error { _, err := parseURL(s); return err }

// Wire is the same for two URLs of the same wire, which has but one owner.
// It says nothing sensible for a URL that CheckURL refuses.
func Wire(s string) string {
	t, err := parseURL(s)
	switch {
	case err != nil:
		return s
	case t.scheme == "rtu":
		return "serial " + t.address
	case t.scheme == "udp":
		return "udp " + strings.ToLower(t.address)
	}
	return "stream " + strings.ToLower(t.address)
}

// IsSerial says whether a bus URL is that of a serial port.
func IsSerial(s string) bool { return strings.HasPrefix(s, "rtu:") }

func parseURL(s string) (target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return target{}, fmt.Errorf("bus url %q: %w", s, err)
	}
	t := target{scheme: u.Scheme}
	switch {
	case !slices.Contains([]string{"tcp", "udp", "rtuovertcp", "tls", "rtu"}, u.Scheme):
		return t, fmt.Errorf("bus url %q: %s", s, urlForms)
	case u.User != nil || u.Fragment != "":
		return t, fmt.Errorf("bus url %q: Modbus knows no users and no #: %s", s, urlForms)
	case u.Scheme == "rtu":
		err = t.serialPort(u)
	default:
		err = t.socket(u)
	}
	if err != nil {
		return t, fmt.Errorf("bus url %q: %w", s, err)
	}
	return t, nil
}

func (t *target) socket(u *url.URL) error {
	if u.Hostname() == "" || u.Path != "" {
		return fmt.Errorf("use %s://host:port", u.Scheme)
	}
	port := u.Port()
	switch {
	case port == "" && u.Scheme == "tls":
		port = "802" // Modbus/TCP Security
	case port == "":
		port = "502"
	default:
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port %s: use 1 to 65535", port)
		}
	}
	t.address = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme != "tls" {
		_, err := parameters(u)
		return err
	}
	got, err := parameters(u, "ca", "cert", "key")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, what string
		file       *string
	}{
		{"ca", "the PEM file of the authority that signed the device's certificate, or of that certificate itself", &t.ca},
		{"cert", "the PEM file of this gateway's certificate: Modbus over TLS has no other way to say who asks", &t.cert},
		{"key", "the PEM file of that certificate's key", &t.key},
	} {
		if *f.file = got[f.name]; *f.file == "" {
			return fmt.Errorf("%s is missing: write ?%s=/path, %s", f.name, f.name, f.what)
		}
	}
	return nil
}

func (t *target) serialPort(u *url.URL) error {
	switch {
	case u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/"):
		return fmt.Errorf("use three slashes, rtu:///dev/.., or rtu:///COM3 on Windows")
	case comPort.MatchString(u.Path):
		t.address = `\\.\` + strings.ToUpper(u.Path[1:]) // the form in which Windows finds COM10 and above too
	case path.Clean(u.Path) != u.Path || u.Path == "/":
		return fmt.Errorf("%s is not the path of a serial port, such as /dev/ttyUSB0", u.Path)
	default:
		t.address = u.Path
	}
	got, err := parameters(u, "baud", "parity", "stop")
	if err != nil {
		return err
	}
	t.baud, t.parity, t.stop = 9600, "N", 1
	if v, ok := got["baud"]; ok {
		n, err := strconv.Atoi(v)
		if err != nil || !slices.Contains(speeds, n) || v != strconv.Itoa(n) {
			return fmt.Errorf("baud %q: use one of %s", v, strings.Trim(fmt.Sprint(speeds), "[]"))
		}
		t.baud = n
	}
	if v, ok := got["parity"]; ok {
		if t.parity, ok = parities[v]; !ok {
			return fmt.Errorf("parity %q: use none, even or odd", v)
		}
	}
	if v, ok := got["stop"]; ok {
		if v != "1" && v != "2" {
			return fmt.Errorf("stop %q: use 1 or 2", v)
		}
		t.stop = int(v[0] - '0')
	}
	return nil
}

// parameters reads what follows the ?: each key known, given once, not empty.
func parameters(u *url.URL, known ...string) (map[string]string, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("after the ?: %w", err)
	}
	if len(known) == 0 && (u.RawQuery != "" || u.ForceQuery) {
		return nil, fmt.Errorf("use %s://host:port with nothing behind it", u.Scheme)
	}
	keys := make([]string, 0, len(q))
	for k := range q {
		keys = append(keys, k)
	}
	slices.Sort(keys) // one error, and always the same
	got := map[string]string{}
	for _, k := range keys {
		switch {
		case k == "data" || k == "bits" || k == "databits":
			return nil, fmt.Errorf("%s: Modbus RTU has always 8 data bits: leave it out", k)
		case !slices.Contains(known, k):
			return nil, fmt.Errorf("unknown %q after the ?: %s:// takes %s", k, u.Scheme, strings.Join(known, ", "))
		case len(q[k]) > 1:
			return nil, fmt.Errorf("%s is given %d times", k, len(q[k]))
		case q[k][0] == "":
			return nil, fmt.Errorf("%s is empty", k)
		}
		got[k] = q[k][0]
	}
	return got, nil
}
