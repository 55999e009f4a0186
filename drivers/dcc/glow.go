package dcc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// glow hears the displays of Hildebrand's (Glow IHD and CAD) that publish what
// the smart meters say to a broker on the site: electricity every ten seconds
// or so. A device's Name is the display's MAC or the meter's MPAN or MPRN; where
// one meter of its kind is configured, it may be anything. A path in the url is
// the first part of the topics, where it is not "glow".
type glow struct {
	*counts
	cfg    Config
	prefix string

	state  sync.Mutex // of what follows
	client paho.Client
	up     bool      // connected and subscribed
	since  time.Time // when it came up
	heard  time.Time // the last message of a display
	err    error
	url    string // tried last
}

// The times of a connection. There is no session to be kept: the registers go
// on counting, and the next message says how far they got.
const (
	keepAlive      = 20 * time.Second
	connectTimeout = 10 * time.Second
	longestWait    = 30 * time.Second
	answerTimeout  = 10 * time.Second
	quiesce        = 250 // ms
	tooQuiet       = 5 * time.Minute
	againAfter     = time.Minute
)

func checkBroker(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("url: write mqtt://host:1883, or mqtts://host:8883 for TLS")
	case !slices.Contains([]string{"mqtt", "mqtts", "tcp", "ssl", "tls"}, u.Scheme):
		return fmt.Errorf("url %s: use mqtt:// or mqtts://", u.Redacted())
	case u.User != nil:
		return fmt.Errorf("url %s: give user and password by their own keys, so that they are not logged with the url", u.Redacted())
	case strings.ContainsAny(u.Path, "+#") || strings.ContainsAny(s, "?#"):
		return fmt.Errorf("url %s: the path is the first part of the displays' topics, without + and #, and nothing follows it", u.Redacted())
	}
	return nil
}

// broker takes an address apart: the broker's own, with its port, and the first
// part of the topics.
func broker(s string) (address, prefix string, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", "", err
	}
	prefix = strings.Trim(u.Path, "/")
	if prefix == "" {
		prefix = "glow"
	}
	u.Path = ""
	if u.Port() == "" {
		port := ":1883"
		if u.Scheme != "mqtt" && u.Scheme != "tcp" {
			port = ":8883"
		}
		u.Host += port
	}
	return u.String(), prefix, nil
}

func openGlow(c Config) (drivers.Listener, error) {
	g := &glow{counts: newCounts(len(c.Devices)), cfg: c, err: errNotYet}
	g.with(func(w *drivers.Wire) { w.Messages = &drivers.MessageCounts{} })
	g.cfg.URLs = slices.Clone(c.URLs)
	for i, s := range c.URLs {
		address, prefix, err := broker(s)
		if err != nil {
			return nil, err
		}
		if i > 0 && prefix != g.prefix {
			return nil, fmt.Errorf("url %s: its topics begin otherwise than those of %s", s, c.URLs[0])
		}
		g.cfg.URLs[i], g.prefix = address, prefix
	}
	if c.ClientID == "" {
		return nil, errors.New("client id is missing")
	}
	for _, d := range c.Devices {
		for _, m := range d.Measures {
			if m != energy.Import && m != energy.Export && m != energy.Gas {
				return nil, fmt.Errorf("meter %s: a Glow display does not give %s: it has import, export and gas", d.Meter, m)
			}
		}
	}
	return g, nil
}

// arrival is a message as it came.
type arrival struct {
	topic    string
	payload  []byte
	retained bool
	at       time.Time
}

// Listen delivers readings until ctx ends; see drivers.Listener.
func (g *glow) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inbox := make(chan arrival)
	client := paho.NewClient(g.options(ctx, inbox))
	g.use(client)
	client.Connect() // tries until it succeeds
	defer client.Disconnect(quiesce)
	defer g.use(nil)
	defer cancel() // first of all: lets go of whoever waits to be heard
	size := 0
	h := newGlowHearer(g.cfg, g.prefix, func(i int, r []drivers.Reading) {
		g.tallies[i].Heard(size)
		deliver(i, r)
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-inbox:
			size = len(a.payload)
			spoke := h.hear(a)
			g.with(func(w *drivers.Wire) {
				w.Traffic = w.Add(drivers.Traffic{Requests: 1, BytesIn: uint64(size)})
				if w.Messages.Heard++; !spoke {
					w.Messages.Unread++
				}
			})
			if spoke {
				g.state.Lock()
				g.heard = a.at
				g.state.Unlock()
			}
		}
	}
}

