//go:build deps

package deps

import (
	_ "github.com/eclipse/paho.mqtt.golang"
	_ "github.com/goccy/go-yaml"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/kardianos/service"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/pressly/goose/v3"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/collectors"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/simonvetter/modbus"
	_ "go.etcd.io/bbolt"
	_ "golang.org/x/crypto/ocsp"
	_ "golang.org/x/sys/windows/svc"
	_ "golang.org/x/time/rate"
	_ "modernc.org/sqlite"
	_ "pgregory.net/rapid"
	_ "gopkg.in/yaml.v3"
	_ "golang.org/x/net/html"
)
