package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// metricsServer serves what an operator should watch, in Prometheus form, on
// plain HTTP: for this machine's own collector. It listens when it returns.
func metricsServer(listen string, db *database.DB, logger *slog.Logger) (func(context.Context) error, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("metrics: cannot listen at %s: %w", listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(db, logger))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute}
	return func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { srv.Close() })
		defer stop()
		logger.Info("listening", "role", "metrics", "address", l.Addr().String())
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("metrics: %w", err)
		}
		return nil
	}, nil
}

func metricsHandler(db *database.DB, logger *slog.Logger) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(&relayMetrics{db: db, logger: logger})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// relayMetrics asks the database at every scrape: all processes that share it
// give the same figures.
type relayMetrics struct {
	db     *database.DB
	logger *slog.Logger
}

var (
	messagesDesc  = prometheus.NewDesc("perseus_relay_withdrawal_messages", "Messages of withdrawal to clients that wait to be sent, or were given up.", []string{"state"}, nil)
	oldestDesc    = prometheus.NewDesc("perseus_relay_withdrawal_message_oldest_seconds", "Age of the oldest message of withdrawal that waits to be sent.", nil, nil)
	undeletedDesc = prometheus.NewDesc("perseus_relay_withdrawals_undeleted", "Withdrawn permissions whose data is not deleted for good yet.", nil, nil)
	overdueDesc   = prometheus.NewDesc("perseus_relay_withdrawal_undeleted_oldest_seconds", "Time since the oldest withdrawal whose data is not deleted for good yet: two minutes at most on a normal day.", nil, nil)
)

func (m *relayMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{messagesDesc, oldestDesc, undeletedDesc, overdueDesc} {
		ch <- d
	}
}

func (m *relayMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := permission.Count(ctx, m.db, time.Now())
	if err != nil {
		m.logger.Error("metrics: the database cannot be read", "error", err)
		ch <- prometheus.NewInvalidMetric(messagesDesc, errors.New("the database cannot be read"))
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(messagesDesc, float64(c.Waiting), "waiting")
	gauge(messagesDesc, float64(c.Dead), "dead")
	gauge(oldestDesc, c.Oldest.Seconds())
	gauge(undeletedDesc, float64(c.Undeleted))
	gauge(overdueDesc, c.Overdue.Seconds())
}