func (g *glow) options(ctx context.Context, inbox chan<- arrival) *paho.ClientOptions {
	o := paho.NewClientOptions()
	for _, u := range g.cfg.URLs {
		o.AddBroker(u)
	}
	o.SetClientID(g.cfg.ClientID).SetUsername(g.cfg.User).SetPassword(g.cfg.Password)
	if g.cfg.TLS != nil {
		o.SetTLSConfig(g.cfg.TLS)
	}
	o.SetProtocolVersion(4).SetCleanSession(true).SetOrderMatters(true)
	o.SetConnectRetry(true).SetConnectRetryInterval(time.Second).SetAutoReconnect(true).SetMaxReconnectInterval(longestWait)
	o.SetKeepAlive(keepAlive).SetPingTimeout(connectTimeout).SetConnectTimeout(connectTimeout).SetWriteTimeout(answerTimeout)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		select {
		case inbox <- arrival{m.Topic(), m.Payload(), m.Retained(), g.cfg.Now()}:
		case <-ctx.Done():
		}
	})
	o.SetOnConnectHandler(func(c paho.Client) {
		g.with(func(w *drivers.Wire) { w.Connects++ })
		go g.subscribe(ctx, c)
	})
	o.SetConnectionNotificationHandler(func(_ paho.Client, n paho.ConnectionNotification) {
		switch n := n.(type) {
		case paho.ConnectionNotificationBroker:
			g.state.Lock()
			g.url = n.Broker.Redacted()
			g.state.Unlock()
		case paho.ConnectionNotificationBrokerFailed:
			g.down(&drivers.Error{Kind: drivers.Refused, Op: "connect to " + n.Broker.Redacted(), Err: n.Reason, Hint: "is the address right and the broker on?"})
		case paho.ConnectionNotificationLost:
			err := n.Reason
			if err == nil {
				err = errors.New("connection lost")
			}
			g.down(&drivers.Error{Kind: drivers.Timeout, Op: "listen to the broker", Err: err})
		}
	})
	return o
}

// subscribe asks for what the displays say. Where that is refused it is tried
// again, while the connection lasts: rights may have been given since.
func (g *glow) subscribe(ctx context.Context, c paho.Client) {
	for {
		err := g.trySubscribe(ctx, c)
		if err == nil || ctx.Err() != nil {
			return
		}
		g.down(err)
		if !wait(ctx, againAfter) || !c.IsConnectionOpen() {
			return
		}
	}
}

func (g *glow) trySubscribe(ctx context.Context, c paho.Client) error {
	topic := g.prefix + "/+/SENSOR/+"
	token := c.Subscribe(topic, 0, nil)
	t := time.NewTimer(answerTimeout)
	defer t.Stop()
	err := errors.New("the broker does not answer")
	select {
	case <-token.Done():
		err = token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	if s, ok := token.(*paho.SubscribeToken); err == nil && ok && s.Result()[topic] > 2 {
		err = errors.New("the broker refused it")
	}
	if err != nil {
		return &drivers.Error{Kind: drivers.Refused, Op: "subscribe to " + topic, Err: err, Hint: fmt.Sprintf("give the user %q the right to read it", g.cfg.User)}
	}
	g.state.Lock()
	defer g.state.Unlock()
	g.up, g.since = true, g.cfg.Now()
	return nil
}

func (g *glow) use(c paho.Client) {
	g.state.Lock()
	defer g.state.Unlock()
	g.client, g.up, g.err = c, false, errNotYet
}

func (g *glow) down(err error) {
	g.state.Lock()
	defer g.state.Unlock()
	g.up, g.err = false, err
}

// Health says how the broker and the displays do; see drivers.Listener.
func (g *glow) Health() error {
	g.state.Lock()
	defer g.state.Unlock()
	if g.client == nil || !g.up || !g.client.IsConnectionOpen() {
		return g.err
	}
	last := g.since
	if g.heard.After(last) {
		last = g.heard
	}
	if quiet := g.cfg.Now().Sub(last); quiet > tooQuiet {
		return &drivers.Error{
			Kind: drivers.Timeout, Op: "listen to " + g.prefix + "/+/SENSOR/+", Err: fmt.Errorf("no display has said anything for %s", quiet.Round(time.Second)),
			Hint: "is local MQTT switched on in the display's settings, with this broker?",
		}
	}
	return nil
}

// Wire is that of the broker; see drivers.Observer.
func (g *glow) Wire() drivers.Wire {
	w := g.counts.Wire()
	g.state.Lock()
	defer g.state.Unlock()
	if g.client != nil && g.up && g.client.IsConnectionOpen() {
		w.Using = g.url
	}
	return w
}
