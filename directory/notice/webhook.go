package notice

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Webhook posts notices as JSON to an address, signed with a shared secret:
//
//	Perseus-Signature: t=<unix seconds>,v1=<HMAC-SHA-256 of "t.body", hexadecimal>
//
// A receiver computes the same over the raw body, compares in constant time,
// refuses what is older than five minutes, and takes each "id" once.
type Webhook struct {
	address string
	secret  []byte
	client  *http.Client
	now     func() time.Time
	wait    func(context.Context, time.Duration) error
}

// hookTries is how often a notice is tried before the sender gives up for now.
const hookTries = 4

// NewWebhook reads the address: https, or http on this machine. The secret has
// 16 bytes or more. config is for TLS; nil: the system's roots.
func NewWebhook(address string, secret []byte, config *tls.Config) (*Webhook, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("webhook: give an address such as https://example.org/hooks/directory")
	}
	ip := net.ParseIP(u.Hostname())
	here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && here) {
		return nil, errors.New("webhook: use https (http is for this machine alone)")
	}
	if len(secret) < 16 {
		return nil, errors.New("webhook: the secret needs 16 characters or more")
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &Webhook{address, secret, &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true},
		// The secret signs for one address; what it answers is not followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, time.Now, pause}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Send posts a notice; any 2xx is success. It tries four times, 1, 4 and 16
// seconds apart, unless the receiver says that the request is wrong (4xx but
// 408, 425 and 429).
func (w *Webhook) Send(ctx context.Context, n Notice) error {
	body, err := json.Marshal(map[string]any{"id": n.ID, "at": n.At.UTC().Format(time.RFC3339), "subject": n.Subject, "text": n.Text, "data": n.Data})
	if err != nil {
		return err
	}
	delay := time.Second
	for try := 1; ; try++ {
		again, err := w.post(ctx, body)
		if err == nil {
			return nil
		}
		if !again || try == hookTries {
			return fmt.Errorf("webhook, attempt %d: %w", try, err)
		}
		if err := w.wait(ctx, delay); err != nil {
			return err
		}
		delay *= 4
	}
}

func (w *Webhook) post(ctx context.Context, body []byte) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	t := strconv.FormatInt(w.now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "perseus-central")
	r.Header.Set("Perseus-Signature", "t="+t+",v1="+Sign(w.secret, t, body))
	res, err := w.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which may hold a token
		}
		return ctx.Err() == nil, err
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, 4<<10)
	if res.StatusCode/100 == 2 {
		return false, nil
	}
	again = res.StatusCode >= 500 || res.StatusCode == 408 || res.StatusCode == 425 || res.StatusCode == 429
	return again, fmt.Errorf("it answered %d", res.StatusCode)
}

// Sign is the signature of a body sent at the time t (Unix seconds, decimal).
func Sign(secret []byte, t string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(t + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
