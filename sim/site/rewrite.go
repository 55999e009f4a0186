package site

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// where is where a bus is played.
type where struct {
	url     string // for the agent
	address string // where to listen; the path of a port or folder
	scheme  string // of Modbus: tcp, udp, rtuovertcp, rtu
	changed string // what is not as in the file, for the installer; "" for nothing
}

// placeOf finds a place on this machine for a bus of the agent's configuration.
func placeOf(b config.Bus, dir string, port int) (where, error) {
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	u, err := url.Parse(b.URL)
	if err != nil {
		return where{}, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	p := where{address: address, scheme: u.Scheme}
	format := ""
	if b.Listening != nil {
		format = b.Listening.Format
	}
	switch {
	case b.Driver == "modbus" && u.Scheme == "rtu":
		p.address = filepath.Join(dir, b.ID+".port")
		p.url = "rtu://" + filepath.ToSlash(p.address)
		if u.RawQuery != "" {
			p.url += "?" + u.RawQuery
		}
	case b.Driver == "modbus":
		if u.Scheme == "tls" {
			p.scheme, p.changed = "tcp", "TLS is left out: it is played as tcp"
		}
		p.url = p.scheme + "://" + address
	case format == "csv":
		p.address = filepath.Join(dir, "drop-"+b.ID)
		p.url = "file://" + filepath.ToSlash(p.address)
		if u.RawQuery != "" {
			p.url += "?" + u.RawQuery
		}
	case format == "n3rgy":
		query := u.RawQuery
		if query == "" && strings.HasPrefix(u.Hostname(), "consumer-api") {
			query = "version=consumer"
		}
		p.url = "http://" + address
		if query != "" {
			p.url += "?" + query
		}
	case format == "glowmarkt":
		p.url = "http://" + address + "/api/v0-1"
	default:
		if u.Scheme != "mqtt" && u.Scheme != "tcp" {
			p.changed = "TLS and WebSocket are left out: it is played as mqtt"
		}
		p.url = "mqtt://" + address
		if b.Driver == "dcc" {
			p.url += u.Path
		}
	}
	return p, nil
}

// rewrite gives the agent's configuration with every bus on this machine: for
// the rest it is as it was, but that nothing is sent, and that the store and
// the keys of the rehearsal are in its folder.
func rewrite(data []byte, dir, from, listen string, places map[string]string) ([]byte, error) {
	var root yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(data, &root, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	root = without(root, "uplink")
	root = with(root, "store", with(mapping(root, "store"), "path", filepath.Join(dir, "agent.db")))
	root = with(root, "web", yaml.MapSlice{{Key: "listen", Value: listen}})
	buses, _ := value(root, "buses").([]any)
	for i := range buses {
		b, ok := buses[i].(yaml.MapSlice)
		if !ok {
			return nil, errors.New("a bus is no mapping")
		}
		id := fmt.Sprint(value(b, "id"))
		for _, key := range []string{"backup", "user", "password_file", "token_file", "ca", "cert", "key"} {
			b = without(b, key)
		}
		switch fmt.Sprint(value(b, "format")) {
		case "n3rgy":
			b = with(b, "token_file", filepath.Join(dir, "key"))
		case "glowmarkt":
			b = with(with(b, "user", User), "password_file", filepath.Join(dir, "key"))
		}
		buses[i] = with(b, "url", places[id])
	}
	absolute := func(m yaml.MapSlice, key string) yaml.MapSlice {
		if s, ok := value(m, key).(string); ok && s != "" && !filepath.IsAbs(s) {
			return with(m, key, filepath.Join(from, s))
		}
		return m
	}
	meters, _ := value(root, "meters").([]any)
	for i := range meters {
		if m, ok := meters[i].(yaml.MapSlice); ok {
			meters[i] = absolute(m, "metadata")
		}
	}
	if gas := mapping(root, "gas"); len(gas) > 0 {
		gas = absolute(gas, "calorific_values")
		if files, ok := value(gas, "calorific_values").([]any); ok {
			for i := range files {
				if s, ok := files[i].(string); ok && !filepath.IsAbs(s) {
					files[i] = filepath.Join(from, s)
				}
			}
		}
		root = with(root, "gas", gas)
	}
	out, err := yaml.MarshalWithOptions(root, yaml.IndentSequence(true))
	if err != nil {
		return nil, err
	}
	return append([]byte("# Made by perseus-sim site: every bus is on this machine, and nothing is sent.\n"), out...), nil
}

func value(m yaml.MapSlice, key string) any {
	for _, item := range m {
		if item.Key == key {
			return item.Value
		}
	}
	return nil
}

func mapping(m yaml.MapSlice, key string) yaml.MapSlice {
	v, _ := value(m, key).(yaml.MapSlice)
	return v
}

func without(m yaml.MapSlice, key string) (out yaml.MapSlice) {
	for _, item := range m {
		if item.Key != key {
			out = append(out, item)
		}
	}
	return out
}

// with sets a key where it stands, or at the end.
func with(m yaml.MapSlice, key string, v any) (out yaml.MapSlice) {
	found := false
	for _, item := range m {
		if item.Key == key {
			item.Value, found = v, true
		}
		out = append(out, item)
	}
	if !found {
		out = append(out, yaml.MapItem{Key: key, Value: v})
	}
	return out
}
